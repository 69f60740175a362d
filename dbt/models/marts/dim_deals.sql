with

deals as (
    select * from {{ ref('int_deal_versions') }} where is_current
),

stages as (
    select * from {{ ref('int_stages') }}
),

accounts as (
    select * from {{ ref('int_account_versions') }} where is_current
),

journeys as (
    select * from {{ ref('int_journeys') }}
),

{# A sheet of stage entries names no current stage: it is the last one entered. #}
last_visits as (
    select
        deal_id,
        pipeline_id,
        stage_id
    from {{ ref('fct_stage_visits') }}
    where is_censored and deal_id is not null
),

placed as (
    select
        deals.*,
        coalesce(deals.stage_id, last_visits.stage_id) as current_stage_id,
        case
            when deals.stage_id is null and last_visits.stage_id is not null
                then last_visits.pipeline_id
            else deals.pipeline_id
        end as current_pipeline_id
    from deals
    left join last_visits on deals.deal_id = last_visits.deal_id
)

select
    deals.deal_id,
    journeys.lead_id,
    deals.account_id,
    deals.seller_id,
    deals.current_pipeline_id as pipeline_id,
    deals.current_stage_id as stage_id,
    coalesce(stages.kind, 'unknown_stage') as status,
    deals.amount,
    case when deals.amount is not null then deals.currency end as currency,
    deals.source,
    deals.business_area,
    coalesce(deals.segment, accounts.segment) as segment,
    deals.product,
    deals.deal_type,
    deals.created_at,
    deals.expected_close_on,
    case when stages.kind in ('won', 'lost') then deals.closed_at end as closed_at,
    deals.next_step_on
from placed as deals
inner join journeys on deals.deal_id = journeys.deal_id
left join accounts on deals.account_id = accounts.account_id
left join stages
    on deals.current_pipeline_id = stages.pipeline_id and deals.current_stage_id = stages.stage_id
