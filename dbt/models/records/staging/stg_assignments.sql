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

assignments as (
    select
        assignments.experiment_id,
        assignments.unit_id,
        assignments.account_id,
        assignments.variant,
        assignments.assigned_at,
        coalesce(sightings.known_at, assignments.known_at) as known_at,
        coalesce(sightings.made_number, 0) as made_number,
        assignments.record_number
    from {{ source('raw', 'assignments') }} as assignments
    left join sightings on assignments.load_id = sightings.load_id
    inner join run
        on
            coalesce(sightings.known_at, assignments.known_at) <= run.as_of_at
            and assignments.assigned_at <= run.as_of_at
)

select * from assignments
