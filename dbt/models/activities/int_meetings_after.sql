{#
    Attempts at people, and the meetings before and after them. A meeting is with the same people if
    the finest thing that both name is the same: the contact, else the deal or lead, else the
    company. Seconds are from the attempt to the meeting: 90 days back, 14 days on.
#}
{% set no_person = '(attempts.contact_id is null or meetings.contact_id is null)' %}
{% set no_journey = '(attempts.journey_id is null or meetings.journey_id is null)' %}
{# One log may give a company a name of its own, where another thing tells whose it is. #}
{% set ways = [
    'attempts.contact_id = meetings.contact_id',
    'attempts.journey_id = meetings.journey_id and ' ~ no_person,
    'attempts.account_id = meetings.account_id and ' ~ no_person ~ ' and ' ~ no_journey,
    'attempts.named_account_id = meetings.named_account_id '
    ~ 'and coalesce(attempts.account_id <> meetings.account_id, true) '
    ~ 'and ' ~ no_person ~ ' and ' ~ no_journey,
] %}

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
    {% for same in ways -%}
        select
            attempts.activity_id,
            attempts.type,
            attempts.begins_s,
            meetings.activity_id as meeting_id,
            meetings.is_contact as is_held,
            meetings.begins_s - attempts.begins_s as seconds_until
        from attempts
        inner join meetings
            on
                {{ same }}
                and meetings.begins_s - attempts.begins_s between -7776000 and 1209600
        {{ 'union all' if not loop.last }}
    {% endfor %}
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

all_series as (
    select
        series,
        max(case when type = 'meeting' then 1 else 0 end) as has_meetings,
        max(known_at) as known_at
    from {{ ref('stg_activities') }}
    group by series
),

{#
    As far as the newest exports of all that have told of meetings go, whether those have any; what
    came last three months before the newest of them is out of use.
#}
newest as (
    select max(known_at) as known_at
    from all_series
    where has_meetings = 1
),

last_exports as (
    select min(all_series.known_at) as known_at
    from all_series
    cross join newest
    where
        all_series.has_meetings = 1
        and {{ seconds_between('all_series.known_at', 'newest.known_at') }} <= 7776000
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
    case when met_before.activity_id is null then held_last.meeting_id end as held_meeting_id,
    case when met_before.activity_id is null then booked_last.meeting_id end as booked_meeting_id
from attempts
cross join followed
left join met_before on attempts.activity_id = met_before.activity_id
left join held_last
    on attempts.activity_id = held_last.activity_id and held_last.touch_rank = 1
left join booked_last
    on attempts.activity_id = booked_last.activity_id and booked_last.touch_rank = 1
