{# Fails with one row per stage that a deal stands in and no mapping declares. #}
{% test known_stages(model, pipeline_id, stage_id, kind) %}
select
    {{ pipeline_id }} as pipeline_id,
    {{ stage_id }} as stage_id,
    count(*) as n_deals
from {{ model }}
where {{ kind }} = 'unknown_stage'
group by {{ pipeline_id }}, {{ stage_id }}
{% endtest %}
