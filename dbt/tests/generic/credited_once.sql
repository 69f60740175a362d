{#
-- sqlfluff:exclude_rules:LT02
#}
{# Fails with each effect of `effects` (columns) that two attempts of a group are credited with. #}
{% test credited_once(model, effects, within) %}
{% for effect in effects %}
    select
        {{ within | join(', ') }},
        {{ effect }} as effect_id
    from {{ model }}
    where {{ effect }} is not null
    group by {{ (within + [effect]) | join(', ') }}
    having count(*) > 1
    {{ 'union all' if not loop.last }}
{% endfor %}
{% endtest %}
