{#
    Activities with when by the company's clock, with whom, about what, and as which attempt.
    `begins_s` orders them: a meeting, seminar or sign-up of which only the day is known comes after
    what was done on that day.
#}
with

run as (
    select * from {{ ref('stg_run') }}
),

activities as (
    select * from {{ ref('int_activities') }}
),

parties as (
    select * from {{ ref('int_activity_parties') }}
),

journeys as (
    select * from {{ ref('int_activity_journeys') }}
),

aliases as (
    select * from {{ ref('int_seller_aliases') }}
),

account_segments as (
    select
        entity_id as account_id,
        value as segment,
        valid_from,
        valid_to
    from {{ ref('int_attribute_history') }}
    where entity_type = 'account' and field = 'segment'
),

joined as (
    select
        activities.*,
        run.as_of,
        {{ days_between(period_start('week', 'activities.occurred_on'), 'activities.occurred_on') }}
        + 1 as weekday,
        case
            when activities.local_hour is not null
                then split_part(run.dayparts, ' ', cast(activities.local_hour as int) + 1)
        end as daypart,
        {{ as_seconds('activities.occurred_at') }}
        + case
            when
                activities.type in ('meeting', 'seminar', 'signup')
                and activities.local_hour is null
                then 86399
            else 0
        end as begins_s,
        coalesce(doers.seller_id, activities.seller_id) as doer_id,
        coalesce(senders.seller_id, activities.sender_id) as resolved_sender_id,
        parties.contact_id as party_contact_id,
        journeys.journey_id,
        journeys.deal_id as journey_deal_id,
        journeys.lead_id as journey_lead_id,
        coalesce(journeys.n_journeys, 0) as n_journeys,
        coalesce(parties.account_id, journeys.account_id) as party_account_id,
        parties.named_account_id,
        coalesce(parties.matched_by, case when journeys.journey_id is not null then 'id' end)
            as matched_by,
        journeys.owner_id,
        journeys.segment as journey_segment,
        journeys.business_area,
        journeys.source
    from activities
    cross join run
    inner join parties on activities.activity_id = parties.activity_id
    left join journeys on activities.activity_id = journeys.activity_id
    left join aliases as doers on activities.seller_id = doers.alias_id
    left join aliases as senders on activities.sender_id = senders.alias_id
),

named as (
    select
        joined.*,
        coalesce(joined.journey_segment, account_segments.segment, joined.segment)
            as segment_then,
        case
            when
                joined.party_contact_id is not null
                or joined.journey_id is not null
                or joined.party_account_id is not null
                then joined.matched_by
        end as tied_by,
        coalesce(
            'contact:' || joined.party_contact_id,
            'journey:' || joined.journey_id,
            'account:' || joined.party_account_id
        ) as person_id,
        {# What no export was made after is not known to have taken place. #}
        joined.is_contact
        and joined.occurred_at <= joined.known_at
        and joined.occurred_on <= joined.as_of as has_taken_place
    from joined
    left join account_segments
        on
            joined.party_account_id = account_segments.account_id
            and {{ valid_at('account_segments', 'joined.occurred_at') }}
),

with_attempts as (
    select
        *,
        has_taken_place
        and type in ('call', 'email', 'message')
        and coalesce(direction <> 'inbound', true) as is_attempt
    from named
),

attempt_numbers as (
    select
        activity_id,
        row_number() over (
            partition by person_id, type order by begins_s, activity_id
        ) as attempt_number
    from with_attempts
    where is_attempt and person_id is not null
)

select
    with_attempts.activity_id,
    with_attempts.type,
    with_attempts.source_type,
    with_attempts.occurred_at,
    with_attempts.occurred_on,
    with_attempts.local_hour,
    with_attempts.weekday,
    with_attempts.daypart,
    with_attempts.begins_s,
    with_attempts.doer_id as seller_id,
    with_attempts.resolved_sender_id as sender_id,
    with_attempts.party_contact_id as contact_id,
    with_attempts.journey_id,
    with_attempts.journey_deal_id as deal_id,
    with_attempts.journey_lead_id as lead_id,
    with_attempts.party_account_id as account_id,
    with_attempts.person_id,
    with_attempts.named_account_id,
    with_attempts.tied_by as matched_by,
    with_attempts.n_journeys,
    with_attempts.direction,
    with_attempts.outcome,
    with_attempts.duration_s,
    with_attempts.campaign_id,
    with_attempts.message_variant,
    with_attempts.reminder_no,
    with_attempts.owner_id,
    with_attempts.segment_then as segment,
    with_attempts.business_area,
    with_attempts.source,
    with_attempts.is_planned,
    with_attempts.has_taken_place as is_contact,
    with_attempts.is_attempt,
    attempt_numbers.attempt_number,
    with_attempts.as_of
from with_attempts
left join attempt_numbers on with_attempts.activity_id = attempt_numbers.activity_id
