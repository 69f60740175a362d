{#
    One row per entry, horizon and definition: was there full follow-up, and was the target reached
    within it.
#}
with

entries as (
    select * from {{ ref('fct_stage_entries') }}
),

horizons as (
    select horizon_days from {{ ref('dim_horizons') }}
),

by_definition as (
    select
        *,
        'next_any' as definition_id,
        next_any_at as reached_at,
        next_any_at_earliest as reached_at_earliest,
        is_next_any_inferred as is_reach_inferred
    from entries
    where stage_id is not null or record_type = 'lead'
    union all
    select
        *,
        'next_direct' as definition_id,
        next_direct_at as reached_at,
        next_direct_at_earliest as reached_at_earliest,
        is_next_direct_inferred as is_reach_inferred
    from entries
    where stage_id is not null
    union all
    select
        *,
        'won' as definition_id,
        won_at as reached_at,
        won_at_earliest as reached_at_earliest,
        is_won_inferred as is_reach_inferred
    from entries
    union all
    select
        *,
        'lost' as definition_id,
        lost_at as reached_at,
        lost_at_earliest as reached_at_earliest,
        is_lost_inferred as is_reach_inferred
    from entries
),

timed as (
    select
        by_definition.*,
        horizons.horizon_days,
        {{ seconds_between('by_definition.entered_at', 'by_definition.followed_until_at') }}
            as seconds_followed,
        {{ seconds_between('by_definition.entered_at', 'by_definition.reached_at') }}
            as seconds_to_reach,
        {{ seconds_between(
            'by_definition.entered_at',
            'coalesce(by_definition.reached_at_earliest, by_definition.reached_at)'
        ) }} as seconds_to_reach_earliest,
        case
            when
                by_definition.entered_at_earliest is not null
                or by_definition.fidelity <> 'snapshot_diff'
                then {{ seconds_between(
                    'coalesce(by_definition.entered_at_earliest, by_definition.entered_at)',
                    'by_definition.entered_at'
                ) }}
        end as entry_width,
        {{ seconds_between(
            'coalesce(by_definition.reached_at_earliest, by_definition.reached_at)',
            'by_definition.reached_at'
        ) }} as reach_width
    from by_definition
    cross join horizons
),

outcomes_within_horizons as (
    select
        *,
        {# Its time may be unknown to within a quarter of the horizon: more, and nothing is told. #}
        seconds_followed >= horizon_days * 86400
        and coalesce(entry_width <= horizon_days * 21600, false) as is_followed,
        {# Won between its creation and an export a year later: within the month or not? #}
        coalesce(
            reach_width > horizon_days * 21600
            and seconds_to_reach_earliest <= horizon_days * 86400
            and seconds_to_reach > horizon_days * 86400,
            false
        ) as is_reach_unknown,
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
    business_area,
    source,
    entered_month,
    horizon_days,
    definition_id,
    as_of,
    is_followed and not is_reach_unknown as is_mature,
    is_followed and is_reach_unknown as is_unknown,
    is_reached,
    case
        when is_followed and not is_reach_unknown and is_reached and not is_time_inferred
            then {{ rate('seconds_to_reach', '86400') }}
    end as days_to_reach
from outcomes_within_horizons
