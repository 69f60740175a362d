{#
    Attempts at people, and the meetings before and after them. Seconds are from the attempt to the
    meeting: 90 days back, 14 days on.
#}

with

details as (
    select * from {{ ref('int_activity_details') }}
),

attempts as (
    select * from details where is_attempt and person_id is not null
),

meetings as (
    select *
    from details
    where
        type = 'meeting'
        and person_id is not null
        and coalesce(outcome <> 'rescheduled', true)
),

pairs as (
    {{ with_same_people(
        'attempts',
        'meetings',
        'meetings.begins_s - attempts.begins_s between -7776000 and 1209600',
        {
            'activity_id': 'attempts.activity_id',
            'type': 'attempts.type',
            'begins_s': 'attempts.begins_s',
            'meeting_id': 'meetings.activity_id',
            'is_held': 'meetings.is_contact',
            'seconds_until': 'meetings.begins_s - attempts.begins_s',
        }
    ) }}
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
        where {{ kind }}_after.meeting_rank = 1
    ),
{%- endfor %}

followed as (
    select until_at
    from {{ ref('int_followed_until') }}
    where type = 'meeting'
)

select
    attempts.activity_id,
    met_before.activity_id is null as is_at_risk,
    coalesce(
        attempts.begins_s + 1209600 <= {{ as_seconds('followed.until_at') }}, false
    ) as is_followed,
    case when met_before.activity_id is null then held_last.meeting_id end as held_meeting_id,
    case when met_before.activity_id is null then booked_last.meeting_id end as booked_meeting_id
from attempts
left join followed on true
left join met_before on attempts.activity_id = met_before.activity_id
left join held_last
    on attempts.activity_id = held_last.activity_id and held_last.touch_rank = 1
left join booked_last
    on attempts.activity_id = booked_last.activity_id and booked_last.touch_rank = 1
