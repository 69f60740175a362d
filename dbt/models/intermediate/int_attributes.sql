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
    select * from {{ ref('int_attribute_history') }}
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

asked as (
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
        and {{ in_force('entities', 'instants.occurred_at') }}
),

in_force as (
    select
        asked.journey_id,
        asked.record_type,
        asked.occurred_at,
        {% for entity, field in [
            ('deal', 'seller_id'), ('deal', 'segment'), ('deal', 'source'),
            ('deal', 'business_area'), ('deal', 'amount'), ('deal', 'currency'),
            ('deal', 'pipeline_id'), ('deal', 'expected_close_on'), ('deal', 'account_id'),
            ('account', 'segment'),
            ('lead', 'seller_id'), ('lead', 'segment'), ('lead', 'source'),
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
    group by asked.journey_id, asked.record_type, asked.occurred_at
),

together as (
    select
        instants.journey_id,
        instants.record_type,
        instants.occurred_at,
        {{ local_date('instants.occurred_at', 'run.zone') }} as occurred_on,
        case
            when instants.record_type = 'deal' then in_force.deal_seller_id
            else in_force.lead_seller_id
        end as seller_id,
        coalesce(
            in_force.deal_segment, in_force.account_segment, in_force.lead_segment
        ) as segment,
        in_force.deal_account_id as account_id,
        in_force.deal_business_area as business_area,
        coalesce(in_force.deal_source, in_force.lead_source) as source,
        cast(in_force.deal_amount as decimal(18, 2)) as amount,
        coalesce(in_force.deal_currency, run.currency) as currency,
        in_force.deal_pipeline_id as pipeline_id,
        cast(in_force.deal_expected_close_on as date) as expected_close_on,
        run.currency as company_currency
    from instants
    cross join run
    left join in_force
        on
            instants.journey_id = in_force.journey_id
            and instants.record_type = in_force.record_type
            and instants.occurred_at = in_force.occurred_at
)

select
    together.journey_id,
    together.record_type,
    together.occurred_at,
    together.occurred_on,
    together.seller_id,
    together.account_id,
    together.segment,
    together.business_area,
    together.source,
    together.amount,
    together.currency,
    {{ in_company_currency('together', 'rates') }} as amount_base,
    together.pipeline_id,
    together.expected_close_on
from together
left join rates
    on
        together.currency = rates.currency
        and {{ on_day('rates', 'together.occurred_on') }}
