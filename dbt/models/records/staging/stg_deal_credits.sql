with

run as (
    select * from {{ ref('stg_run') }}
),

deal_credits as (
    select distinct
        deal_credits.deal_id,
        deal_credits.seller_id,
        deal_credits.share,
        deal_credits.known_at
    from {{ source('raw', 'deal_credits') }} as deal_credits
    inner join run on deal_credits.known_at <= run.as_of_at
)

select * from deal_credits
