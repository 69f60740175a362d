{#
    What may be an outcome, or tells of the time before: whose, when (seconds as in `begins_s`) and
    for how much. Of each unit that the event names; deals name no contact.
#}
{% set units = ['account', 'contact', 'lead', 'deal', 'seller'] %}

with

details as (
    select * from {{ ref('int_activity_details') }}
),

deals as (
    select * from {{ ref('dim_deals') }} where status not in ('deleted', 'merged')
),

outcomes as (
    select
        deal_id,
        amount_base
    from {{ ref('int_deal_outcomes') }}
),

contacts as (
    select
        case
            when type = 'meeting' and is_contact then 'meeting_held'
            when type = 'meeting' then 'meeting_booked'
            when type = 'signup' then 'signup'
            else 'contact'
        end as event,
        begins_s as at_s,
        cast(null as decimal(18, 2)) as amount_base,
        account_id,
        contact_id,
        lead_id,
        deal_id,
        seller_id
    from details
    where
        (type = 'meeting' and coalesce(outcome <> 'rescheduled', true))
        or (type = 'signup' and not is_planned)
        or is_contact
),

events as (
    select * from contacts
    union all
    select
        'deal_created' as event,
        {{ as_seconds('created_at') }} as at_s,
        cast(null as decimal(18, 2)) as amount_base,
        account_id,
        cast(null as string) as contact_id,
        lead_id,
        deal_id,
        seller_id
    from deals
    where created_at is not null
    union all
    select
        'deal_won' as event,
        {{ as_seconds('deals.closed_at') }} as at_s,
        outcomes.amount_base,
        deals.account_id,
        cast(null as string) as contact_id,
        deals.lead_id,
        deals.deal_id,
        deals.seller_id
    from deals
    inner join outcomes on deals.deal_id = outcomes.deal_id
    where deals.status = 'won' and deals.closed_at is not null
)

{% for unit in units -%}
    select
        '{{ unit }}' as unit,
        {{ unit }}_id as unit_id,
        account_id,
        event,
        at_s,
        amount_base
    from events
    where {{ unit }}_id is not null
    {{ 'union all' if not loop.last }}
{% endfor %}
