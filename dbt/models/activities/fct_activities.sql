with

details as (
    select * from {{ ref('int_activity_details') }}
),

effects as (
    select * from {{ ref('int_meetings_after') }}
)

select
    details.activity_id,
    details.type,
    details.source_type,
    details.occurred_at,
    details.occurred_on,
    cast(details.local_hour as bigint) as local_hour,
    cast(details.weekday as bigint) as weekday,
    details.daypart,
    details.seller_id,
    details.sender_id,
    details.contact_id,
    details.journey_id,
    details.deal_id,
    details.lead_id,
    details.account_id,
    details.person_id,
    details.matched_by,
    cast(details.n_journeys as bigint) as n_journeys,
    details.direction,
    details.outcome,
    details.duration_s,
    details.campaign_id,
    details.message_variant,
    details.reminder_no,
    details.owner_id,
    details.segment,
    details.business_area,
    details.source,
    details.is_planned,
    details.is_contact,
    details.is_attempt,
    cast(details.attempt_number as bigint) as attempt_number,
    effects.is_at_risk,
    effects.is_followed,
    effects.held_meeting_id,
    effects.booked_meeting_id,
    details.as_of
from details
left join effects on details.activity_id = effects.activity_id
