{%- set dimensions = ['seller_id', 'segment', 'business_area', 'source'] -%}
{%- set cell = ['pipeline_id', 'stage_id', 'dimension', 'dimension_value'] | join(', ') -%}
with

weeks as (
    select * from {{ ref('dim_periods') }} where period = 'week'
),

visits as (
    select
        pipeline_id,
        stage_id,
        seller_id,
        segment,
        business_area,
        source,
        entered_on,
        left_on,
        how_ended
    from {{ ref('fct_stage_visits') }}
    where stage_kind = 'open'
),

comings_and_goings as (
    select
        pipeline_id,
        stage_id,
        seller_id,
        segment,
        business_area,
        source,
        {{ period_start('week', 'entered_on') }} as week_on,
        1 as n_entered,
        'none' as how_ended
    from visits
    union all
    select
        pipeline_id,
        stage_id,
        seller_id,
        segment,
        business_area,
        source,
        {{ period_start('week', 'left_on') }} as week_on,
        0 as n_entered,
        how_ended
    from visits
    where left_on is not null
),

{%- set sums = {'n_entered': 'sum(n_entered)', 'n_more': 'sum(2 * n_entered - 1)'} -%}
{%- for count, kinds in ways_to_end() -%}
    {%- do sums.update({count: 'sum(case when how_ended in ' ~ kinds ~ ' then 1 else 0 end)'}) -%}
{%- endfor %}

weekly as (
    {{ by_dimension(
        'comings_and_goings', dimensions, ['pipeline_id', 'stage_id', 'week_on'], sums
    ) }}
),

running as (
    select
        *,
        sum(n_more) over (
            partition by {{ cell }}
            order by week_on rows between unbounded preceding and current row
        ) as n_open_at_end,
        lead(week_on) over (partition by {{ cell }} order by week_on) as next_week_on
    from weekly
),

{# Weeks in which nothing moved have what the last one ended with. #}
flow as (
    select
        running.pipeline_id,
        running.stage_id,
        weeks.period_start_on as week_on,
        running.dimension,
        running.dimension_value,
        case when weeks.period_start_on = running.week_on then 1 else 0 end as is_moving,
        running.n_open_at_end,
        running.n_more,
        running.n_entered,
        {% for count, _ in ways_to_end() -%}
            running.{{ count }},
        {% endfor -%}
        weeks.as_of
    from weeks
    inner join running
        on
            weeks.period_start_on >= running.week_on
            and (running.next_week_on is null or weeks.period_start_on < running.next_week_on)
    where weeks.period_start_on = running.week_on or running.n_open_at_end <> 0
),

{#
    Medians out of running counts: those of percentile_cont cannot be spilled, and filled a disk of
    66 GB with the weeks of 10 M stage events. A number stands for a cell's texts: windows over
    15 M rows took 3.5 s by it, 17 s by texts.
#}
stays as (
    select
        *,
        {{ period_start('week', 'entered_on') }} as first_week_on,
        {{ period_start('week', 'left_on') }} as until_week_on
    from visits
),

added_stays as (
    {{ by_dimension(
        'stays',
        dimensions,
        ['pipeline_id', 'stage_id', 'entered_on', 'first_week_on', 'until_week_on'],
        {'n_visits': 'count(*)'}
    ) }}
),

numbered_stays as (
    select
        *,
        cast(
            dense_rank() over (
                order by
                    pipeline_id asc nulls first,
                    stage_id asc nulls first,
                    dimension asc nulls first,
                    dimension_value asc nulls first
            ) as int
        ) as cell_number
    from added_stays
    where until_week_on is null or first_week_on < until_week_on
),

standing as (
    select
        stays.cell_number,
        weeks.period_start_on as week_on,
        cast({{ days_between('stays.entered_on', 'weeks.next_start_on') }} as int) as days_at_end,
        cast(stays.n_visits as int) as n_visits
    from weeks
    inner join numbered_stays as stays
        on
            weeks.period_start_on >= stays.first_week_on
            and (stays.until_week_on is null or weeks.period_start_on < stays.until_week_on)
),

{# Of rows of the same days the last has what stood that long, whichever it is. #}
running_up as (
    select
        cell_number,
        week_on,
        days_at_end,
        sum(n_visits) over (
            partition by cell_number, week_on
            order by days_at_end rows between unbounded preceding and current row
        ) as n_up_to,
        sum(n_visits) over (partition by cell_number, week_on) as n_standing
    from standing
),

middles as (
    select
        cell_number,
        week_on,
        min(case when 2 * n_up_to >= n_standing then days_at_end end) as lower_days,
        min(case when 2 * n_up_to > n_standing then days_at_end end) as upper_days
    from running_up
    group by cell_number, week_on
),

cells as (
    select distinct
        cell_number,
        pipeline_id,
        stage_id,
        dimension,
        dimension_value
    from numbered_stays
),

ages as (
    select
        cells.*,
        middles.week_on,
        cast(middles.lower_days + middles.upper_days as double) * 0.5 as median_days_at_end
    from middles
    inner join cells on middles.cell_number = cells.cell_number
)

select
    flow.pipeline_id,
    flow.stage_id,
    flow.week_on,
    flow.dimension,
    flow.dimension_value,
    cast(flow.n_open_at_end - flow.is_moving * flow.n_more as bigint) as n_open_at_start,
    cast(flow.is_moving * flow.n_entered as bigint) as n_entered,
    {% for count, _ in ways_to_end() -%}
        cast(flow.is_moving * flow.{{ count }} as bigint) as {{ count }},
    {% endfor -%}
    cast(flow.n_open_at_end as bigint) as n_open_at_end,
    ages.median_days_at_end,
    flow.as_of
from flow
left join ages
    on
        flow.pipeline_id = ages.pipeline_id
        and flow.stage_id = ages.stage_id
        and flow.week_on = ages.week_on
        and flow.dimension = ages.dimension
        {# In two equations, which can be hashed. #}
        and coalesce(flow.dimension_value, '') = coalesce(ages.dimension_value, '')
        and (flow.dimension_value is null) = (ages.dimension_value is null)
