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
        leads.known_at,
        row_number() over (
            partition by leads.lead_id
            order by
                {{ total_order([
                    'leads.known_at', 'leads.converted_at', 'leads.created_at', 'leads.stage_id',
                    'leads.pipeline_id', 'leads.source', 'leads.campaign', 'leads.seller_id',
                    'leads.converted_deal_id', 'leads.segment', 'leads.status',
                    'leads.is_deleted', 'leads.is_complete'
                ]) }}
        ) as version_rank
    from leads
    left join aliases on leads.seller_id = aliases.alias_id
)

select
    *,
    version_rank = 1 as is_current,
    version_rank = min(version_rank) over (
        partition by lead_id, known_at
    ) as is_last_of_export
from ranked
