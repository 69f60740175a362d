with

run as (
    select * from {{ ref('stg_run') }}
),

moves as (
    select * from {{ ref('fct_stage_transitions') }}
),

stages as (
    select * from {{ ref('int_stages') }}
),

followed as (
    select
        *,
        lead(occurred_at) over (partition by journey_id order by move_number) as left_at,
        lead(kind) over (partition by journey_id order by move_number) as next_kind,
        lead(stages_moved) over (partition by journey_id order by move_number) as next_moved,
        row_number() over (
            partition by journey_id, to_pipeline_id, to_stage_id order by move_number
        ) as visit_of_stage
    from moves
)

select
    followed.journey_id,
    followed.move_number as visit_number,
    followed.deal_id,
    followed.lead_id,
    followed.account_id,
    followed.to_pipeline_id as pipeline_id,
    followed.to_stage_id as stage_id,
    stages.kind as stage_kind,
    followed.occurred_at as entered_at,
    followed.occurred_at_earliest as entered_at_earliest,
    followed.occurred_on as entered_on,
    cast(date_trunc('month', followed.occurred_on) as date) as entered_month,
    followed.left_at,
    coalesce(followed.next_kind, 'open') as how_ended,
    followed.left_at is null as is_censored,
    cast(
        {{ seconds_between('followed.occurred_at', 'coalesce(followed.left_at, run.as_of_at)') }}
        as bigint
    ) as seconds_in_stage,
    followed.visit_of_stage = 1 as is_first_visit,
    coalesce(followed.next_moved = 1 and followed.next_kind in ('advance', 'won'), false)
        as is_left_directly_forward,
    followed.is_time_inferred,
    followed.fidelity,
    followed.seller_id,
    followed.segment,
    followed.business_area,
    followed.source,
    followed.amount,
    followed.currency
from followed
left join stages
    on followed.to_pipeline_id = stages.pipeline_id and followed.to_stage_id = stages.stage_id
cross join run
