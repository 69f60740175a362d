{#
    Each deal with how it ended, or that it is open. What was won or lost is told under whom and for
    how much it was closed; what is open, as it stands now.
#}
with

deals as (
    select * from {{ ref('dim_deals') }} where status in ('open', 'won', 'lost')
),

moves as (
    select * from {{ ref('fct_stage_transitions') }} where deal_id is not null
),

visits as (
    select * from {{ ref('fct_stage_visits') }} where deal_id is not null
),

states as (
    select * from {{ ref('int_deal_states') }}
),

ranked_closings as (
    select
        visits.*,
        row_number() over (
            partition by visits.deal_id order by visits.visit_number desc
        ) as visit_rank
    from visits
    inner join moves
        on visits.journey_id = moves.journey_id and visits.visit_number = moves.move_number
    inner join deals on visits.deal_id = deals.deal_id and visits.stage_kind = deals.status
    where visits.stage_kind in ('won', 'lost') and not moves.is_after_win
),

closings as (
    select * from ranked_closings where visit_rank = 1
),

ranked_states as (
    select
        *,
        row_number() over (partition by deal_id order by state_number desc) as state_rank
    from states
),

last_states as (
    select * from ranked_states where state_rank = 1
),

timed as (
    select
        deal_id,
        max(case when fidelity <> 'snapshot_diff' then 1 else 0 end) as n_timed
    from moves
    group by deal_id
),

staged as (
    select distinct deal_id from visits where stage_kind = 'open'
)

select
    deals.deal_id,
    deals.status,
    case when closings.deal_id is null then states.seller_id else closings.seller_id end
        as seller_id,
    case when closings.deal_id is null then states.segment else closings.segment end as segment,
    case when closings.deal_id is null then states.business_area else closings.business_area end
        as business_area,
    case when closings.deal_id is null then states.source else closings.source end as source,
    case when closings.deal_id is null then states.amount else closings.amount end as amount,
    case when closings.deal_id is null then states.amount_base else closings.amount_base end
        as amount_base,
    {# Known to the month: a list a year after the creation tells no day of the close. #}
    closings.deal_id is not null
    and (
        closings.fidelity <> 'snapshot_diff'
        or coalesce(
            {{ seconds_between('closings.entered_at_earliest', 'closings.entered_at') }} <= 2678400,
            false
        )
    ) as has_close_date,
    deals.expected_close_on,
    deals.created_at is not null or coalesce(timed.n_timed, 0) > 0 as has_date,
    staged.deal_id is not null as has_stage
from deals
left join closings on deals.deal_id = closings.deal_id
left join last_states as states on deals.deal_id = states.deal_id
left join timed on deals.deal_id = timed.deal_id
left join staged on deals.deal_id = staged.deal_id
