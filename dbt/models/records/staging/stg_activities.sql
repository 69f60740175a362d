with

run as (
    select * from {{ ref('stg_run') }}
),

activities as (
    select distinct
        activities.activity_id,
        activities.type,
        activities.source_type,
        activities.occurred_at,
        activities.completed_at,
        activities.deal_id,
        activities.lead_id,
        activities.outcome,
        activities.is_deleted,
        activities.known_at
    from {{ source('raw', 'activities') }} as activities
    inner join run
        on
            activities.known_at <= run.as_of_at
            or (run.knowledge_basis = 'as_reconstructed' and activities.occurred_at <= run.as_of_at)
)

select * from activities
