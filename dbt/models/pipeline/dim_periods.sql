{# Weeks, months and quarters from the first move to `as_of`; the last ones may still run. #}
with

days as (
    select * from {{ ref('int_days') }}
),

starts as (
    select distinct
        'week' as period,
        {{ period_start('week', 'day_on') }} as period_start_on
    from days
    union all
    select distinct
        'month' as period,
        {{ period_start('month', 'day_on') }} as period_start_on
    from days
    union all
    select distinct
        'quarter' as period,
        {{ period_start('quarter', 'day_on') }} as period_start_on
    from days
),

followed as (
    select
        period,
        period_start_on,
        lead(period_start_on) over (partition by period order by period_start_on) as next_start_on
    from starts
)

select
    followed.period,
    followed.period_start_on,
    {# Past the last day of all, so that what happened on it is within. #}
    coalesce(followed.next_start_on, {{ add_days('run.as_of', 1) }}) as next_start_on,
    run.as_of
from followed
cross join {{ ref('stg_run') }} as run
