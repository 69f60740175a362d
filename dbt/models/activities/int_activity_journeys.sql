{#
    The journey that an activity is about: of several deals or leads that it concerns, the one begun
    last before it, else the first after it; and what was in force of it then. Of a journey that
    began later nothing was in force: what is known of those that came to something must not reach
    back to the calls that led there. But whose company it is, is no outcome.
#}
with

activities as (
    select
        activity_id,
        occurred_at
    from {{ ref('int_activities') }}
),

records as (
    select * from {{ ref('int_activity_records') }}
),

journeys as (
    select * from {{ ref('int_journeys') }}
),

attributes as (
    select * from {{ ref('int_attributes') }}
),

begun as (
    select
        journey_id,
        min(occurred_at) as begun_at
    from attributes
    group by journey_id
),

of_records as (
    select
        records.activity_id,
        journeys.journey_id
    from records
    inner join journeys
        on records.record_type = 'deal' and records.record_id = journeys.deal_id
    union
    select
        records.activity_id,
        journeys.journey_id
    from records
    inner join journeys
        on records.record_type = 'lead' and records.record_id = journeys.lead_id
),

ranked as (
    select
        of_records.activity_id,
        of_records.journey_id,
        activities.occurred_at,
        row_number() over (
            partition by of_records.activity_id
            order by
                case
                    when begun.begun_at <= activities.occurred_at then begun.begun_at
                end desc nulls last,
                begun.begun_at asc nulls last,
                of_records.journey_id asc
        ) as journey_rank,
        count(*) over (partition by of_records.activity_id) as n_journeys
    from of_records
    inner join activities on of_records.activity_id = activities.activity_id
    left join begun on of_records.journey_id = begun.journey_id
),

{# Where a lead became a deal, the deal's own: the lead's is over as it begins. #}
periods as (
    select
        journey_id,
        record_type,
        occurred_at as valid_from,
        lead(occurred_at) over (
            partition by journey_id order by occurred_at asc, record_type desc
        ) as valid_to,
        seller_id,
        account_id,
        segment,
        business_area,
        source
    from attributes
),

first_accounts as (
    select
        journey_id,
        account_id,
        row_number() over (
            partition by journey_id order by valid_from asc, record_type asc
        ) as account_rank
    from periods
    where account_id is not null
)

select
    ranked.activity_id,
    ranked.journey_id,
    journeys.deal_id,
    journeys.lead_id,
    ranked.n_journeys,
    periods.seller_id as owner_id,
    coalesce(periods.account_id, first_accounts.account_id) as account_id,
    periods.segment,
    periods.business_area,
    periods.source
from ranked
inner join journeys on ranked.journey_id = journeys.journey_id
left join periods
    on
        ranked.journey_id = periods.journey_id
        and {{ valid_at('periods', 'ranked.occurred_at') }}
left join first_accounts
    on ranked.journey_id = first_accounts.journey_id and first_accounts.account_rank = 1
where ranked.journey_rank = 1
