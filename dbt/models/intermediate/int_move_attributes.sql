{#
    Who, what and how much was in force at each move. A lead's move has the lead's own attributes
    only: what became known when it turned into a deal must not reach back.
#}
with

events as (
    select * from {{ ref('int_stage_events') }}
),

journeys as (
    select * from {{ ref('int_journeys') }}
),

leads as (
    select * from {{ ref('int_lead_versions') }} where is_current
),

deals as (
    select * from {{ ref('int_deal_versions') }} where is_current
),

accounts as (
    select * from {{ ref('int_accounts') }}
),

history as (
    select * from {{ ref('int_deal_attributes') }}
),

deal_moves as (
    select
        events.journey_id,
        events.move_number,
        max(case when history.field = 'seller_id' then history.value end) as seller_id,
        max(case when history.field = 'segment' then history.value end) as segment,
        max(case when history.field = 'business_area' then history.value end) as business_area,
        max(case when history.field = 'source' then history.value end) as source,
        max(case when history.field = 'amount' then history.value end) as amount,
        max(case when history.field = 'currency' then history.value end) as currency
    from events
    inner join journeys on events.journey_id = journeys.journey_id
    inner join history
        on
            journeys.deal_id = history.deal_id
            and {{ in_force('history', 'events.occurred_at') }}
    where events.record_type = 'deal'
    group by events.journey_id, events.move_number
)

select
    events.journey_id,
    events.move_number,
    journeys.deal_id,
    journeys.lead_id,
    deals.account_id,
    case when events.record_type = 'deal' then deal_moves.seller_id else leads.seller_id end
        as seller_id,
    case
        when events.record_type = 'deal'
            then coalesce(deal_moves.segment, accounts.segment, leads.segment)
        else leads.segment
    end as segment,
    deal_moves.business_area,
    coalesce(deal_moves.source, leads.source) as source,
    cast(deal_moves.amount as decimal(18, 2)) as amount,
    case when deal_moves.amount is not null then deal_moves.currency end as currency
from events
inner join journeys on events.journey_id = journeys.journey_id
left join deals on journeys.deal_id = deals.deal_id
left join leads on journeys.lead_id = leads.lead_id
left join accounts on deals.account_id = accounts.account_id
left join deal_moves
    on events.journey_id = deal_moves.journey_id and events.move_number = deal_moves.move_number
