with

moves as (
    select
        *,
        lead(occurred_at) over (partition by journey_id order by move_number) as left_at,
        lead(occurred_on) over (partition by journey_id order by move_number) as left_on,
        lead(move_kind) over (partition by journey_id order by move_number) as next_move_kind,
        row_number() over (
            partition by journey_id, to_pipeline_id, to_stage_id, is_mistake order by move_number
        ) as visit_of_stage
    from {{ ref('fct_stage_transitions') }}
)

select
    journey_id,
    move_number as visit_number,
    record_type,
    deal_id,
    lead_id,
    account_id,
    deal_type,
    to_pipeline_id as pipeline_id,
    to_stage_id as stage_id,
    to_stage_kind as stage_kind,
    to_role as role,
    occurred_at as entered_at,
    occurred_at_earliest as entered_at_earliest,
    occurred_on as entered_on,
    {{ period_start('month', 'occurred_on') }} as entered_month,
    left_at,
    left_on,
    coalesce(next_move_kind, 'open') as how_ended,
    left_at is null as is_censored,
    cast({{ seconds_between('occurred_at', 'coalesce(left_at, as_of_at)') }} as bigint)
        as seconds_in_stage,
    visit_of_stage = 1 and not is_mistake as is_first_visit,
    is_mistake,
    is_time_inferred,
    fidelity,
    seller_id,
    segment,
    business_area,
    source,
    amount,
    currency,
    amount_base
from moves
where to_stage_id is not null
