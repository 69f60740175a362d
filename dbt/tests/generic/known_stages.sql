{# Fails with one row per stage that a deal stands in and no mapping declares. #}
{% test known_stages(model, pipeline_id, stage_id, kind) %}
select
    coalesce({{ stage_id }}, 'no stage') || ' in ' || coalesce({{ pipeline_id }}, 'no pipeline')
        as stage
from {{ model }}
where {{ kind }} = 'unknown_stage'
group by {{ pipeline_id }}, {{ stage_id }}
{% endtest %}
