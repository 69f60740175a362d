{# Fails with each deal shared out as a whole whose shares do not add up to its amount. #}
{% test credits_add_up(model) %}
select
    deal_id,
    sum(amount_base) as credited,
    max(deal_amount_base) as amount_base
from {{ model }}
group by deal_id
having abs(sum(share) - 1) <= 0.0001 * count(*) and sum(amount_base) <> max(deal_amount_base)
{% endtest %}
