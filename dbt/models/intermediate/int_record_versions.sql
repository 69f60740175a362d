{# What each export said of a lead or a deal, in one shape, with what it said before. #}
with

journeys as (
    select * from {{ ref('int_journeys') }}
),

deals as (
    select * from {{ ref('int_deal_versions') }}
),

leads as (
    select * from {{ ref('int_lead_versions') }}
),

records as (
    select
        journeys.journey_id,
        'deal' as record_type,
        deals.pipeline_id,
        deals.stage_id,
        deals.created_at,
        deals.closed_at,
        deals.known_at,
        deals.is_current
    from deals
    inner join journeys on deals.deal_id = journeys.deal_id
    union all
    select
        journeys.journey_id,
        'lead' as record_type,
        leads.pipeline_id,
        leads.stage_id,
        leads.created_at,
        cast(null as timestamp) as closed_at,
        leads.known_at,
        leads.is_current
    from leads
    inner join journeys on leads.lead_id = journeys.lead_id
),

one_per_export as (
    select
        *,
        row_number() over (
            partition by journey_id, record_type, known_at
            order by
                {{ total_order([
                    'is_current', 'closed_at', 'created_at', 'stage_id', 'pipeline_id'
                ]) }}
        ) as row_rank
    from records
)

select
    journey_id,
    record_type,
    pipeline_id,
    stage_id,
    created_at,
    closed_at,
    known_at,
    is_current,
    lag(stage_id) over (
        partition by journey_id, record_type order by known_at
    ) as previous_stage_id,
    lag(known_at) over (
        partition by journey_id, record_type order by known_at
    ) as previous_known_at
from one_per_export
where row_rank = 1
