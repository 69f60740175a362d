with

run as (
    select as_of_at from {{ ref('stg_run') }}
),

leads as (
    select distinct
        leads.lead_id,
        leads.pipeline_id,
        leads.stage_id,
        leads.source,
        leads.campaign,
        leads.seller_id,
        leads.status,
        leads.created_at,
        leads.converted_at,
        leads.converted_deal_id,
        leads.segment,
        leads.known_at
    from {{ source('raw', 'leads') }} as leads
    inner join run on leads.known_at <= run.as_of_at
)

select * from leads
