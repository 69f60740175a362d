with

run as (
    select * from {{ ref('stg_run') }}
),

sightings as (
    select
        load_id,
        known_at,
        made_number
    from {{ source('raw', 'sightings') }}
),

fx_rates as (
    select
        fx_rates.rate_on,
        fx_rates.currency,
        fx_rates.rate,
        coalesce(sightings.known_at, fx_rates.known_at) as known_at,
        coalesce(sightings.made_number, 0) as made_number,
        fx_rates.record_number
    from {{ source('raw', 'fx_rates') }} as fx_rates
    left join sightings on fx_rates.load_id = sightings.load_id
    inner join run
        on
            coalesce(sightings.known_at, fx_rates.known_at) <= run.as_of_at
            or (run.knowledge_basis = 'as_reconstructed' and fx_rates.rate_on <= run.as_of)
)

select * from fx_rates
