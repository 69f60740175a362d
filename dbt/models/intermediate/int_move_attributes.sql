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

deals as (
    select * from {{ ref('int_deal_versions') }} where is_current
),

history as (
    select * from {{ ref('int_attribute_history') }}
),

moves as (
    select
        events.journey_id,
        events.move_number,
        events.record_type,
        events.occurred_at,
        journeys.deal_id,
        journeys.lead_id,
        deals.account_id
    from events
    inner join journeys on events.journey_id = journeys.journey_id
    left join deals on journeys.deal_id = deals.deal_id
),

asked as (
    select
        *,
        'deal' as entity_type,
        deal_id as entity_id
    from moves where record_type = 'deal'
    union all
    select
        *,
        'account' as entity_type,
        account_id as entity_id
    from moves
    where record_type = 'deal'
    union all
    select
        *,
        'lead' as entity_type,
        lead_id as entity_id
    from moves
),

in_force as (
    select
        asked.journey_id,
        asked.move_number,
        {% for entity, field in [
            ('deal', 'seller_id'), ('deal', 'segment'), ('deal', 'source'),
            ('deal', 'business_area'), ('deal', 'amount'), ('deal', 'currency'),
            ('account', 'segment'), ('lead', 'seller_id'), ('lead', 'segment'), ('lead', 'source'),
        ] %}
        max(
            case
                when asked.entity_type = '{{ entity }}' and history.field = '{{ field }}'
                    then history.value
            end
        ) as {{ entity }}_{{ field }}{{ "," if not loop.last }}
    {% endfor %}
    from asked
    inner join history
        on
            asked.entity_type = history.entity_type
            and asked.entity_id = history.entity_id
            and {{ in_force('history', 'asked.occurred_at') }}
    group by asked.journey_id, asked.move_number
)

select
    moves.journey_id,
    moves.move_number,
    moves.deal_id,
    moves.lead_id,
    moves.account_id,
    case
        when moves.record_type = 'deal' then in_force.deal_seller_id
        else in_force.lead_seller_id
    end as seller_id,
    coalesce(in_force.deal_segment, in_force.account_segment, in_force.lead_segment) as segment,
    in_force.deal_business_area as business_area,
    coalesce(in_force.deal_source, in_force.lead_source) as source,
    cast(in_force.deal_amount as decimal(18, 2)) as amount,
    case when in_force.deal_amount is not null then in_force.deal_currency end as currency
from moves
left join in_force
    on moves.journey_id = in_force.journey_id and moves.move_number = in_force.move_number
