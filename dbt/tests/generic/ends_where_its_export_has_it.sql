{# Fails with each deal that ends in another stage than its export shows, if it is not listed. #}
{% test ends_where_its_export_has_it(model, visits, disagreements) %}
select deals.deal_id
from {{ model }} as deals
left join (
    select
        deal_id,
        pipeline_id,
        stage_id
    from {{ visits }}
    where is_censored and record_type = 'deal'
) as last_stays on deals.deal_id = last_stays.deal_id
left join (
    select deal_id
    from {{ disagreements }}
    where is_current and reason is not null
) as listed on deals.deal_id = listed.deal_id
where
    deals.status not in ('deleted', 'merged')
    and listed.deal_id is null
    and (
        coalesce(last_stays.stage_id, '') <> coalesce(deals.stage_id, '')
        or (
            deals.stage_id is not null
            and coalesce(last_stays.pipeline_id, '') <> coalesce(deals.pipeline_id, '')
        )
    )
{% endtest %}
