{#
    Who, what and how much was in force at each instant that something happened to a lead or deal:
    at each move and, of a deal, at each change since its first. A lead has its own attributes
    only: what became known when it turned into a deal must not reach back.
#}
with

run as (
    select * from {{ ref('stg_run') }}
),

moves as (
    select * from {{ ref('int_moves') }}
),

journeys as (
    select * from {{ ref('int_journeys') }}
),

history as (
    select
        *,
        valid_from = cast('1900-01-01' as timestamp) and valid_to is null as is_constant
    from {{ ref('int_attribute_history') }}
),

rates as (
    select * from {{ ref('int_fx_rates') }}
),

subjects as (
    select
        journeys.journey_id,
        journeys.deal_id,
        journeys.lead_id,
        min(case when moves.record_type = 'deal' then moves.occurred_at end) as deal_began_at
    from journeys
    inner join moves on journeys.journey_id = moves.journey_id
    group by journeys.journey_id, journeys.deal_id, journeys.lead_id
),

{# Whose values a journey's deal can have, and when: its own, its account's, and its lead's. #}
entities as (
    select
        *,
        'deal' as entity_type,
        deal_id as entity_id,
        cast('1900-01-01' as timestamp) as valid_from,
        cast(null as timestamp) as valid_to
    from subjects
    where deal_id is not null
    union all
    select
        *,
        'lead' as entity_type,
        lead_id as entity_id,
        cast('1900-01-01' as timestamp) as valid_from,
        cast(null as timestamp) as valid_to
    from subjects
    where lead_id is not null
    union all
    select
        subjects.*,
        'account' as entity_type,
        history.value as entity_id,
        history.valid_from,
        history.valid_to
    from subjects
    inner join history
        on
            subjects.deal_id = history.entity_id
            and history.entity_type = 'deal'
            and history.field = 'account_id'
    where history.value is not null
),

instants as (
    select
        journey_id,
        record_type,
        occurred_at
    from moves
    union
    select
        entities.journey_id,
        'deal' as record_type,
        history.valid_from as occurred_at
    from entities
    inner join history
        on entities.entity_type = history.entity_type and entities.entity_id = history.entity_id
    cross join run
    where history.valid_from > entities.deal_began_at and history.valid_from <= run.as_of_at
),

{#
    Most of a deal or lead never changes, and holds at all its instants: to look that up as what
    varies took twice as long.
#}
constant_values as (
    select
        entity_type,
        entity_id,
    {% for attribute in tracked_attributes().split() if attribute.startswith('deal.') %}
        max(case when field = '{{ attribute.split('.')[1] }}' then value end)
            as {{ attribute.split('.')[1] }}{{ ',' if not loop.last }}
    {% endfor %}
    from history
    where entity_type <> 'account' and is_constant
    group by entity_type, entity_id
),

varying_values as (
    select * from history
    where entity_type = 'account' or not is_constant
),

entity_instants as (
    select
        instants.journey_id,
        instants.record_type,
        instants.occurred_at,
        entities.entity_type,
        entities.entity_id
    from instants
    inner join entities on instants.journey_id = entities.journey_id
    where
        (instants.record_type = 'deal' or entities.entity_type = 'lead')
        and {{ valid_at('entities', 'instants.occurred_at') }}
),

valid_values as (
    select
        entity_instants.journey_id,
        entity_instants.record_type,
        entity_instants.occurred_at,
    {% for attribute in tracked_attributes().split() %}
        max(
            case
                when
                    entity_instants.entity_type = '{{ attribute.split('.')[0] }}'
                    and history.field = '{{ attribute.split('.')[1] }}'
                    then history.value
            end
        ) as {{ attribute.replace('.', '_') }}{{ "," if not loop.last }}
    {% endfor %}
    from entity_instants
    inner join varying_values as history
        on
            entity_instants.entity_type = history.entity_type
            and entity_instants.entity_id = history.entity_id
            and {{ valid_at('history', 'entity_instants.occurred_at') }}
    group by
        entity_instants.journey_id,
        entity_instants.record_type,
        entity_instants.occurred_at
),

told as (
    select
        instants.journey_id,
        instants.record_type,
        instants.occurred_at,
        valid_values.account_segment,
    {% for attribute in tracked_attributes().split() if not attribute.startswith('account.') %}
        coalesce(valid_values.{{ attribute.replace('.', '_') }}, {{ attribute.replace('.', 's.') }})
            as {{ attribute.replace('.', '_') }}{{ ',' if not loop.last }}
    {% endfor %}
    from instants
    inner join subjects on instants.journey_id = subjects.journey_id
    left join constant_values as deals
        on
            instants.record_type = 'deal'
            and deals.entity_type = 'deal'
            and subjects.deal_id = deals.entity_id
    left join constant_values as leads
        on leads.entity_type = 'lead' and subjects.lead_id = leads.entity_id
    left join valid_values
        on
            instants.journey_id = valid_values.journey_id
            and instants.record_type = valid_values.record_type
            and instants.occurred_at = valid_values.occurred_at
),

attributes as (
    select
        told.journey_id,
        told.record_type,
        told.occurred_at,
        {{ local_date('told.occurred_at', 'run.zone') }} as occurred_on,
        case when told.record_type = 'deal' then told.deal_seller_id else told.lead_seller_id end
            as seller_id,
        coalesce(told.deal_segment, told.account_segment, told.lead_segment) as segment,
        told.deal_account_id as account_id,
        told.deal_business_area as business_area,
        coalesce(told.deal_source, told.lead_source) as source,
        cast(told.deal_amount as decimal(18, 2)) as amount,
        coalesce(told.deal_currency, run.currency) as currency,
        told.deal_pipeline_id as pipeline_id,
        cast(told.deal_expected_close_on as date) as expected_close_on,
        run.currency as company_currency
    from told
    cross join run
)

select
    attributes.journey_id,
    attributes.record_type,
    attributes.occurred_at,
    attributes.occurred_on,
    attributes.seller_id,
    attributes.account_id,
    attributes.segment,
    attributes.business_area,
    attributes.source,
    attributes.amount,
    attributes.currency,
    {{ in_company_currency('attributes', 'rates') }} as amount_base,
    attributes.pipeline_id,
    attributes.expected_close_on
from attributes
left join rates
    on
        attributes.currency = rates.currency
        and {{ valid_on('rates', 'attributes.occurred_on') }}
