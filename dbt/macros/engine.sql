{#
    Every difference between engines, and nothing else. A model that needs another engine's word
    for something gets a macro here.
#}

{# Whole seconds since 1970 of a UTC timestamp; differences of these are elapsed time. #}
{% macro epoch_seconds(timestamp) -%}
    cast(epoch_us({{ timestamp }}) // 1000000 as bigint)
{%- endmacro %}

{# The date on the wall in `zone` (a column or literal) at a UTC timestamp. #}
{% macro local_date(timestamp, zone) -%}
    cast(timezone({{ zone }}, timezone('UTC', {{ timestamp }})) as date)
{%- endmacro %}

{# The date `days` (a column or number) after `date`. #}
{% macro add_days(date, days) -%}
    cast({{ date }} + cast({{ days }} as integer) as date)
{%- endmacro %}

{# Whole days from one date to a later one. #}
{% macro days_between(earlier, later) -%}
    cast({{ later }} - {{ earlier }} as bigint)
{%- endmacro %}
