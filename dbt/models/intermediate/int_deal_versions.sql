{#
    Owners resolved, and one stage for both kinds of CRM: where won and lost are a status beside
    the stage, a closed deal stands in its pipeline's won or lost stage.
#}
with

deals as (
    select * from {{ ref('stg_deals') }}
),

aliases as (
    select * from {{ ref('int_seller_aliases') }}
),

stages as (
    select * from {{ ref('int_stages') }}
),

closing_stages as (
    select
        pipeline_id,
        kind,
        min(stage_id) as stage_id
    from stages
    where kind in ('won', 'lost')
    group by pipeline_id, kind
),

resolved as (
    select
        deals.deal_id,
        deals.lead_id,
        deals.account_id,
        coalesce(aliases.seller_id, deals.seller_id) as seller_id,
        deals.pipeline_id,
        case
            when deals.status in ('won', 'lost') and coalesce(stages.kind, 'open') <> deals.status
                then coalesce(closing_stages.stage_id, deals.stage_id)
            else deals.stage_id
        end as stage_id,
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
    from deals
    left join aliases on deals.seller_id = aliases.alias_id
    left join stages
        on deals.pipeline_id = stages.pipeline_id and deals.stage_id = stages.stage_id
    left join closing_stages
        on deals.pipeline_id = closing_stages.pipeline_id and deals.status = closing_stages.kind
)

select
    *,
    row_number() over (
        partition by deal_id
        order by
            {{ total_order([
                'known_at', 'closed_at', 'created_at', 'stage_id', 'pipeline_id', 'amount',
                'currency', 'seller_id', 'account_id', 'lead_id', 'source', 'business_area',
                'segment', 'product', 'deal_type', 'partner_id', 'expected_close_on',
                'next_step_on', 'lost_reason', 'probability'
            ]) }}
    ) = 1 as is_current
from resolved
