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

actions as (
    select
        actions.action_on,
        actions.scope,
        actions.scope_id,
        actions.kind,
        actions.metric,
        coalesce(sightings.known_at, actions.known_at) as known_at,
        coalesce(sightings.made_number, 0) as made_number,
        actions.record_number
    from {{ source('raw', 'actions') }} as actions
    left join sightings on actions.load_id = sightings.load_id
    inner join run
        on coalesce(sightings.known_at, actions.known_at) <= run.as_of_at
)

select * from actions
