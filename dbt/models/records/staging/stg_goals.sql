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

goals as (
    select
        goals.scope,
        goals.scope_id,
        goals.period_start_on,
        goals.period_end_on,
        goals.amount,
        goals.currency,
        coalesce(sightings.known_at, goals.known_at) as known_at,
        coalesce(sightings.made_number, 0) as made_number,
        goals.record_number
    from {{ source('raw', 'goals') }} as goals
    left join sightings on goals.load_id = sightings.load_id
    inner join run
        on coalesce(sightings.known_at, goals.known_at) <= run.as_of_at
)

select * from goals
