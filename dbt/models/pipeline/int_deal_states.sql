{#
    Each deal from one instant at which anything about it changed to the next: whether it is in the
    open pipeline, under whom and where, and for how much. Its value in company currency is that of
    the day its amount was stated, and of the day it left the pipeline.
#}
with

moves as (
    select * from {{ ref('int_moves') }} where record_type = 'deal'
),

journeys as (
    select * from {{ ref('int_journeys') }}
),

attributes as (
    select * from {{ ref('int_attributes') }} where record_type = 'deal'
),

last_of_instant as (
    select
        journey_id,
        occurred_at,
        max(move_number) as move_number
    from moves
    group by journey_id, occurred_at
),

{# Moves are among the instants, so that each has one, and the first of a deal is a move. #}
states as (
    select
        attributes.*,
        last_of_instant.move_number as own_move_number,
        max(last_of_instant.move_number) over (
            partition by attributes.journey_id
            order by attributes.occurred_at rows between unbounded preceding and current row
        ) as move_number,
        lag(attributes.amount) over (
            partition by attributes.journey_id order by attributes.occurred_at
        ) as previous_amount,
        lag(attributes.currency) over (
            partition by attributes.journey_id order by attributes.occurred_at
        ) as previous_currency,
        row_number() over (
            partition by attributes.journey_id order by attributes.occurred_at
        ) as state_number
    from attributes
    left join last_of_instant
        on
            attributes.journey_id = last_of_instant.journey_id
            and attributes.occurred_at = last_of_instant.occurred_at
),

placed as (
    select
        states.*,
        moves.move_kind,
        moves.move_kind = 'create' and moves.fidelity = 'snapshot_diff' as is_first_seen,
        case when moves.is_after_win then 'won' else moves.stage_kind end as stage_kind,
        moves.from_stage_kind,
        coalesce(
            moves.pipeline_id, moves.from_pipeline_id, states.pipeline_id
        ) as standing_pipeline_id,
        coalesce(moves.stage_kind = 'open' and not moves.is_after_win, false) as is_open
    from states
    inner join moves
        on
            states.journey_id = moves.journey_id
            and states.move_number = moves.move_number
),

valued as (
    select
        *,
        coalesce(
            state_number = 1
            or {{ is_distinct('amount', 'previous_amount') }}
            or currency <> previous_currency
            or (own_move_number is not null and not is_open),
            false
        ) as is_valued
    from placed
)

select
    valued.journey_id,
    journeys.deal_id,
    cast(valued.state_number as bigint) as state_number,
    valued.occurred_at,
    valued.occurred_on,
    lead(valued.occurred_on) over (
        partition by valued.journey_id order by valued.state_number
    ) as next_on,
    valued.is_open,
    valued.stage_kind,
    case when valued.move_kind in ('delete', 'merge') then valued.from_stage_kind end
        as removed_from_kind,
    valued.move_kind,
    valued.is_first_seen,
    valued.seller_id,
    valued.segment,
    valued.business_area,
    valued.source,
    valued.standing_pipeline_id as pipeline_id,
    valued.currency,
    valued.expected_close_on,
    {{ period_start('quarter', 'valued.expected_close_on') }} as close_quarter_on,
    valued.amount,
    ({{ last_stated(
        'valued.amount_base',
        'valued.is_valued',
        'partition by valued.journey_id order by valued.state_number'
    ) }}).v as amount_base
from valued
inner join journeys on valued.journey_id = journeys.journey_id
