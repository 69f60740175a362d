{# Fails with each deal whose changes do not come to one while it is open, and else to nothing. #}
{% test accounts_for_the_pipeline(model, open_deals) %}
select
    changes.deal_id,
    changes.n_deals,
    changes.amount
from (
    select
        deal_id,
        sum(n_deals) as n_deals,
        sum(amount) as amount
    from {{ model }}
    group by deal_id
) as changes
left join {{ open_deals }} as standing on changes.deal_id = standing.deal_id
where
    changes.n_deals <> case when standing.deal_id is null then 0 else 1 end
    or (standing.deal_id is null and changes.amount <> 0)
{% endtest %}
