{#
-- sqlfluff:exclude_rules:LT02
#}
{# Sums over time of facts that are stored once. #}

{#
    `facts` added up by `keys`, once for each of `columns` and once for all: `dimension` is the column
    without its `_id` or `_on`, `dimension_value` its value as text (null under `all`). `sums` maps
    names to aggregates.
#}
{% macro by_dimension(facts, columns, keys, sums) -%}
    select
        case
            {% for column in columns -%}
                when grouping({{ column }}) = 0
                    then '{{ column.removesuffix('_id').removesuffix('_on') }}'
            {% endfor -%}
            else 'all'
        end as dimension,
        coalesce(
            {% for column in columns -%}
                cast({{ column }} as string){{ ',' if not loop.last }}
            {% endfor -%}
        ) as dimension_value,
        {{ keys | join(', ') }},
        {% for name, aggregate in sums.items() -%}
            {{ aggregate }} as {{ name }}{{ ',' if not loop.last }}
        {% endfor %}
    from {{ facts }}
    group by grouping sets (
        ({{ keys | join(', ') }}),
        {% for column in columns -%}
            ({{ column }}, {{ keys | join(', ') }}){{ ',' if not loop.last }}
        {% endfor %}
    )
{%- endmacro %}

{# The counts of stage_flow that tell how visits ended, with the moves that each stands for. #}
{% macro ways_to_end() -%}
    {{ return([
        ('n_advanced', "('advance')"),
        ('n_skipped', "('skip')"),
        ('n_regressed', "('regress')"),
        ('n_won', "('won')"),
        ('n_lost', "('lost')"),
        ('n_handed_over', "('pipeline_change', 'convert')"),
        ('n_deleted', "('delete')"),
        ('n_merged', "('merge')"),
    ]) }}
{%- endmacro %}

{#
    Per period and `cell` (columns): what stood open when it began and when it ended, and each
    movement between, out of `changes` (fct_pipeline_changes, each row `n_changes` of them) and
    `periods` (dim_periods).
    What stands open on a day is the running sum of the changes before it.
#}
{% macro stock_and_flow(changes, cell) -%}
{%- set sums = ['n_deals', 'amount', 'amount_base', 'n_without_amount', 'n_unconverted'] -%}
daily as (
    select
        {{ cell | join(', ') }},
        occurred_on,
        {% for column in sums -%}
            sum({{ column }}) as {{ column }}{{ ',' if not loop.last }}
        {% endfor %}
    from {{ changes }}
    group by {{ cell | join(', ') }}, occurred_on
),

running as (
    select
        {{ cell | join(', ') }},
        occurred_on,
        {% for column in sums -%}
            sum({{ column }}) over (
                partition by {{ cell | join(', ') }}
                order by occurred_on rows between unbounded preceding and current row
            ) as {{ column }},
        {% endfor -%}
        lead(occurred_on) over (
            partition by {{ cell | join(', ') }} order by occurred_on
        ) as next_on
    from daily
),

ends as (
    select
        period,
        period_start_on,
        'opening' as movement,
        period_start_on as stood_on,
        as_of
    from periods
    union all
    select
        period,
        period_start_on,
        'closing' as movement,
        next_start_on as stood_on,
        as_of
    from periods
),

stock as (
    select
        ends.period,
        ends.period_start_on,
        ends.movement,
        {% for column in cell + sums -%}
            running.{{ column }},
        {% endfor -%}
        ends.as_of
    from ends
    inner join running
        on
            ends.stood_on > running.occurred_on
            and (running.next_on is null or ends.stood_on <= running.next_on)
    where running.n_deals <> 0
),

flow as (
    select
        periods.period,
        periods.period_start_on,
        changes.movement,
        {% for column in cell -%}
            changes.{{ column }},
        {% endfor -%}
        sum(changes.n_deals) as n_deals,
        sum(changes.amount) as amount,
        sum(changes.amount_base) as amount_base,
        sum(case when changes.is_without_amount then changes.n_changes else 0 end)
            as n_without_amount,
        sum(case when changes.is_unconverted then changes.n_changes else 0 end) as n_unconverted,
        periods.as_of
    from periods
    inner join {{ changes }} as changes
        on
            periods.period_start_on <= changes.occurred_on
            and periods.next_start_on > changes.occurred_on
    group by
        periods.period,
        periods.period_start_on,
        changes.movement,
        {% for column in cell -%}
            changes.{{ column }},
        {% endfor -%}
        periods.as_of
),

stock_and_flow as (
    select * from stock
    union all
    select * from flow
)

select
    period,
    period_start_on,
    movement,
    {% for column in cell -%}
        {{ column }},
    {% endfor -%}
    cast(n_deals as bigint) as n_deals,
    cast(amount as decimal(18, 2)) as amount,
    cast(amount_base as decimal(18, 2)) as amount_base,
    cast(n_without_amount as bigint) as n_without_amount,
    cast(n_unconverted as bigint) as n_unconverted,
    as_of
from stock_and_flow
{%- endmacro %}
