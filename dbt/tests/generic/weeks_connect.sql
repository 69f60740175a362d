{# Fails with each stage, cell and week that does not open with what the last one closed with. #}
{% test weeks_connect(model) %}
{%- set cell = 'pipeline_id, stage_id, dimension, dimension_value' -%}
select *
from (
    select
        {{ cell }},
        week_on,
        n_open_at_start,
        lag(n_open_at_end) over (partition by {{ cell }} order by week_on) as n_before,
        lag(week_on) over (partition by {{ cell }} order by week_on) as week_before
    from {{ model }}
) as weeks
where
    n_open_at_start <> case
        when week_before = {{ add_days('week_on', -7) }} then n_before else 0
    end
{% endtest %}
