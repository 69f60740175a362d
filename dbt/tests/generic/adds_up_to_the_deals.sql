{# Fails with each definition of a touch whose paths are not all deals once. #}
{% test adds_up_to_the_deals(model, definitions) %}
select
    paths.touch_definition_id,
    paths.n_deals,
    deals.n_deals as n_expected
from (
    select
        touch_definition_id,
        sum(n_deals) as n_deals
    from {{ model }}
    where touch_definition_id in ({% for name in definitions %}'{{ name }}'{{ ", " if not loop.last }}{% endfor %})
    group by touch_definition_id
) as paths
cross join (select count(*) as n_deals from {{ ref('dim_deals') }}) as deals
where paths.n_deals <> deals.n_deals
{% endtest %}
