{#
-- sqlfluff:exclude_rules:LT02
#}
{#
    `trials` counted by each of `dimensions` within each value of each of `groups`, and both also for
    all together. Names and values as in `by_dimension`.
#}
{% macro count_trials(trials, dimensions, groups) -%}
    {% for column in ['all'] + groups %}
        {% set outer_loop = loop %}
        {% for dimension in ['all'] + dimensions if dimension != column or column == 'all' %}
            select
                type,
                '{{ column }}' as group_dimension,
                cast({{ 'null' if column == 'all' else column }} as string) as group_value,
                '{{ dimension.removesuffix('_id') }}' as dimension,
                cast({{ 'null' if dimension == 'all' else dimension }} as string)
                    as dimension_value,
                count(*) as n_attempts,
                sum(n_unlinked) as n_unlinked,
                sum(n_at_risk) as n_at_risk,
                sum(n_mature) as n_mature,
                sum(n_held) as n_held,
                sum(n_booked) as n_booked,
                count(distinct mature_person) as n_people
            from {{ trials }}
            group by
                type
                {{ '' if column == 'all' else ', ' ~ column }}
                {{ '' if dimension == 'all' else ', ' ~ dimension }}
            {{ 'union all' if not (loop.last and outer_loop.last) }}
        {% endfor %}
    {% endfor %}
{%- endmacro %}
