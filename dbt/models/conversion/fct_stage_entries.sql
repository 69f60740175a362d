with

targets as (
    select * from {{ ref('fct_entry_targets') }}
),

moves as (
    select * from {{ ref('fct_stage_transitions') }}
)

select
    targets.journey_id,
    targets.visit_number,
    entered.record_type,
    entered.deal_id,
    entered.lead_id,
    entered.account_id,
    entered.to_pipeline_id as pipeline_id,
    case when not targets.is_into_pipeline then entered.to_stage_id end as stage_id,
    case when not targets.is_into_pipeline then entered.to_role end as role,
    targets.is_first_in_role,
    entered.occurred_at as entered_at,
    entered.occurred_at_earliest as entered_at_earliest,
    entered.occurred_on as entered_on,
    {{ period_start('month', 'entered.occurred_on') }} as entered_month,
    entered.is_time_inferred,
    entered.fidelity,
    case
        when targets.is_followed then coalesce(targets.followed_late_from_at, entered.occurred_at)
    end as followed_from_at,
    targets.followed_until_at,
    departures.occurred_at as left_at,
    departures.occurred_at_earliest as left_at_earliest,
    next_any.occurred_at as next_any_at,
    next_any.occurred_at_earliest as next_any_at_earliest,
    next_any.is_time_inferred as is_next_any_inferred,
    next_direct.occurred_at as next_direct_at,
    next_direct.occurred_at_earliest as next_direct_at_earliest,
    next_direct.is_time_inferred as is_next_direct_inferred,
    next_role.occurred_at as next_role_at,
    next_role.occurred_at_earliest as next_role_at_earliest,
    won.occurred_at as won_at,
    won.occurred_at_earliest as won_at_earliest,
    won.is_time_inferred as is_won_inferred,
    lost.occurred_at as lost_at,
    lost.occurred_at_earliest as lost_at_earliest,
    lost.is_time_inferred as is_lost_inferred,
    entered.seller_id,
    entered.segment,
    entered.business_area,
    entered.source,
    targets.as_of
from targets
inner join moves as entered
    on targets.journey_id = entered.journey_id and targets.visit_number = entered.move_number
left join moves as departures
    on targets.journey_id = departures.journey_id and targets.left_number = departures.move_number
left join moves as next_any
    on targets.journey_id = next_any.journey_id and targets.next_any_number = next_any.move_number
left join moves as next_direct
    on
        targets.journey_id = next_direct.journey_id
        and targets.next_direct_number = next_direct.move_number
left join moves as next_role
    on
        targets.journey_id = next_role.journey_id
        and targets.next_role_number = next_role.move_number
left join moves as won
    on targets.journey_id = won.journey_id and targets.won_number = won.move_number
left join moves as lost
    on targets.journey_id = lost.journey_id and targets.lost_number = lost.move_number
