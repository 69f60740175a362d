{#
    Activities as last known, and whether they are contact with a customer: a note or a task is not.
    What was deleted, cancelled or only planned did not take place.
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
                    'known_at', 'occurred_at', 'type', 'deal_id', 'lead_id', 'outcome', 'is_deleted'
                ]) }}
        ) as version_rank
    from activities
)

select
    ranked.activity_id,
    ranked.type,
    ranked.occurred_at,
    {{ local_date('ranked.occurred_at', 'run.zone') }} as occurred_on,
    ranked.deal_id,
    ranked.lead_id,
    ranked.outcome,
    ranked.type in ('call', 'meeting', 'email', 'message') as is_contact
from ranked
cross join run
where
    ranked.version_rank = 1
    and not coalesce(ranked.is_deleted, false)
    and coalesce(ranked.outcome not in ('canceled', 'planned'), true)
