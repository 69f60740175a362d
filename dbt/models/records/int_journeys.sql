{#
    A lead and the deal it became are one journey. Of several deals from one lead, the first has
    it; of several leads in one deal, the first is part of the journey. The others, those that
    became no deal and those that joined an older one end by their conversion. A deal merged into
    another has a journey that ends there.
#}
with

run as (
    select * from {{ ref('stg_run') }}
),

deals as (
    select * from {{ ref('int_deal_versions') }} where is_current
),

leads as (
    select * from {{ ref('int_lead_versions') }} where is_current
),

first_converted as (
    select
        lead_id,
        min(known_at) as known_at
    from {{ ref('int_lead_versions') }}
    where converted_deal_id is not null or converted_at is not null
    group by lead_id
),

statements as (
    select * from {{ ref('int_deal_merges') }} where not is_cycle
),

links as (
    select
        deals.deal_id,
        deals.created_at,
        leads.lead_id
    from deals
    inner join leads on deals.deal_id = leads.converted_deal_id
    union
    select
        deal_id,
        created_at,
        lead_id
    from deals
    where lead_id is not null
),

{# Where no conversion is dated, an export first told of it, or the deal began with it. #}
dated_links as (
    select
        links.*,
        coalesce(leads.converted_at, first_converted.known_at, links.created_at) as converted_at,
        {# Creations may carry only a date. #}
        coalesce(
            {{ local_date('links.created_at', 'run.zone') }}
            < {{ local_date('leads.created_at', 'run.zone') }},
            false
        ) as is_older_deal
    from links
    cross join run
    left join leads on links.lead_id = leads.lead_id
    left join first_converted on links.lead_id = first_converted.lead_id
),

ranked_links as (
    select
        *,
        row_number() over (
            partition by deal_id, is_older_deal order by converted_at asc nulls last, lead_id asc
        ) as lead_rank,
        row_number() over (
            partition by lead_id, is_older_deal order by created_at asc nulls last, deal_id asc
        ) as deal_rank
    from dated_links
),

pairs as (
    select
        deal_id,
        lead_id
    from ranked_links
    where lead_rank = 1 and deal_rank = 1 and not is_older_deal
),

deal_journeys as (
    select
        deals.deal_id as journey_id,
        deals.deal_id,
        pairs.lead_id,
        statements.merged_into_deal_id as merged_into_journey_id,
        coalesce(statements.merged_at, statements.known_at) as ended_at,
        statements.known_at as end_known_at
    from deals
    left join pairs on deals.deal_id = pairs.deal_id
    left join statements on deals.deal_id = statements.deal_id
),

{# The deal that a lead joined: one begun with another lead, or older than the lead. #}
joined as (
    select
        lead_id,
        deal_id,
        converted_at,
        row_number() over (partition by lead_id order by is_older_deal) as joined_rank
    from ranked_links
    where deal_rank = 1
),

lead_journeys as (
    select
        'lead:' || leads.lead_id as journey_id,
        cast(null as string) as deal_id,
        leads.lead_id,
        joined.deal_id as merged_into_journey_id,
        coalesce(joined.converted_at, leads.converted_at, first_converted.known_at) as ended_at,
        coalesce(first_converted.known_at, joined.converted_at) as end_known_at
    from leads
    left join pairs on leads.lead_id = pairs.lead_id
    left join joined on leads.lead_id = joined.lead_id and joined.joined_rank = 1
    left join first_converted on leads.lead_id = first_converted.lead_id
    where pairs.lead_id is null
)

select * from deal_journeys
union all
select * from lead_journeys
