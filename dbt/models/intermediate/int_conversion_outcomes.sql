{#
    One row per first entry of a journey into an open stage, horizon and definition: was there full
    follow-up, and was the target reached within it. Corrections did not happen; renewals are no
    new business; what was merged into another journey is counted there.
#}
with

run as (
    select * from {{ ref('stg_run') }}
),

horizons as (
    select * from {{ ref('int_horizons') }}
),

merged as (
    select distinct journey_id
    from {{ ref('fct_stage_transitions') }}
    where kind = 'merge'
),

visits as (
    select visits.*
    from {{ ref('fct_stage_visits') }} as visits
    left join merged on visits.journey_id = merged.journey_id
    where
        visits.is_first_visit
        and visits.stage_kind = 'open'
        and coalesce(visits.deal_type <> 'renewal', true)
        and merged.journey_id is null
),

moves as (
    select * from {{ ref('fct_stage_transitions') }} where not is_correction
),

periods as (
    select * from {{ ref('int_stage_periods') }}
),

later as (
    select
        visits.journey_id,
        visits.visit_number,
        moves.move_number,
        moves.kind,
        reached.kind as reached_kind,
        moves.stages_moved,
        moves.occurred_at,
        {# A lead that became a deal got further, whichever pipeline the deal is in. #}
        coalesce(reached.kind = 'won', false)
        or (moves.is_conversion and visits.record_type = 'lead')
        or coalesce(
            moves.to_pipeline_id = visits.pipeline_id
            and reached.kind = 'open'
            and reached.stage_rank > entered.stage_rank, false
        ) as is_further,
        row_number() over (
            partition by visits.journey_id, visits.visit_number order by moves.move_number
        ) as later_number
    from visits
    inner join moves
        on visits.journey_id = moves.journey_id and visits.visit_number < moves.move_number
    left join periods as entered
        on
            visits.pipeline_id = entered.pipeline_id
            and visits.stage_id = entered.stage_id
            and {{ on_day('entered', 'moves.occurred_on') }}
    left join periods as reached
        on
            moves.to_pipeline_id = reached.pipeline_id
            and moves.to_stage_id = reached.stage_id
            and {{ on_day('reached', 'moves.occurred_on') }}
),

firsts as (
    select
        journey_id,
        visit_number,
        min(case when is_further then occurred_at end) as next_any_at,
        min(
            case
                when later_number = 1 and kind in ('advance', 'won') and stages_moved = 1
                    then occurred_at
            end
        ) as next_direct_at,
        min(case when reached_kind = 'won' then occurred_at end) as won_at,
        min(case when reached_kind = 'lost' then occurred_at end) as lost_at
    from later
    group by journey_id, visit_number
),

targets as (
    select
        visits.*,
        firsts.next_any_at,
        firsts.next_direct_at,
        firsts.won_at,
        firsts.lost_at
    from visits
    left join firsts
        on visits.journey_id = firsts.journey_id and visits.visit_number = firsts.visit_number
),

by_definition as (
    select
        *,
        'next_any' as definition_id,
        next_any_at as reached_at
    from targets
    union all
    select
        *,
        'next_direct' as definition_id,
        next_direct_at as reached_at
    from targets
    union all
    select
        *,
        'won' as definition_id,
        won_at as reached_at
    from targets
    union all
    select
        *,
        'lost' as definition_id,
        lost_at as reached_at
    from targets
),

timed as (
    select
        by_definition.*,
        run.as_of,
        horizons.horizon_days,
        {{ seconds_between('by_definition.entered_at', 'run.as_of_at') }} as seconds_followed,
        {{ seconds_between('by_definition.entered_at', 'by_definition.reached_at') }}
            as seconds_to_reach
    from by_definition
    cross join horizons
    cross join run
),

judged as (
    select
        *,
        seconds_followed >= horizon_days * 86400 as is_mature,
        coalesce(seconds_to_reach <= horizon_days * 86400, false) as is_reached
    from timed
)

select
    journey_id,
    visit_number,
    pipeline_id,
    stage_id,
    seller_id,
    segment,
    source,
    entered_month,
    horizon_days,
    definition_id,
    as_of,
    is_mature,
    is_reached,
    case
        when is_mature and is_reached and not is_time_inferred
            then {{ rate('seconds_to_reach', '86400') }}
    end as days_to_reach
from judged
