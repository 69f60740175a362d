{#
    One row per first entry of a deal into an open stage, horizon and definition: was there full
    follow-up, and was the target reached within it.
#}
with

run as (
    select * from {{ ref('stg_run') }}
),

horizons as (
    select * from {{ ref('int_horizons') }}
),

visits as (
    select * from {{ ref('fct_stage_visits') }} where is_first_visit and stage_kind = 'open'
),

moves as (
    select * from {{ ref('fct_stage_transitions') }}
),

stages as (
    select * from {{ ref('int_stages') }}
),

later as (
    select
        visits.journey_id,
        visits.visit_number,
        min(
            case
                when moves.kind = 'won' then moves.occurred_at
                when
                    moves.to_pipeline_id = visits.pipeline_id
                    and reached.stage_rank > entered.stage_rank
                    then moves.occurred_at
            end
        ) as next_any_at,
        min(case when moves.kind = 'won' then moves.occurred_at end) as won_at,
        min(case when moves.kind = 'lost' then moves.occurred_at end) as lost_at
    from visits
    inner join moves
        on visits.journey_id = moves.journey_id and visits.visit_number < moves.move_number
    inner join stages as entered
        on visits.pipeline_id = entered.pipeline_id and visits.stage_id = entered.stage_id
    left join stages as reached
        on
            moves.to_pipeline_id = reached.pipeline_id
            and moves.to_stage_id = reached.stage_id
            and reached.kind = 'open'
    group by visits.journey_id, visits.visit_number
),

targets as (
    select
        visits.*,
        later.next_any_at,
        case when visits.is_left_directly_forward then visits.left_at end as next_direct_at,
        later.won_at,
        later.lost_at
    from visits
    left join later
        on visits.journey_id = later.journey_id and visits.visit_number = later.visit_number
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
