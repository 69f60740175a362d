with

run as (
    select * from {{ ref('stg_run') }}
),

follow_up as (
    select * from {{ ref('int_follow_up') }}
),

periods as (
    select * from {{ ref('int_stage_periods') }}
),

merged as (
    select distinct journey_id
    from {{ ref('fct_stage_transitions') }}
    where move_kind = 'merge'
),

visits as (
    select
        visits.*,
        {{ system_of("case when visits.record_type = 'lead' then lead_id else deal_id end") }}
            as system_id,
        periods.stage_rank,
        row_number() over (
            partition by visits.journey_id, visits.pipeline_id, visits.role
            order by visits.visit_number
        ) as entry_into_role
    from {{ ref('fct_stage_visits') }} as visits
    left join merged on visits.journey_id = merged.journey_id
    left join periods
        on
            visits.pipeline_id = periods.pipeline_id
            and visits.stage_id = periods.stage_id
            and {{ valid_on('periods', 'visits.entered_on') }}
    where
        visits.is_first_visit
        and visits.stage_kind = 'open'
        and coalesce(visits.deal_type <> 'renewal', true)
        and merged.journey_id is null
),

moves as (
    select
        moves.*,
        reached.stage_kind as reached_kind
    from {{ ref('fct_stage_transitions') }} as moves
    left join periods as reached
        on
            moves.to_pipeline_id = reached.pipeline_id
            and moves.to_stage_id = reached.stage_id
            and {{ valid_on('reached', 'moves.occurred_on') }}
    where not moves.is_correction
),

{# A loss taken back within the grace did not happen; a later return begins another attempt. #}
losses as (
    select
        *,
        min(case when reached_kind in ('open', 'won') then occurred_at end) over (
            partition by journey_id order by move_number
            rows between 1 following and unbounded following
        ) as returned_at
    from moves
),

later_moves as (
    select
        losses.*,
        losses.reached_kind = 'lost'
        and coalesce(
            {{ seconds_between('losses.occurred_at', 'losses.returned_at') }}
            > run.reopen_grace_seconds, true
        ) as is_final_loss
    from losses
    cross join run
),

later as (
    select
        visits.journey_id,
        visits.visit_number,
        later_moves.move_number,
        later_moves.move_kind,
        later_moves.reached_kind,
        later_moves.is_final_loss,
        {# A loss taken back, and the return from it, leave a deal where it stood. #}
        (later_moves.is_final_loss or coalesce(later_moves.reached_kind <> 'lost', true))
        and (
            {{ is_distinct('later_moves.to_stage_id', 'visits.stage_id') }}
            or {{ is_distinct('later_moves.to_pipeline_id', 'visits.pipeline_id') }}
        ) as is_departure,
        later_moves.stages_moved,
        {# A lead that became a deal got further, whichever pipeline the deal is in. #}
        coalesce(later_moves.reached_kind = 'won', false)
        or (later_moves.is_conversion and visits.record_type = 'lead')
        or coalesce(
            later_moves.to_pipeline_id = visits.pipeline_id
            and later_moves.reached_kind = 'open'
            and (
                reached.stage_rank > entered.stage_rank
                {# A stage out of use has the rank of the next one that is in use. #}
                or (
                    reached.stage_rank = entered.stage_rank
                    and reached.position > entered.position
                    and not entered.is_in_force
                )
            ),
            false
        ) as is_further,
        coalesce(reached.role <> entered.role, false)
        or coalesce(later_moves.reached_kind = 'won', false)
        or later_moves.is_conversion as is_other_role,
        row_number() over (
            partition by visits.journey_id, visits.visit_number order by later_moves.move_number
        ) as later_number
    from visits
    inner join later_moves
        on
            visits.journey_id = later_moves.journey_id
            and visits.visit_number < later_moves.move_number
    left join periods as entered
        on
            visits.pipeline_id = entered.pipeline_id
            and visits.stage_id = entered.stage_id
            and {{ valid_on('entered', 'later_moves.occurred_on') }}
    left join periods as reached
        on
            later_moves.to_pipeline_id = reached.pipeline_id
            and later_moves.to_stage_id = reached.stage_id
            and {{ valid_on('reached', 'later_moves.occurred_on') }}
),

firsts as (
    select
        journey_id,
        visit_number,
        min(case when is_departure then move_number end) as left_number,
        min(case when is_further then move_number end) as next_any_number,
        min(case when is_further and is_other_role then move_number end) as next_role_number,
        min(
            case
                when later_number = 1 and move_kind in ('advance', 'won') and stages_moved = 1
                    then move_number
            end
        ) as next_direct_number,
        min(case when reached_kind = 'won' then move_number end) as won_number,
        min(case when is_final_loss then move_number end) as lost_number
    from later
    group by journey_id, visit_number
),

{# What came after a final loss is another attempt; what is lost after a win was won. #}
targets as (
    select
        journey_id,
        visit_number,
        left_number,
        next_direct_number,
        {# One move can be both: a lead that became a deal already lost. #}
        case
            when next_any_number <= lost_number or lost_number is null then next_any_number
        end as next_any_number,
        case
            when next_role_number <= lost_number or lost_number is null then next_role_number
        end as next_role_number,
        case when won_number < lost_number or lost_number is null then won_number end
            as won_number,
        case when lost_number < won_number or won_number is null then lost_number end
            as lost_number
    from firsts
)

select
    visits.journey_id,
    visits.visit_number,
    visits.record_type,
    visits.deal_id,
    visits.lead_id,
    visits.account_id,
    visits.pipeline_id,
    visits.stage_id,
    visits.role,
    visits.entry_into_role = 1 and visits.role is not null as is_first_in_role,
    visits.entered_at,
    visits.entered_at_earliest,
    visits.entered_month,
    visits.is_time_inferred,
    visits.fidelity,
    case
        {# Found in the stage by the first export: entered at any time before. #}
        when
            visits.fidelity = 'snapshot_diff'
            and coalesce(visits.entered_at_earliest < follow_up.first_known_at, true)
            then null
        when
            visits.entered_at >= follow_up.history_starts_at
            or follow_up.history_starts_at is null
            then visits.entered_at
        {# Of those begun before history, later stages have no known beginning. #}
        when coalesce(visits.stage_rank, 1) = 1 then follow_up.history_starts_at
    end as followed_from_at,
    least(run.as_of_at, follow_up.last_known_at) as followed_until_at,
    departures.occurred_at as left_at,
    departures.occurred_at_earliest as left_at_earliest,
    next_any.occurred_at as next_any_at,
    next_any.occurred_at_earliest as next_any_at_earliest,
    next_direct.occurred_at as next_direct_at,
    next_direct.occurred_at_earliest as next_direct_at_earliest,
    next_role.occurred_at as next_role_at,
    next_role.occurred_at_earliest as next_role_at_earliest,
    won.occurred_at as won_at,
    won.occurred_at_earliest as won_at_earliest,
    lost.occurred_at as lost_at,
    lost.occurred_at_earliest as lost_at_earliest,
    visits.seller_id,
    visits.segment,
    visits.business_area,
    visits.source,
    run.as_of
from visits
cross join run
left join follow_up
    on
        visits.system_id = follow_up.system_id
        and visits.record_type = follow_up.record_type
left join targets
    on visits.journey_id = targets.journey_id and visits.visit_number = targets.visit_number
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
