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
        stage_kind,
        min(stage_id) as stage_id
    from stages
    where stage_kind in ('won', 'lost')
    group by pipeline_id, stage_kind
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

steps_with_latest as (
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
states as (
    select
        steps_with_latest.*,
        coalesce(latest_stages.new_value, first_stages.old_value) as stage_then,
        latest_stages.pipeline_id as named_pipeline_id,
        lower(statuses.new_value) as status_then
    from steps_with_latest
    left join stepped as latest_stages
        on
            steps_with_latest.deal_id = latest_stages.deal_id
            and steps_with_latest.fidelity = latest_stages.fidelity
            and steps_with_latest.stage_step = latest_stages.step
    left join stepped as first_stages
        on
            steps_with_latest.deal_id = first_stages.deal_id
            and steps_with_latest.fidelity = first_stages.fidelity
            and steps_with_latest.first_stage_step = first_stages.step
    left join stepped as statuses
        on
            steps_with_latest.deal_id = statuses.deal_id
            and steps_with_latest.fidelity = statuses.fidelity
            and steps_with_latest.status_step = statuses.step
),

placed as (
    select
        states.*,
        coalesce(states.named_pipeline_id, pipelines.value) as pipeline_then
    from states
    left join pipelines
        on
            states.deal_id = pipelines.entity_id
            and {{ valid_at('pipelines', 'states.occurred_at') }}
),

resolved as (
    select
        states.deal_id,
        states.pipeline_then as pipeline_id,
        case
            when coalesce(stages.stage_kind, 'open') = states.status_then then states.stage_then
            else coalesce(closing_stages.stage_id, states.stage_then)
        end as stage_id,
        states.occurred_at,
        states.recorded_at,
        states.first_known_at,
        states.fidelity,
        case
            when states.fidelity = 'event_log' and states.field = 'stage_id'
                then states.order_number
        end as order_number,
        states.step,
        states.is_bulk,
        states.is_tie,
        states.log_known_until
    from placed as states
    left join stages
        on states.pipeline_then = stages.pipeline_id and states.stage_then = stages.stage_id
    left join closing_stages
        on
            states.pipeline_then = closing_stages.pipeline_id
            and states.status_then = closing_stages.stage_kind
)

select * from resolved
where stage_id is not null
