{# A lead and the deal it became are one journey. Of several deals from one lead, the first. #}
with

deals as (
    select * from {{ ref('int_deal_versions') }} where is_current
),

leads as (
    select * from {{ ref('int_lead_versions') }} where is_current
),

links as (
    select
        deals.deal_id,
        deals.created_at,
        coalesce(deals.lead_id, leads.lead_id) as lead_id
    from deals
    left join leads on deals.deal_id = leads.converted_deal_id
),

first_links as (
    select
        deal_id,
        lead_id,
        row_number() over (partition by deal_id order by lead_id asc nulls last) as lead_rank,
        row_number() over (
            partition by lead_id order by created_at asc nulls last, deal_id asc
        ) as deal_rank
    from links
),

deal_journeys as (
    select
        deal_id as journey_id,
        deal_id,
        case when deal_rank = 1 then lead_id end as lead_id
    from first_links
    where lead_rank = 1
),

lead_journeys as (
    select
        'lead:' || leads.lead_id as journey_id,
        cast(null as string) as deal_id,
        leads.lead_id
    from leads
    left join deal_journeys on leads.lead_id = deal_journeys.lead_id
    where deal_journeys.lead_id is null
)

select
    journey_id,
    deal_id,
    lead_id
from deal_journeys
union all
select
    journey_id,
    deal_id,
    lead_id
from lead_journeys
