{# Fails with each period and value whose opening and movements are not its closing, to the öre. #}
{% test movements_add_up(model) %}
{%- set cell = 'period, period_start_on, dimension, dimension_value, currency' -%}
select
    {{ cell }},
    sum(case when movement = 'closing' then -n_deals else n_deals end) as n_deals,
    sum(case when movement = 'closing' then -amount else amount end) as amount,
    sum(case when movement = 'closing' then -amount_base else amount_base end) as amount_base
from {{ model }}
group by {{ cell }}
having
    sum(case when movement = 'closing' then -n_deals else n_deals end) <> 0
    or sum(case when movement = 'closing' then -amount else amount end) <> 0
    or sum(case when movement = 'closing' then -amount_base else amount_base end) <> 0
{% endtest %}
