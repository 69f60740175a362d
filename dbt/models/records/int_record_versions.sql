{#
    What each export said of a lead or a deal, in one shape, with what the export before it said.
    An export that names no stage says nothing of stages, and is passed over for that.
#}
with

journeys as (
    select * from {{ ref('int_journeys') }}
),

deals as (
    select * from {{ ref('int_deal_versions') }} where is_last_of_export
),

leads as (
    select * from {{ ref('int_lead_versions') }} where is_last_of_export
),

records as (
    select
        journeys.journey_id,
        {{ system_of('deals.deal_id') }} as system,
        'deal' as record_type,
        deals.pipeline_id,
        deals.stage_id,
        deals.closed_from_stage_id,
        deals.created_at,
        deals.closed_at,
        deals.is_created_late,
        cast(null as timestamp) as converted_at,
        deals.known_at,
        deals.is_deleted,
        deals.is_complete,
        deals.is_current
    from deals
    inner join journeys on deals.deal_id = journeys.deal_id
    union all
    select
        journeys.journey_id,
        {{ system_of('leads.lead_id') }} as system,
        'lead' as record_type,
        leads.pipeline_id,
        leads.stage_id,
        cast(null as string) as closed_from_stage_id,
        leads.created_at,
        cast(null as timestamp) as closed_at,
        false as is_created_late,
        leads.converted_at,
        leads.known_at,
        leads.is_deleted,
        leads.is_complete,
        leads.is_current
    from leads
    inner join journeys on leads.lead_id = journeys.lead_id
),

with_previous as (
    select
        *,
        lag(stage_id) over (
            partition by journey_id, record_type, stage_id is null order by known_at
        ) as previous_stage_id,
        lag(pipeline_id) over (
            partition by journey_id, record_type, stage_id is null order by known_at
        ) as previous_pipeline_id,
        lag(known_at) over (
            partition by journey_id, record_type, stage_id is null order by known_at
        ) as previous_known_at,
        first_value(pipeline_id) over (
            partition by journey_id, record_type order by known_at
        ) as first_pipeline_id,
        first_value(stage_id) over (
            partition by journey_id, record_type
            order by case when stage_id is null then 1 else 0 end asc, known_at asc
        ) as first_stage_id,
        min(known_at) over (partition by journey_id, record_type) as first_known_at,
        min(case when stage_id is not null then known_at end) over (
            partition by journey_id, record_type
        ) as first_shown_at
    from records
)

select
    *,
    {# When an export last showed it in another stage or pipeline than this one. #}
    max(
        case
            when previous_stage_id <> stage_id or previous_pipeline_id <> pipeline_id
                then previous_known_at
        end
    ) over (
        partition by journey_id, record_type, stage_id is null
        order by known_at rows between unbounded preceding and current row
    ) as elsewhere_until_at
from with_previous
