{#
    By which of its journey's later moves each entry left the stage, and reached each target; null
    where it did not. A model of its own, so that what it takes to find them is let go of before
    their times are looked up.
#}
with

run as (
    select * from {{ ref('stg_run') }}
),

periods as (
    select * from {{ ref('int_stage_periods') }}
),

entries as (
    select * from {{ ref('int_stage_entries') }}
),

moves as (
    select
        moves.journey_id,
        moves.move_number,
        moves.move_kind,
        moves.to_pipeline_id,
        moves.to_stage_id,
        moves.stages_moved,
        moves.occurred_at,
        moves.occurred_on,
        moves.is_conversion,
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
returned as (
    select
        losses.journey_id,
        losses.move_number,
        min(next_moves.occurred_at) as returned_at
    from moves as losses
    inner join moves as next_moves
        on
            losses.journey_id = next_moves.journey_id
            and losses.move_number < next_moves.move_number
    where losses.reached_kind = 'lost' and next_moves.reached_kind in ('open', 'won')
    group by losses.journey_id, losses.move_number
),

later_moves as (
    select
        moves.*,
        moves.reached_kind = 'lost'
        and coalesce(
            {{ seconds_between('moves.occurred_at', 'returned.returned_at') }}
            > run.reopen_grace_seconds, true
        ) as is_final_loss
    from moves
    cross join run
    left join returned
        on moves.journey_id = returned.journey_id and moves.move_number = returned.move_number
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
        ) as is_other_role
    from entries
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
        min(move_number) as first_number,
        min(
            case
                when
                    not is_into_pipeline
                    and move_kind in ('advance', 'won')
                    and stages_moved = 1
                    then move_number
            end
        ) as first_direct_number,
        min(case when reached_kind = 'won' then move_number end) as won_number,
        min(case when is_final_loss then move_number end) as lost_number
    from later
    group by journey_id, visit_number, is_into_pipeline
)

{# What came after a final loss is another attempt; what is lost after a win was won. #}
select
    journey_id,
    visit_number,
    is_into_pipeline,
    left_number,
    case when first_direct_number = first_number then first_direct_number end
        as next_direct_number,
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
