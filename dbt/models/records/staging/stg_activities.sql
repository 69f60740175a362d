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

activities as (
    select
        activities.activity_id,
        activities.type,
        activities.source_type,
        activities.occurred_at,
        activities.completed_at,
        activities.deal_id,
        activities.lead_id,
        activities.outcome,
        activities.is_deleted,
        coalesce(sightings.known_at, activities.known_at) as known_at,
        coalesce(sightings.made_number, 0) as made_number,
        activities.record_number,
        activities.stated_columns
    from {{ source('raw', 'activities') }} as activities
    left join sightings on activities.load_id = sightings.load_id
    inner join run
        on
            coalesce(sightings.known_at, activities.known_at) <= run.as_of_at
            or (run.knowledge_basis = 'as_reconstructed' and activities.occurred_at <= run.as_of_at)
)

select * from activities
