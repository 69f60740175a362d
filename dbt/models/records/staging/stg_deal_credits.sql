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

deal_credits as (
    select
        deal_credits.deal_id,
        deal_credits.seller_id,
        deal_credits.share,
        coalesce(sightings.known_at, deal_credits.known_at) as known_at,
        coalesce(sightings.made_number, 0) as made_number,
        deal_credits.record_number
    from {{ source('raw', 'deal_credits') }} as deal_credits
    left join sightings on deal_credits.load_id = sightings.load_id
    inner join run
        on coalesce(sightings.known_at, deal_credits.known_at) <= run.as_of_at
)

select * from deal_credits
