with

deals as (
    select * from {{ ref('int_deal_versions') }} where is_current and stage_id is not null
),

journeys as (
    select * from {{ ref('int_journeys') }}
),

last_visits as (
    select * from {{ ref('fct_stage_visits') }} where is_censored
),

logs as (
    select
        deal_id,
        max(log_known_until) as log_known_until
    from {{ ref('int_deal_changes') }}
    where field = 'stage_id'
    group by deal_id
)

select
    deals.deal_id,
    deals.pipeline_id as export_pipeline_id,
    deals.stage_id as export_stage_id,
    deals.known_at as export_known_at,
    last_visits.pipeline_id as ledger_pipeline_id,
    last_visits.stage_id as ledger_stage_id,
    last_visits.entered_at as ledger_entered_at,
    last_visits.fidelity as ledger_fidelity,
    case
        when logs.log_known_until >= deals.known_at then 'log_is_as_new_as_the_export'
    end as reason
from deals
inner join journeys on deals.deal_id = journeys.deal_id
left join last_visits on journeys.journey_id = last_visits.journey_id
left join logs on deals.deal_id = logs.deal_id
where
    coalesce(last_visits.stage_id, '') <> deals.stage_id
    or coalesce(last_visits.pipeline_id, '') <> coalesce(deals.pipeline_id, '')
