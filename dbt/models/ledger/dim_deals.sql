with

run as (
    select * from {{ ref('stg_run') }}
),

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

owners as (
    select
        entity_id,
        value
    from {{ ref('int_attribute_history') }}
    where entity_type = 'deal' and field = 'seller_id' and valid_to is null
),

ranked_visits as (
    select
        visits.deal_id,
        visits.pipeline_id,
        visits.stage_id,
        visits.stage_kind,
        visits.is_censored,
        moves.is_after_win,
        row_number() over (
            partition by visits.deal_id order by visits.visit_number desc
        ) as visit_rank,
        row_number() over (
            partition by visits.deal_id, moves.is_after_win order by visits.visit_number desc
        ) as rank_apart
    from {{ ref('fct_stage_visits') }} as visits
    inner join {{ ref('fct_stage_transitions') }} as moves
        on visits.journey_id = moves.journey_id and visits.visit_number = moves.move_number
    where visits.deal_id is not null
),

last_visits as (
    select * from ranked_visits where visit_rank = 1
),

{# Where a deal stands or, moved on after it was won, where it was won. #}
outcomes as (
    select * from ranked_visits where rank_apart = 1 and not is_after_win
),

{# When a deal came into the stage that it is won or lost in. Who was missing from an export and is
   there again has been closed before. What an export first shows as closed, and nothing before,
   was closed at any time until then: unknown. #}
closings as (
    select
        outcomes.deal_id,
        coalesce(
            max(case when moves.move_kind <> 'restore' then moves.occurred_at end),
            max(moves.occurred_at)
        ) as closed_at
    from outcomes
    inner join {{ ref('fct_stage_transitions') }} as moves
        on
            outcomes.deal_id = moves.deal_id
            and outcomes.pipeline_id = moves.to_pipeline_id
            and outcomes.stage_id = moves.to_stage_id
    where
        outcomes.stage_kind in ('won', 'lost')
        and not moves.is_correction
        and not moves.is_mistake
        and not (moves.fidelity = 'snapshot_diff' and moves.move_kind = 'create')
    group by outcomes.deal_id
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

last_of_deals as (
    select
        moves.deal_id,
        moves.move_kind,
        moves.to_stage_id,
        moves.is_after_win,
        moves.merged_into_journey_id
    from {{ ref('fct_stage_transitions') }} as moves
    inner join last_moves
        on moves.deal_id = last_moves.deal_id and moves.move_number = last_moves.move_number
),

placed as (
    select
        deals.*,
        {# A sheet of stage entries names no current stage: it is the last one entered. #}
        coalesce(deals.stage_id, last_visits.stage_id) as current_stage_id,
        case
            when deals.stage_id is null and last_visits.stage_id is not null
                then last_visits.pipeline_id
            else deals.pipeline_id
        end as current_pipeline_id
    from deals
    left join last_visits on deals.deal_id = last_visits.deal_id and last_visits.is_censored
)

select
    deals.deal_id,
    journeys.lead_id,
    deals.account_id,
    coalesce(deals.seller_id, owners.value) as seller_id,
    deals.current_pipeline_id as pipeline_id,
    deals.current_stage_id as stage_id,
    case
        when last_of_deals.move_kind = 'delete' then 'deleted'
        when last_of_deals.move_kind = 'merge' then 'merged'
        when last_of_deals.is_after_win then 'won'
        {# Created, and nothing told since of any stage. #}
        when last_of_deals.deal_id is not null and last_of_deals.to_stage_id is null then 'open'
        else coalesce(stages.stage_kind, 'unknown_stage')
    end as status,
    last_of_deals.merged_into_journey_id as merged_into_deal_id,
    deals.amount,
    case when deals.amount is not null then deals.currency end as currency,
    deals.source,
    deals.business_area,
    coalesce(deals.segment, accounts.segment) as segment,
    deals.product,
    deals.deal_type,
    deals.created_at,
    {{ local_date('deals.created_at', 'run.zone') }} as created_on,
    deals.expected_close_on,
    closings.closed_at,
    {{ local_date('closings.closed_at', 'run.zone') }} as closed_on,
    deals.next_step_on
from placed as deals
cross join run
inner join journeys on deals.deal_id = journeys.deal_id
{# Of a name that two share, the history knows whether one of them had the deal. #}
left join owners
    on
        deals.deal_id = owners.entity_id
        and deals.seller_id is null
        and deals.named_seller_id is not null
left join last_of_deals on deals.deal_id = last_of_deals.deal_id
left join closings on deals.deal_id = closings.deal_id
left join accounts on deals.account_id = accounts.account_id
left join stages
    on deals.current_pipeline_id = stages.pipeline_id and deals.current_stage_id = stages.stage_id
