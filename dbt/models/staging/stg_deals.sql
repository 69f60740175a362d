with

run as (
    select as_of_at from {{ ref('stg_run') }}
),

deals as (
    select distinct
        deals.deal_id,
        deals.lead_id,
        deals.account_id,
        deals.seller_id,
        deals.pipeline_id,
        deals.stage_id,
        deals.status,
        deals.amount,
        deals.currency,
        deals.source,
        deals.business_area,
        deals.segment,
        deals.product,
        deals.deal_type,
        deals.partner_id,
        deals.created_at,
        deals.expected_close_on,
        deals.closed_at,
        deals.next_step_on,
        deals.lost_reason,
        deals.probability,
        deals.known_at
    from {{ source('raw', 'deals') }} as deals
    inner join run on deals.known_at <= run.as_of_at
)

select * from deals
