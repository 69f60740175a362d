with

run as (
    select * from {{ ref('stg_run') }}
),

fx_rates as (
    select distinct
        fx_rates.rate_on,
        fx_rates.currency,
        fx_rates.rate,
        fx_rates.known_at
    from {{ source('raw', 'fx_rates') }} as fx_rates
    inner join run
        on
            fx_rates.known_at <= run.as_of_at
            or (run.knowledge_basis = 'as_reconstructed' and fx_rates.rate_on <= run.as_of)
)

select * from fx_rates
