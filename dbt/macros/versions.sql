{#
    The versions of a record within a moment: as exports were made, the later lines of a file last;
    the columns at the end only make the order total.
#}
{% macro made_order(columns) -%}
    made_number asc, record_number asc
    {%- for column in columns -%}
        , {{ column }} asc nulls first
    {%- endfor -%}
{%- endmacro %}

{#
    What was known of `column` at a version of a record (`id`, `version_number`), under the key `v`:
    what an export does not have is as the last one that has it. Before any has, it is as the first
    that will, if that tells of the beginning (`is_of_beginning`); else the version's own default.
#}
{% macro last_known(column, id, is_of_beginning) -%}
    {%- set is_stated = 'is_stated_' ~ column -%}
    {%- set window = 'partition by ' ~ id ~ ' order by version_number' -%}
    {%- set own = as_stated(column) -%}
    {%- set first = first_stated_later(column, is_stated, window) if is_of_beginning else own -%}
    coalesce({{ last_stated(column, is_stated, window) }}, {{ first }}, {{ own }})
{%- endmacro %}
