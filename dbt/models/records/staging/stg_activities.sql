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

seen as (
    select
        activities.*,
        sightings.series as seen_in_series,
        coalesce(sightings.made_number, 0) as seen_number,
        coalesce(sightings.known_at, activities.known_at) as seen_at
    from {{ source('raw', 'activities') }} as activities
    left join sightings on activities.load_id = sightings.load_id
),

{# Who came is known only after the seminar: not from an export made later. #}
first_seen as (
    select
        activity_id,
        min(seen_at) as first_seen_at
    from seen
    where type = 'signup'
    group by activity_id
),

activities as (
    select
        seen.activity_id,
        seen.type,
        seen.source_type,
        seen.occurred_at,
        seen.completed_at,
        seen.seller_id,
        seen.deal_id,
        seen.lead_id,
        seen.contact_id,
        seen.account_id,
        seen.email_hash,
        seen.phone_hash,
        seen.direction,
        case
            when seen.type <> 'signup' or seen.seen_at <= run.as_of_at then seen.outcome
        end as outcome,
        seen.duration_s,
        seen.segment,
        seen.campaign_id,
        seen.message_variant,
        seen.sender_id,
        seen.reminder_no,
        seen.is_deleted,
        seen.seen_at as known_at,
        seen.seen_number as made_number,
        coalesce(seen.seen_in_series, '') as series,
        seen.record_number,
        seen.stated_columns
    from seen
    cross join run
    left join first_seen on seen.activity_id = first_seen.activity_id
    where
        seen.seen_at <= run.as_of_at
        or (
            run.knowledge_basis = 'as_reconstructed'
            and seen.occurred_at <= run.as_of_at
            and coalesce(first_seen.first_seen_at > run.as_of_at, true)
        )
)

select * from activities
