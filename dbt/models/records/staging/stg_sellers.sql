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

sellers as (
    select
        sellers.seller_id,
        sellers.name,
        sellers.email_hash,
        sellers.team,
        sellers.manager,
        sellers.is_active,
        sellers.valid_from,
        sellers.valid_to,
        coalesce(sightings.known_at, sellers.known_at) as known_at,
        coalesce(sightings.made_number, 0) as made_number,
        sellers.record_number,
        sellers.stated_columns
    from {{ source('raw', 'sellers') }} as sellers
    left join sightings on sellers.load_id = sightings.load_id
    inner join run
        on coalesce(sightings.known_at, sellers.known_at) <= run.as_of_at
)

select * from sellers
