{#
    Activities as last known, and whether they are contact with a customer: a note or a task is not,
    nor is what is only planned, or what nobody came to. What was deleted or cancelled is left out.
    Marked as done before it was due, it took place then; on the day it was due, of which no time is
    stated, that moment is its time. Marked as done later, it took place when it was due.
#}
{% set columns = [
    'type', 'source_type', 'occurred_at', 'completed_at', 'seller_id', 'deal_id', 'lead_id',
    'contact_id', 'account_id', 'email_hash', 'phone_hash', 'direction', 'outcome', 'duration_s',
    'segment', 'campaign_id', 'message_variant', 'sender_id', 'reminder_no', 'is_deleted',
] %}

with

run as (
    select * from {{ ref('stg_run') }}
),

activities as (
    select * from {{ ref('stg_activities') }}
),

repeated as (
    select activity_id
    from activities
    group by activity_id
    having count(*) > 1
),

numbered as (
    select
        *,
        coalesce(
            min(stated_columns) over (partition by activity_id)
            = max(stated_columns) over (partition by activity_id),
            false
        ) as is_always_stated_alike,
        row_number() over (
            partition by activity_id order by known_at asc, {{ made_order(columns) }}
        ) as version_number,
        count(*) over (partition by activity_id) as n_versions
    from activities
    where activity_id in (select repeated.activity_id from repeated)
),

told as (
    select
        {% for column in columns -%}
            {{ is_stated(column) }} as is_stated_{{ column }},
        {% endfor -%}
        *
    from numbered
    where not is_always_stated_alike
),

carried as (
    select
        activity_id,
        known_at,
        {% for column in columns -%}
            {{ last_known(column, 'activity_id', false) }} as last_{{ column }},
        {% endfor -%}
        version_number = n_versions as is_current
    from told
),

{# Nearly all activities have one version, or the same columns in every one: nothing to carry on. #}
current_activities as (
    select
        {% for column in columns -%}
            last_{{ column }}['v'] as {{ column }},
        {% endfor -%}
        activity_id,
        known_at
    from carried
    where is_current
    union all
    select
        {% for column in columns -%}
            {{ column }},
        {% endfor -%}
        activity_id,
        known_at
    from numbered
    where is_always_stated_alike and version_number = n_versions
    union all
    select
        {% for column in columns -%}
            {{ column }},
        {% endfor -%}
        activity_id,
        known_at
    from activities
    where activity_id not in (select repeated.activity_id from repeated)
),

timed as (
    select
        activities.*,
        case
            when activities.completed_at < activities.occurred_at then activities.completed_at
            when
                {{ local_date('activities.occurred_at', 'run.zone') }}
                = {{ local_date('activities.completed_at', 'run.zone') }}
                and {{ is_midnight('activities.occurred_at', 'run.zone') }}
                then activities.completed_at
            else activities.occurred_at
        end as used_at,
        run.zone
    from current_activities as activities
    cross join run
    where not coalesce(activities.is_deleted, false)
)

select
    activity_id,
    type,
    source_type,
    used_at as occurred_at,
    {{ local_date('used_at', 'zone') }} as occurred_on,
    {# A date without a time has no hour. #}
    case
        when not coalesce({{ is_midnight('used_at', 'zone') }}, true)
            then {{ local_hour('used_at', 'zone') }}
    end as local_hour,
    seller_id,
    deal_id,
    lead_id,
    contact_id,
    account_id,
    email_hash,
    phone_hash,
    direction,
    outcome,
    duration_s,
    segment,
    campaign_id,
    message_variant,
    sender_id,
    reminder_no,
    known_at,
    coalesce(outcome in ('planned', 'booked'), false) as is_planned,
    type in ('call', 'meeting', 'email', 'message')
    and coalesce(outcome not in ('planned', 'booked', 'no_show', 'rescheduled'), true)
        as is_contact
from timed
where coalesce(outcome <> 'canceled', true)
