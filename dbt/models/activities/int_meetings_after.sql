{#
    Attempts at people, and the meetings before and after them. A meeting is with the same people if
    the finest thing that both name is the same: the contact, else the deal or lead, else the
    company. Seconds are from the attempt to the meeting: 90 days back, 14 days on.
#}
{% set in_reach = 'meetings.begins_s - attempts.begins_s between -7776000 and 1209600' %}

with

details as (
    select * from {{ ref('int_activity_details') }}
),

attempts as (
    select * from details where is_attempt and person_id is not null
),

meetings as (
    select
        *,
        is_contact and occurred_on <= as_of as is_held
    from details
    where
        type = 'meeting'
        and person_id is not null
        and coalesce(outcome <> 'rescheduled', true)
),

pairs as (
    select
        attempts.activity_id,
        attempts.type,
        attempts.begins_s,
        meetings.activity_id as meeting_id,
        meetings.is_held,
        meetings.begins_s - attempts.begins_s as seconds_until
    from attempts
    inner join meetings
        on attempts.contact_id = meetings.contact_id and {{ in_reach }}
    union all
    select
        attempts.activity_id,
        attempts.type,
        attempts.begins_s,
        meetings.activity_id as meeting_id,
        meetings.is_held,
        meetings.begins_s - attempts.begins_s as seconds_until
    from attempts
    inner join meetings
        on
            attempts.journey_id = meetings.journey_id
            and (attempts.contact_id is null or meetings.contact_id is null)
            and {{ in_reach }}
    union all
    select
        attempts.activity_id,
        attempts.type,
        attempts.begins_s,
        meetings.activity_id as meeting_id,
        meetings.is_held,
        meetings.begins_s - attempts.begins_s as seconds_until
    from attempts
    inner join meetings
        on
            attempts.account_id = meetings.account_id
            and (attempts.contact_id is null or meetings.contact_id is null)
            and (attempts.journey_id is null or meetings.journey_id is null)
            and {{ in_reach }}
),

{# Whose meetings of the 90 days before are known. What came at the same second was no effect. #}
met_before as (
    select distinct activity_id
    from pairs
    where seconds_until <= 0
),

{% for kind, condition in [('held', 'is_held'), ('booked', 'true')] -%}
    {{ kind }}_after as (
        select
            *,
            row_number() over (
                partition by activity_id order by seconds_until, meeting_id
            ) as meeting_rank
        from pairs
        where seconds_until > 0 and {{ condition }}
    ),

    {# Of the attempts of a kind before a meeting, the last one has it. #}
    {{ kind }}_last as (
        select
            {{ kind }}_after.activity_id,
            {{ kind }}_after.meeting_id,
            row_number() over (
                partition by {{ kind }}_after.meeting_id, {{ kind }}_after.type
                order by {{ kind }}_after.begins_s desc, {{ kind }}_after.activity_id asc
            ) as touch_rank
        from {{ kind }}_after
        left join met_before on {{ kind }}_after.activity_id = met_before.activity_id
        where {{ kind }}_after.meeting_rank = 1 and met_before.activity_id is null
    ),
{%- endfor %}

with_meetings as (
    select distinct series
    from {{ ref('stg_activities') }}
    where type = 'meeting'
),

{# As far as the newest export of those that tell of meetings, whether this one has any. #}
last_exports as (
    select max(exports.known_at) as known_at
    from {{ ref('stg_activities') }} as exports
    inner join with_meetings on exports.series = with_meetings.series
),

followed as (
    select
        case
            when last_exports.known_at is null then null
            when last_exports.known_at < run.as_of_at then last_exports.known_at
            else run.as_of_at
        end as until_at
    from last_exports
    cross join {{ ref('stg_run') }} as run
)

select
    attempts.activity_id,
    met_before.activity_id is null as is_at_risk,
    coalesce(
        attempts.begins_s + 1209600 <= {{ as_seconds('followed.until_at') }}, false
    ) as is_followed,
    held_last.meeting_id as held_meeting_id,
    booked_last.meeting_id as booked_meeting_id
from attempts
cross join followed
left join met_before on attempts.activity_id = met_before.activity_id
left join held_last
    on attempts.activity_id = held_last.activity_id and held_last.touch_rank = 1
left join booked_last
    on attempts.activity_id = booked_last.activity_id and booked_last.touch_rank = 1
