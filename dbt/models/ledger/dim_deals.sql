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

{# Deleted and merged deals stand nowhere; the ledger knows which of the two. #}
last_moves as (
    select
        deal_id,
        max(move_number) as move_number
    from {{ ref('fct_stage_transitions') }}
    where record_type = 'deal'
    group by deal_id
),

removed as (
    select
        moves.deal_id,
        moves.move_kind,
        moves.merged_into_journey_id
    from {{ ref('fct_stage_transitions') }} as moves
    inner join last_moves
        on moves.deal_id = last_moves.deal_id and moves.move_number = last_moves.move_number
    where moves.move_kind in ('delete', 'merge')
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
    case
        when removed.move_kind = 'delete' then 'deleted'
        when removed.move_kind = 'merge' then 'merged'
        else coalesce(stages.stage_kind, 'unknown_stage')
    end as status,
    removed.merged_into_journey_id as merged_into_deal_id,
    deals.amount,
    case when deals.amount is not null then deals.currency end as currency,
    deals.source,
    deals.business_area,
    coalesce(deals.segment, accounts.segment) as segment,
    deals.product,
    deals.deal_type,
    deals.created_at,
    deals.expected_close_on,
    case when stages.stage_kind in ('won', 'lost') then deals.closed_at end as closed_at,
    deals.next_step_on
from placed as deals
inner join journeys on deals.deal_id = journeys.deal_id
left join removed on deals.deal_id = removed.deal_id
left join accounts on deals.account_id = accounts.account_id
left join stages
    on deals.current_pipeline_id = stages.pipeline_id and deals.current_stage_id = stages.stage_id
