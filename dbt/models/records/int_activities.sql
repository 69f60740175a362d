{#
    Activities as last known, and whether they are contact with a customer: a note or a task is not,
    nor is what is only planned, or what nobody came to. What was deleted or cancelled is left out.
    Marked as done before it was due, it took place then; on the day it was due, of which no time is
    stated, that moment is its time. Marked as done later, it took place when it was due.
#}
{% set columns = [
    'type', 'source_type', 'occurred_at', 'completed_at', 'deal_id', 'lead_id', 'outcome',
    'is_deleted',
] %}

with

run as (
    select * from {{ ref('stg_run') }}
),

activities as (
    select * from {{ ref('stg_activities') }}
),

numbered as (
    select
        *,
        {% for column in columns -%}
            {{ is_stated(column) }} as is_stated_{{ column }},
        {% endfor -%}
        row_number() over (
            partition by activity_id order by known_at asc, {{ made_order(columns) }}
        ) as version_number
    from activities
),

carried as (
    select
        activity_id,
        {% for column in columns -%}
            {{ last_known(column, 'activity_id', false) }} as last_{{ column }},
        {% endfor -%}
        version_number = max(version_number) over (partition by activity_id) as is_current
    from numbered
),

current_activities as (
    select
        {% for column in columns -%}
            last_{{ column }}['v'] as {{ column }},
        {% endfor -%}
        activity_id
    from carried
    where is_current
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
    deal_id,
    lead_id,
    coalesce(outcome in ('planned', 'booked'), false) as is_planned,
    type in ('call', 'meeting', 'email', 'message')
    and coalesce(outcome not in ('planned', 'booked', 'no_show', 'rescheduled'), true)
        as is_contact
from timed
where coalesce(outcome <> 'canceled', true)
