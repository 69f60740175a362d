with

weeks as (
    select * from {{ ref('dim_periods') }} where period = 'week'
),

visits as (
    select * from {{ ref('fct_stage_visits') }} where stage_kind = 'open'
),

{# Stays that touch the week: there at its start, or begun in it. #}
touched as (
    select
        weeks.period_start_on as week_on,
        weeks.next_start_on,
        weeks.as_of,
        visits.*,
        visits.entered_on < weeks.period_start_on as is_open_at_start,
        visits.left_on is null or visits.left_on >= weeks.next_start_on as is_open_at_end,
        {{ days_between('visits.entered_on', 'weeks.next_start_on') }} as days_at_end
    from weeks
    inner join visits
        on
            weeks.next_start_on > visits.entered_on
            and (visits.left_on is null or weeks.period_start_on <= visits.left_on)
)

select
    touched.pipeline_id,
    touched.stage_id,
    touched.week_on,
    touched.seller_id,
    touched.segment,
    touched.business_area,
    touched.source,
    cast(sum(case when touched.is_open_at_start then 1 else 0 end) as bigint) as n_open_at_start,
    cast(sum(case when touched.is_open_at_start then 0 else 1 end) as bigint) as n_entered,
    {% for count, kinds in ways_to_end() -%}
        cast(
            sum(
                case
                    when not touched.is_open_at_end and touched.how_ended in {{ kinds }} then 1
                    else 0
                end
            ) as bigint
        ) as {{ count }},
    {% endfor -%}
    cast(sum(case when touched.is_open_at_end then 1 else 0 end) as bigint) as n_open_at_end,
    cast(
        percentile_cont(0.5) within group (
            order by case when touched.is_open_at_end then touched.days_at_end end
        ) as double
    ) as median_days_at_end,
    touched.as_of
from touched
group by
    touched.pipeline_id,
    touched.stage_id,
    touched.week_on,
    touched.seller_id,
    touched.segment,
    touched.business_area,
    touched.source,
    touched.as_of
