with

run as (
    select * from {{ ref('stg_run') }}
),

sightings as (
    select
        load_id,
        known_at,
        made_number,
        series
    from {{ source('raw', 'sightings') }}
),

activities as (
    select
        activities.activity_id,
        activities.type,
        activities.source_type,
        activities.occurred_at,
        activities.completed_at,
        activities.seller_id,
        activities.deal_id,
        activities.lead_id,
        activities.contact_id,
        activities.account_id,
        activities.email_hash,
        activities.phone_hash,
        activities.direction,
        activities.outcome,
        activities.duration_s,
        activities.segment,
        activities.campaign_id,
        activities.message_variant,
        activities.sender_id,
        activities.reminder_no,
        activities.is_deleted,
        coalesce(sightings.known_at, activities.known_at) as known_at,
        coalesce(sightings.made_number, 0) as made_number,
        coalesce(sightings.series, '') as series,
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
