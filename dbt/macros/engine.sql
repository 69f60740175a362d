{#
    Every difference between engines, and nothing else. A model that needs another engine's word
    for something gets a macro here.
#}

{# Whole seconds since 1970 of a UTC timestamp; differences of these are elapsed time. #}
{% macro epoch_seconds(timestamp) -%}
    {% if target.type == 'spark' -%}
        unix_seconds({{ timestamp }})
    {%- else -%}
        cast(epoch_us({{ timestamp }}) // 1000000 as bigint)
    {%- endif %}
{%- endmacro %}

{# The date on the wall in `zone` (a column or literal) at a UTC timestamp. #}
{% macro local_date(timestamp, zone) -%}
    {% if target.type == 'spark' -%}
        cast(from_utc_timestamp({{ timestamp }}, {{ zone }}) as date)
    {%- else -%}
        cast(timezone({{ zone }}, timezone('UTC', {{ timestamp }})) as date)
    {%- endif %}
{%- endmacro %}

{# The hour on the wall in `zone`, 0 to 23, at a UTC timestamp. #}
{% macro local_hour(timestamp, zone) -%}
    {% if target.type == 'spark' -%}
        cast(hour(from_utc_timestamp({{ timestamp }}, {{ zone }})) as bigint)
    {%- else -%}
        cast(hour(timezone({{ zone }}, timezone('UTC', {{ timestamp }}))) as bigint)
    {%- endif %}
{%- endmacro %}

{# Whether the clock on the wall in `zone` shows midnight: what a date without a time becomes. #}
{% macro is_midnight(timestamp, zone) -%}
    {{ timestamp }} = {% if target.type == 'spark' -%}
        to_utc_timestamp(cast({{ local_date(timestamp, zone) }} as timestamp), {{ zone }})
    {%- else -%}
        timezone('UTC', timezone({{ zone }}, cast({{ local_date(timestamp, zone) }} as timestamp)))
    {%- endif %}
{%- endmacro %}

{#
    The value of the last row of a window in which it is stated, under the key `v`, so that a
    stated null is one too. Null where nothing states it.
#}
{% macro last_stated(value, is_stated, window) -%}
    {% if target.type == 'spark' -%}
        last_value(case when {{ is_stated }} then named_struct('v', {{ value }}) end, true)
    {%- else -%}
        last_value(case when {{ is_stated }} then struct_pack(v := {{ value }}) end ignore nulls)
    {%- endif %} over ({{ window }})
{%- endmacro %}

{# As `last_stated`, of the first row from this one on. #}
{% macro first_stated_later(value, is_stated, window) -%}
    {% if target.type == 'spark' -%}
        first_value(case when {{ is_stated }} then named_struct('v', {{ value }}) end, true)
    {%- else -%}
        first_value(case when {{ is_stated }} then struct_pack(v := {{ value }}) end ignore nulls)
    {%- endif %} over ({{ window }} rows between current row and unbounded following)
{%- endmacro %}

{# A value in the form of `last_stated`. #}
{% macro as_stated(value) -%}
    {{ 'named_struct' if target.type == 'spark' else 'struct_pack' -}}
    ({{ "'v', " if target.type == 'spark' else 'v := ' }}{{ value }})
{%- endmacro %}

{# The date `days` (a column or number) after `date`. #}
{% macro add_days(date, days) -%}
    {% if target.type == 'spark' -%}
        date_add({{ date }}, cast({{ days }} as integer))
    {%- else -%}
        cast({{ date }} + cast({{ days }} as integer) as date)
    {%- endif %}
{%- endmacro %}

{# Whole days from one date to a later one. #}
{% macro days_between(earlier, later) -%}
    {% if target.type == 'spark' -%}
        cast(datediff({{ later }}, {{ earlier }}) as bigint)
    {%- else -%}
        cast({{ later }} - {{ earlier }} as bigint)
    {%- endif %}
{%- endmacro %}

{# The texts of a group in the order of `number` (whole), with ` > ` between. #}
{% macro path_of(text, number) -%}
    {% if target.type == 'spark' -%}
        array_join(
            transform(
                array_sort(collect_list(named_struct('n', {{ number }}, 't', {{ text }}))), x -> x.t
            ),
            ' > '
        )
    {%- else -%}
        string_agg({{ text }}, ' > ' order by {{ number }})
    {%- endif %}
{%- endmacro %}

{# Percentiles of a column of doubles, interpolated, as an array: one sort for all of them. #}
{% macro percentiles(column, shares) -%}
    {% if target.type == 'spark' -%}
        percentile({{ column }}, array({{ shares | join(', ') }}))
    {%- else -%}
        quantile_cont({{ column }}, [{{ shares | join(', ') }}])
    {%- endif %}
{%- endmacro %}

{# An array's item by its place, from 1; null of no array. #}
{% macro item(array, place) -%}
    {% if target.type == 'spark' %}element_at({{ array }}, {{ place }}){% else -%}
        {{ array }}[{{ place }}]
    {%- endif %}
{%- endmacro %}

{# A group's `columns` by `key`, for `map[key].column`; null of a key that the group has not. #}
{% macro map_by(key, columns) -%}
    {% if target.type == 'spark' -%}
        map_from_entries(collect_list(struct({{ key }}, struct({{ columns | join(', ') }}))))
    {%- else -%}
        map_from_entries(list(row({{ key }}, struct_pack({{ columns | join(', ') }}))))
    {%- endif %}
{%- endmacro %}
