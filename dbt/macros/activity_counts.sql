{#
-- sqlfluff:exclude_rules:LT02
#}
{#
    `trials` counted by each of `dimensions` within each value of each of `groups`, and both also for
    all together: their number `n_attempts`, the sums of `counts` and `n_people`, different
    `mature_person`. Names and values as in `by_dimension`.
#}
{% macro count_trials(trials, dimensions, groups, counts) -%}
    {# 37 selects took DuckDB 0.3 s to bind, 37 grouping sets 0.01. #}
    select
        type,
        case
            {% for column in groups -%}
                when grouping(group_{{ column }}) = 0 then '{{ column.removesuffix('_id') }}'
            {% endfor -%}
            else 'all'
        end as group_dimension,
        coalesce(
            {% for column in groups -%}
                cast(group_{{ column }} as string){{ ',' if not loop.last }}
            {% endfor -%}
        ) as group_value,
        case
            {% for column in dimensions -%}
                when grouping({{ column }}) = 0 then '{{ column.removesuffix('_id') }}'
            {% endfor -%}
            else 'all'
        end as dimension,
        coalesce(
            {% for column in dimensions -%}
                cast({{ column }} as string){{ ',' if not loop.last }}
            {% endfor -%}
        ) as dimension_value,
        count(*) as n_attempts,
        {% for count in counts -%}
            sum({{ count }}) as {{ count }},
        {% endfor -%}
        count(distinct mature_person) as n_people
    from (
        select
            *,
            {% for column in groups -%}
                {{ column }} as group_{{ column }}{{ ',' if not loop.last }}
            {% endfor %}
        from {{ trials }}
    ) as trials_in_groups
    group by grouping sets (
        {% for column in ['all'] + groups -%}
            {% set outer_loop = loop %}
            {% for dimension in ['all'] + dimensions if dimension != column or column == 'all' -%}
                (
                    type
                    {{- '' if column == 'all' else ', group_' ~ column }}
                    {{- '' if dimension == 'all' else ', ' ~ dimension }}
                ){{ ',' if not (loop.last and outer_loop.last) }}
            {% endfor %}
        {% endfor %}
    )
{%- endmacro %}

{#
    Pairs of rows of two relations of activities that are with the same people and fulfil
    `condition`: `columns` of them, by name. With the same people if the finest thing that both name
    is the same: the contact, else the deal or lead, else the company.
#}
{% macro with_same_people(one, other, condition, columns) -%}
    {% set no_person = '(%s.contact_id is null or %s.contact_id is null)' % (one, other) %}
    {% set no_journey = '(%s.journey_id is null or %s.journey_id is null)' % (one, other) %}
    {# One log may give a company a name of its own, where another thing tells whose it is. #}
    {% set ways = [
        ['contact_id', 'true'],
        ['journey_id', no_person],
        ['account_id', no_person ~ ' and ' ~ no_journey],
        ['named_account_id', no_person ~ ' and ' ~ no_journey
        ~ ' and coalesce(%s.account_id <> %s.account_id, true)' % (one, other)],
    ] %}
    {% for column, also in ways %}
        select
            {% for name, value in columns.items() %}
                {{ value }} as {{ name }}{{ ',' if not loop.last }}
            {% endfor %}
        from {{ one }}
        inner join {{ other }}
            on
                {{ one }}.{{ column }} = {{ other }}.{{ column }}
                and {{ also }}
                and {{ condition }}
        {{ 'union all' if not loop.last }}
    {% endfor %}
{%- endmacro %}
