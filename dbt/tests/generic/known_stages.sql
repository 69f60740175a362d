{# Fails with one row per stage that a deal stands in and no mapping declares. #}
{% test known_stages(model, pipeline_id, stage_id, kind) %}
select
    coalesce({{ without_system(stage_id) }}, 'no stage')
    || ' in '
    || coalesce({{ without_system(pipeline_id) }}, 'no pipeline')
    || coalesce(' of ' || {{ system_of(stage_id) }}, '') as stage
from {{ model }}
where {{ kind }} = 'unknown_stage'
group by {{ pipeline_id }}, {{ stage_id }}
{% endtest %}
