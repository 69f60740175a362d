{# Rules of this house that hold on every engine. #}

{# A rate, null without a denominator. Division happens nowhere else: engines differ on n/0. #}
{% macro rate(numerator, denominator) -%}
    cast({{ numerator }} as double) / nullif(cast({{ denominator }} as double), 0)
{%- endmacro %}

{# Elapsed whole seconds. `datediff` counts boundaries crossed, not time passed. #}
{% macro seconds_between(earlier, later) -%}
    {{ epoch_seconds(later) }} - {{ epoch_seconds(earlier) }}
{%- endmacro %}

{# A window order that no two different rows share; the last tie-break of every choice of one. #}
{% macro total_order(columns) -%}
    {%- for column in columns -%}
        {{ column }} desc nulls last{{ ", " if not loop.last }}
    {%- endfor -%}
{%- endmacro %}

{# The system an id came from: what stands before its first colon. #}
{% macro system_of(id) -%}
    split_part({{ id }}, ':', 1)
{%- endmacro %}

{#
    Point in time: rows of `history` (alias) in force at `at`. Intervals are half open, and the
    last one has no end.
#}
{% macro in_force(history, at) -%}
    {{ history }}.valid_from <= {{ at }}
    and ({{ at }} < {{ history }}.valid_to or {{ history }}.valid_to is null)
{%- endmacro %}
