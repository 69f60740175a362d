with

moves as (
    select * from {{ ref('int_moves') }}
),

run as (
    select * from {{ ref('stg_run') }}
),

periods as (
    select * from {{ ref('int_stage_periods') }}
),

journeys as (
    select * from {{ ref('int_journeys') }}
),

deals as (
    select * from {{ ref('int_deal_versions') }} where is_current
),

attributes as (
    select * from {{ ref('int_attributes') }}
)

select
    moves.journey_id,
    moves.move_number,
    moves.record_type,
    journeys.deal_id,
    journeys.lead_id,
    attributes.account_id,
    deals.deal_type,
    moves.from_pipeline_id,
    moves.from_stage_id,
    moves.pipeline_id as to_pipeline_id,
    moves.stage_id as to_stage_id,
    periods.stage_kind as to_stage_kind,
    periods.role as to_role,
    moves.move_kind,
    moves.stages_moved,
    case when moves.move_kind in ('merge', 'convert') then journeys.merged_into_journey_id end
        as merged_into_journey_id,
    moves.occurred_at,
    moves.occurred_at_earliest,
    moves.occurred_on,
    moves.recorded_at,
    moves.known_at,
    moves.seconds_in_from_stage,
    moves.is_time_inferred,
    moves.is_order_inferred,
    moves.is_bulk,
    moves.is_mistake,
    moves.is_correction,
    moves.is_conversion,
    moves.is_after_win,
    moves.fidelity,
    attributes.seller_id,
    attributes.segment,
    attributes.business_area,
    attributes.source,
    attributes.amount,
    case when attributes.amount is not null then attributes.currency end as currency,
    attributes.amount_base,
    run.as_of_at
from moves
cross join run
inner join journeys on moves.journey_id = journeys.journey_id
inner join attributes
    on
        moves.journey_id = attributes.journey_id
        and moves.record_type = attributes.record_type
        and moves.occurred_at = attributes.occurred_at
left join deals on journeys.deal_id = deals.deal_id
left join periods
    on
        moves.pipeline_id = periods.pipeline_id
        and moves.stage_id = periods.stage_id
        and {{ valid_on('periods', 'moves.occurred_on') }}
