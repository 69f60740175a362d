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

seen as (
    select * from {{ ref('int_seen_until') }}
),

merged as (
    select distinct journey_id
    from {{ ref('fct_stage_transitions') }}
    where move_kind = 'merge'
),

visits as (
    select
        *,
        row_number() over (
            partition by journey_id, pipeline_id, role order by visit_number
        ) as entry_into_role
    from {{ ref('fct_stage_visits') }}
    where is_first_visit and stage_kind = 'open'
),

{# Into a pipeline a journey comes with its first move there, whichever stage that is into. #}
first_moves as (
    select
        moves.*,
        moves.to_stage_id is null or coalesce(periods.stage_kind = 'open', false) as is_open,
        row_number() over (
            partition by moves.journey_id, moves.to_pipeline_id order by moves.move_number
        ) as move_into_pipeline
    from {{ ref('fct_stage_transitions') }} as moves
    left join periods
        on
            moves.to_pipeline_id = periods.pipeline_id
            and moves.to_stage_id = periods.stage_id
            and {{ valid_on('periods', 'moves.occurred_on') }}
    where moves.move_kind not in ('delete', 'merge', 'convert') and not moves.is_mistake
),

entries as (
    select
        journey_id,
        visit_number,
        record_type,
        deal_id,
        lead_id,
        account_id,
        deal_type,
        pipeline_id,
        stage_id,
        role,
        entry_into_role,
        entered_at,
        entered_at_earliest,
        entered_on,
        is_time_inferred,
        fidelity,
        seller_id,
        segment,
        business_area,
        source
    from visits
    union all
    select
        journey_id,
        move_number as visit_number,
        record_type,
        deal_id,
        lead_id,
        account_id,
        deal_type,
        to_pipeline_id as pipeline_id,
        cast(null as string) as stage_id,
        cast(null as string) as role,
        cast(null as bigint) as entry_into_role,
        occurred_at as entered_at,
        occurred_at_earliest as entered_at_earliest,
        occurred_on as entered_on,
        is_time_inferred,
        fidelity,
        seller_id,
        segment,
        business_area,
        source
    from first_moves
    where move_into_pipeline = 1 and is_open
),

counted_entries as (
    select
        entries.*,
        entries.stage_id is null as is_into_pipeline,
        {{ system_of("case when entries.record_type = 'lead' then lead_id else deal_id end") }}
            as system_id,
        periods.stage_rank
    from entries
    left join merged on entries.journey_id = merged.journey_id
    left join periods
        on
            entries.pipeline_id = periods.pipeline_id
            and entries.stage_id = periods.stage_id
            and {{ valid_on('periods', 'entries.entered_on') }}
    where coalesce(entries.deal_type <> 'renewal', true) and merged.journey_id is null
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
        entries.journey_id,
        entries.visit_number,
        entries.is_into_pipeline,
        later_moves.move_number,
        later_moves.move_kind,
        later_moves.reached_kind,
        later_moves.is_final_loss,
        {# A loss taken back, and the return from it, leave a deal where it stood. #}
        not entries.is_into_pipeline
        and (later_moves.is_final_loss or coalesce(later_moves.reached_kind <> 'lost', true))
        and (
            {{ is_distinct('later_moves.to_stage_id', 'entries.stage_id') }}
            or {{ is_distinct('later_moves.to_pipeline_id', 'entries.pipeline_id') }}
        ) as is_departure,
        later_moves.stages_moved,
        {# A lead that became a deal got further, whichever pipeline the deal is in; of a deal that
           entered a pipeline nothing is further but to be won. #}
        coalesce(later_moves.reached_kind = 'won', false)
        or (later_moves.is_conversion and entries.record_type = 'lead')
        or coalesce(
            later_moves.to_pipeline_id = entries.pipeline_id
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
        not entries.is_into_pipeline
        and (
            coalesce(reached.role <> entered.role, false)
            or coalesce(later_moves.reached_kind = 'won', false)
            or later_moves.is_conversion
        ) as is_other_role,
        case
            when not entries.is_into_pipeline
                then
                    row_number() over (
                        partition by
                            entries.journey_id, entries.visit_number, entries.is_into_pipeline
                        order by later_moves.move_number
                    )
        end as later_number
    from counted_entries as entries
    inner join later_moves
        on
            entries.journey_id = later_moves.journey_id
            and entries.visit_number < later_moves.move_number
    left join periods as entered
        on
            entries.pipeline_id = entered.pipeline_id
            and entries.stage_id = entered.stage_id
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
        is_into_pipeline,
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
    group by journey_id, visit_number, is_into_pipeline
),

{# What came after a final loss is another attempt; what is lost after a win was won. #}
targets as (
    select
        journey_id,
        visit_number,
        is_into_pipeline,
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
    entries.journey_id,
    entries.visit_number,
    entries.record_type,
    entries.deal_id,
    entries.lead_id,
    entries.account_id,
    entries.pipeline_id,
    entries.stage_id,
    entries.role,
    coalesce(entries.entry_into_role = 1 and entries.role is not null, false) as is_first_in_role,
    entries.entered_at,
    entries.entered_at_earliest,
    entries.entered_on,
    {{ period_start('month', 'entries.entered_on') }} as entered_month,
    entries.is_time_inferred,
    entries.fidelity,
    case
        {# Found in the stage by the first export or the log: entered at any time before. #}
        when
            entries.entered_at_earliest < follow_up.first_known_at
            or (entries.entered_at_earliest is null and entries.fidelity = 'snapshot_diff')
            then null
        when
            entries.entered_at >= follow_up.history_starts_at
            or follow_up.history_starts_at is null
            then entries.entered_at
        {# Of those begun before history, later stages have no known beginning. #}
        when coalesce(entries.stage_rank, 1) = 1 then follow_up.history_starts_at
    end as followed_from_at,
    least(run.as_of_at, coalesce(seen.seen_until_at, follow_up.last_known_at)) as followed_until_at,
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
    entries.seller_id,
    entries.segment,
    entries.business_area,
    entries.source,
    run.as_of
from counted_entries as entries
cross join run
left join follow_up
    on
        entries.system_id = follow_up.system_id
        and entries.record_type = follow_up.record_type
left join seen on entries.journey_id = seen.journey_id
left join targets
    on
        entries.journey_id = targets.journey_id
        and entries.visit_number = targets.visit_number
        and entries.is_into_pipeline = targets.is_into_pipeline
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
