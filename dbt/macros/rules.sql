{# Rules of this house that hold on every engine. #}

{# A rate, null without a denominator. Division happens nowhere else: engines differ on n/0. #}
{% macro rate(numerator, denominator) -%}
    cast({{ numerator }} as double) / nullif(cast({{ denominator }} as double), 0)
{%- endmacro %}

{#
    Bounds of a proportion, 95 % (Wilson 1927, JASA 22, 209-212): `sign` is - for the lower and + for
    the upper one; 3.841458820694124 is the square of the normal's 97.5 % point.
#}
{% macro wilson(reached, n, sign) -%}
    {%- set k = 'cast(' ~ reached ~ ' as double)' -%}
    {%- set variance = k ~ ' - ' ~ rate(k ~ ' * ' ~ k, n) ~ ' + 0.960364705173531' -%}
    {# Rounding leaves 1e-16 beyond 0 and 1. #}
    {{ 'least' if sign == '+' else 'greatest' }}({{ 1 if sign == '+' else 0 }}, {{ rate(
        k ~ ' + 1.920729410347062 ' ~ sign ~ ' 1.959963984540054 * sqrt(' ~ variance ~ ')',
        n ~ ' + 3.841458820694124'
    ) }})
{%- endmacro %}

{# A UTC timestamp as whole seconds since 1970, which can be added to and compared. #}
{% macro as_seconds(timestamp) -%}
    {{ epoch_seconds(timestamp) }}
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

{# Whether the file of a row has a column: of what it does not have, it says nothing. #}
{% macro is_stated(column) -%}
    instr(stated_columns, ' {{ column }} ') > 0
{%- endmacro %}

{# The system an id came from: what stands before its first colon. #}
{% macro system_of(id) -%}
    split_part({{ id }}, ':', 1)
{%- endmacro %}

{# An id as its system writes it: what stands behind its first colon. #}
{% macro without_system(id) -%}
    substring({{ id }}, instr({{ id }}, ':') + 1)
{%- endmacro %}

{#
    Point in time: rows of `history` (alias) in force at `at`. Intervals are half open, and the
    last one has no end.
#}
{% macro valid_at(history, at) -%}
    {{ history }}.valid_from <= {{ at }}
    and ({{ at }} < {{ history }}.valid_to or {{ history }}.valid_to is null)
{%- endmacro %}

{# The first day of the week (Monday), month or quarter (`period`) that holds `date`. #}
{% macro period_start(period, date) -%}
    cast(date_trunc('{{ period }}', {{ date }}) as date)
{%- endmacro %}

{# As `valid_at`, for periods of whole days (`from_on`, `until_on`). #}
{% macro valid_on(periods, day) -%}
    {{ periods }}.from_on <= {{ day }}
    and ({{ day }} < {{ periods }}.until_on or {{ periods }}.until_on is null)
{%- endmacro %}

{#
    The amount of `deals` in company currency by the rate of the day, to the öre; null without
    either. `deals` has amount, currency, company_currency; `rates` is int_fx_rates on that day.
#}
{% macro in_company_currency(deals, rates) -%}
    case
        when {{ deals }}.currency = {{ deals }}.company_currency then {{ deals }}.amount
        {# Wider by one digit: DuckDB multiplies two of up to 18 digits in 64 bits and overflows. #}
        else try_cast(
            round(cast({{ deals }}.amount as decimal(19, 2)) * {{ rates }}.rate, 2)
            as decimal(18, 2)
        )
    end
{%- endmacro %}

{# Whether two values are not the same, null being the same as null. #}
{% macro is_distinct(one, other) -%}
    not coalesce({{ one }} = {{ other }}, {{ one }} is null and {{ other }} is null)
{%- endmacro %}
