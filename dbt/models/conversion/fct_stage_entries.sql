with

targets as (
    select * from {{ ref('fct_entry_targets') }}
),

moves as (
    select * from {{ ref('fct_stage_transitions') }}
),

{# One join for all of them: six, each with all moves, held more than 8 GB of 10 M at once. #}
moves_of_journeys as (
    select
        journey_id,
        {{ map_by('move_number', ['occurred_at', 'occurred_at_earliest', 'is_time_inferred']) }}
            as by_number
    from moves
    group by journey_id
),

reached as (
    select
        targets.*,
        moves_of_journeys.by_number[targets.left_number] as departure,
        moves_of_journeys.by_number[targets.next_any_number] as next_any,
        moves_of_journeys.by_number[targets.next_direct_number] as next_direct,
        moves_of_journeys.by_number[targets.next_role_number] as next_role,
        moves_of_journeys.by_number[targets.won_number] as won,
        moves_of_journeys.by_number[targets.lost_number] as lost
    from targets
    inner join moves_of_journeys on targets.journey_id = moves_of_journeys.journey_id
)

select
    reached.journey_id,
    reached.visit_number,
    entered.record_type,
    entered.deal_id,
    entered.lead_id,
    entered.account_id,
    entered.to_pipeline_id as pipeline_id,
    case when not reached.is_into_pipeline then entered.to_stage_id end as stage_id,
    case when not reached.is_into_pipeline then entered.to_role end as role,
    reached.is_first_in_role,
    entered.occurred_at as entered_at,
    entered.occurred_at_earliest as entered_at_earliest,
    entered.occurred_on as entered_on,
    {{ period_start('month', 'entered.occurred_on') }} as entered_month,
    entered.is_time_inferred,
    entered.fidelity,
    case
        when reached.is_followed then coalesce(reached.followed_late_from_at, entered.occurred_at)
    end as followed_from_at,
    reached.followed_until_at,
    reached.departure.occurred_at as left_at,
    reached.departure.occurred_at_earliest as left_at_earliest,
    reached.next_any.occurred_at as next_any_at,
    reached.next_any.occurred_at_earliest as next_any_at_earliest,
    reached.next_any.is_time_inferred as is_next_any_inferred,
    reached.next_direct.occurred_at as next_direct_at,
    reached.next_direct.occurred_at_earliest as next_direct_at_earliest,
    reached.next_direct.is_time_inferred as is_next_direct_inferred,
    reached.next_role.occurred_at as next_role_at,
    reached.next_role.occurred_at_earliest as next_role_at_earliest,
    reached.won.occurred_at as won_at,
    reached.won.occurred_at_earliest as won_at_earliest,
    reached.won.is_time_inferred as is_won_inferred,
    reached.lost.occurred_at as lost_at,
    reached.lost.occurred_at_earliest as lost_at_earliest,
    reached.lost.is_time_inferred as is_lost_inferred,
    entered.seller_id,
    entered.segment,
    entered.business_area,
    entered.source,
    reached.as_of
from reached
inner join moves as entered
    on reached.journey_id = entered.journey_id and reached.visit_number = entered.move_number
