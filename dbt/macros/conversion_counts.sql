{#
    Conversion of the deals that entered a stage, by one dimension. Three marts are this with
    another column; their definition is written here once.
#}
{% macro conversion_counts(dimension) %}
with

outcomes as (
    select * from {{ ref('conversion_outcomes') }}
),

counted as (
    select
        pipeline_id,
        stage_id,
        {{ dimension }},
        entered_month,
        horizon_days,
        definition_id,
        as_of,
        count(*) as n_entered,
        sum(case when is_mature then 1 else 0 end) as n_mature,
        sum(case when is_mature and is_reached then 1 else 0 end) as n_reached,
        sum(case when is_unknown then 1 else 0 end) as n_unknown,
        {{ percentiles('days_to_reach', [0.25, 0.5, 0.75]) }} as days_to_reach
    from outcomes
    group by
        pipeline_id,
        stage_id,
        {{ dimension }},
        entered_month,
        horizon_days,
        definition_id,
        as_of
),

{# Of those of whom it is unknown whether they reached it in time, the others are no sample. #}
told as (
    select
        *,
        case when n_unknown * 50 <= n_mature + n_unknown then n_mature else 0 end as n_told,
        n_unknown * 50 <= n_mature + n_unknown as is_told
    from counted
)

select
    pipeline_id,
    stage_id,
    {{ dimension }},
    entered_month,
    horizon_days,
    definition_id,
    cast(n_entered as bigint) as n_entered,
    cast(n_told as bigint) as n_mature,
    cast(case when is_told then n_reached else 0 end as bigint) as n_reached,
    {{ rate('n_reached', 'n_told') }} as reached_rate,
    case when n_told > 0 then {{ wilson('n_reached', 'n_told', '-') }} end as low_rate,
    case when n_told > 0 then {{ wilson('n_reached', 'n_told', '+') }} end as high_rate,
    {{ rate('n_told', 'n_entered') }} as maturity_rate,
    case when is_told then {{ item('days_to_reach', 1) }} end as p25_days_to_reach,
    case when is_told then {{ item('days_to_reach', 2) }} end as median_days_to_reach,
    case when is_told then {{ item('days_to_reach', 3) }} end as p75_days_to_reach,
    as_of
from told
{% endmacro %}
