{#
-- sqlfluff:exclude_rules:LT02
#}
{#
    `trials` counted by each of `dimensions` within each value of each of `groups`, and both also for
    all together: their number `n_attempts`, the sums of `counts` and `n_people`, different
    `mature_person`. Names and values as in `by_dimension`.
#}
{% macro count_trials(trials, dimensions, groups, counts) -%}
    {% for column in ['all'] + groups %}
        {% set outer_loop = loop %}
        {% for dimension in ['all'] + dimensions if dimension != column or column == 'all' %}
            select
                type,
                '{{ column.removesuffix('_id') }}' as group_dimension,
                cast({{ 'null' if column == 'all' else column }} as string) as group_value,
                '{{ dimension.removesuffix('_id') }}' as dimension,
                cast({{ 'null' if dimension == 'all' else dimension }} as string)
                    as dimension_value,
                count(*) as n_attempts,
                {% for count in counts %}
                    sum({{ count }}) as {{ count }},
                {% endfor %}
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
