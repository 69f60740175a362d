{#
    Stages as logs tell them. Where a CRM keeps won and lost as a status beside the stage, both are
    read together: a deal whose status became won stands in its pipeline's won stage, and one that
    was opened again stands where it stood before.
#}
with

changes as (
    select * from {{ ref('int_deal_changes') }}
    where field = 'stage_id' or (field = 'status' and fidelity = 'event_log')
),

pipelines as (
    select * from {{ ref('int_attribute_history') }}
    where entity_type = 'deal' and field = 'pipeline_id'
),

stages as (
    select * from {{ ref('int_stages') }}
),

closing_stages as (
    select
        pipeline_id,
        kind,
        min(stage_id) as stage_id
    from stages
    where kind in ('won', 'lost')
    group by pipeline_id, kind
),

stepped as (
    select
        *,
        row_number() over (
            partition by deal_id, fidelity
            order by
                occurred_at asc,
                case field when 'stage_id' then 0 else 1 end asc,
                change_number asc
        ) as step
    from changes
),

carried as (
    select
        *,
        max(case when field = 'stage_id' then step end) over (
            partition by deal_id, fidelity
            order by step rows between unbounded preceding and current row
        ) as stage_step,
        max(case when field = 'status' then step end) over (
            partition by deal_id, fidelity
            order by step rows between unbounded preceding and current row
        ) as status_step,
        min(case when field = 'stage_id' then step end) over (
            partition by deal_id, fidelity
        ) as first_stage_step
    from stepped
),

{# A status that changed before any stage did: the deal stood where its first change left from. #}
together as (
    select
        carried.*,
        coalesce(latest_stages.new_value, first_stages.old_value) as stage_then,
        lower(statuses.new_value) as status_then
    from carried
    left join stepped as latest_stages
        on
            carried.deal_id = latest_stages.deal_id
            and carried.fidelity = latest_stages.fidelity
            and carried.stage_step = latest_stages.step
    left join stepped as first_stages
        on
            carried.deal_id = first_stages.deal_id
            and carried.fidelity = first_stages.fidelity
            and carried.first_stage_step = first_stages.step
    left join stepped as statuses
        on
            carried.deal_id = statuses.deal_id
            and carried.fidelity = statuses.fidelity
            and carried.status_step = statuses.step
),

resolved as (
    select
        together.deal_id,
        pipelines.value as pipeline_id,
        case
            when coalesce(stages.kind, 'open') = together.status_then then together.stage_then
            else coalesce(closing_stages.stage_id, together.stage_then)
        end as stage_id,
        together.occurred_at,
        together.recorded_at,
        together.first_known_at,
        together.fidelity,
        case
            when together.fidelity = 'event_log' and together.field = 'stage_id'
                then together.order_number
        end as order_number,
        together.step,
        together.is_bulk,
        together.is_tie,
        together.log_known_until
    from together
    left join pipelines
        on
            together.deal_id = pipelines.entity_id
            and {{ in_force('pipelines', 'together.occurred_at') }}
    left join stages
        on pipelines.value = stages.pipeline_id and together.stage_then = stages.stage_id
    left join closing_stages
        on
            pipelines.value = closing_stages.pipeline_id
            and together.status_then = closing_stages.kind
)

select * from resolved
where stage_id is not null
