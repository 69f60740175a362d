with

leads as (
    select * from {{ ref('stg_leads') }}
),

aliases as (
    select * from {{ ref('int_seller_aliases') }}
),

ranked as (
    select
        leads.lead_id,
        leads.pipeline_id,
        leads.stage_id,
        leads.source,
        leads.campaign,
        coalesce(aliases.seller_id, leads.seller_id) as seller_id,
        leads.created_at,
        leads.converted_at,
        leads.converted_deal_id,
        leads.segment,
        coalesce(leads.is_deleted, false) as is_deleted,
        leads.is_complete,
        leads.is_from_later_export,
        leads.known_at,
        row_number() over (
            partition by leads.lead_id
            order by
                {{ total_order([
                    'leads.known_at', 'leads.is_from_later_export', 'leads.converted_at',
                    'leads.created_at', 'leads.stage_id', 'leads.pipeline_id', 'leads.source', 'leads.campaign', 'leads.seller_id',
                    'leads.converted_deal_id', 'leads.segment', 'leads.status',
                    'leads.is_deleted', 'leads.is_complete'
                ]) }}
        ) as version_rank
    from leads
    left join aliases on leads.seller_id = aliases.alias_id
),

{# What a later export does not tell of that day was as the last export before it had it. #}
versions_with_earlier as (
    select
        lead_id,
        pipeline_id,
        stage_id,
        created_at,
        converted_at,
        converted_deal_id,
        is_complete,
        is_from_later_export,
        known_at,
        version_rank,
        {% for column in ['source', 'campaign', 'seller_id', 'segment', 'is_deleted'] -%}
            case
                when is_from_later_export
                    then lag({{ column }}) over (partition by lead_id order by version_rank desc)
                else {{ column }}
            end as {{ column }},
        {% endfor -%}
        lag(known_at) over (partition by lead_id order by version_rank desc) as previous_known_at,
        lag(converted_at) over (partition by lead_id order by version_rank desc) as was_converted_at
    from ranked
),

{# Of a lead an export had named, a later one adds a conversion that none of the day could tell. #}
kept as (
    select *
    from versions_with_earlier
    where
        not is_from_later_export
        or previous_known_at is null
        or (
            converted_at is not null
            and was_converted_at is null
            and previous_known_at < known_at
        )
)

select
    lead_id,
    pipeline_id,
    stage_id,
    source,
    campaign,
    seller_id,
    created_at,
    converted_at,
    converted_deal_id,
    segment,
    coalesce(is_deleted, false) as is_deleted,
    is_complete,
    known_at,
    version_rank = min(version_rank) over (partition by lead_id) as is_current,
    version_rank = min(version_rank) over (
        partition by lead_id, known_at
    ) as is_last_of_export
from kept
