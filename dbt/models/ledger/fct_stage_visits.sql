with

run as (
    select * from {{ ref('stg_run') }}
),

moves as (
    select * from {{ ref('fct_stage_transitions') }}
),

periods as (
    select * from {{ ref('int_stage_periods') }}
),

followed as (
    select
        *,
        lead(occurred_at) over (partition by journey_id order by move_number) as left_at,
        lead(occurred_on) over (partition by journey_id order by move_number) as left_on,
        lead(move_kind) over (partition by journey_id order by move_number) as next_move_kind,
        row_number() over (
            partition by journey_id, to_pipeline_id, to_stage_id, is_mistake order by move_number
        ) as visit_of_stage
    from moves
)

select
    followed.journey_id,
    followed.move_number as visit_number,
    followed.record_type,
    followed.deal_id,
    followed.lead_id,
    followed.account_id,
    followed.deal_type,
    followed.to_pipeline_id as pipeline_id,
    followed.to_stage_id as stage_id,
    periods.stage_kind,
    periods.role,
    followed.occurred_at as entered_at,
    followed.occurred_at_earliest as entered_at_earliest,
    followed.occurred_on as entered_on,
    {{ period_start('month', 'followed.occurred_on') }} as entered_month,
    followed.left_at,
    followed.left_on,
    coalesce(followed.next_move_kind, 'open') as how_ended,
    followed.left_at is null as is_censored,
    cast(
        {{ seconds_between('followed.occurred_at', 'coalesce(followed.left_at, run.as_of_at)') }}
        as bigint
    ) as seconds_in_stage,
    followed.visit_of_stage = 1 and not followed.is_mistake as is_first_visit,
    followed.is_mistake,
    followed.is_time_inferred,
    followed.fidelity,
    followed.seller_id,
    followed.segment,
    followed.business_area,
    followed.source,
    followed.amount,
    followed.currency,
    followed.amount_base
from followed
cross join run
left join periods
    on
        followed.to_pipeline_id = periods.pipeline_id
        and followed.to_stage_id = periods.stage_id
        and {{ valid_on('periods', 'followed.occurred_on') }}
where followed.to_stage_id is not null
