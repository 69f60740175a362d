{#
    Activities as last known, and whether they are contact with a customer: a note or a task is not,
    nor is what is only planned, or what nobody came to. What was deleted or cancelled is left out.
    Marked as done before it was due, it took place then; on the day it was due, of which no time is
    stated, that moment is its time. Marked as done later, it took place when it was due.
#}
with

run as (
    select * from {{ ref('stg_run') }}
),

activities as (
    select * from {{ ref('stg_activities') }}
),

ranked as (
    select
        *,
        row_number() over (
            partition by activity_id
            order by
                {{ total_order([
                    'known_at', 'occurred_at', 'completed_at', 'type', 'source_type', 'deal_id',
                    'lead_id', 'outcome', 'is_deleted'
                ]) }}
        ) as version_rank
    from activities
),

timed as (
    select
        ranked.*,
        case
            when ranked.completed_at < ranked.occurred_at then ranked.completed_at
            when
                {{ local_date('ranked.occurred_at', 'run.zone') }}
                = {{ local_date('ranked.completed_at', 'run.zone') }}
                and {{ is_midnight('ranked.occurred_at', 'run.zone') }}
                then ranked.completed_at
            else ranked.occurred_at
        end as used_at,
        run.zone
    from ranked
    cross join run
    where ranked.version_rank = 1 and not coalesce(ranked.is_deleted, false)
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
