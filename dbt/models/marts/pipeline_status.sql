with

run as (
    select * from {{ ref('stg_run') }}
),

visits as (
    select * from {{ ref('fct_stage_visits') }}
    where is_censored and stage_kind = 'open' and record_type = 'deal'
),

deals as (
    select * from {{ ref('int_deal_versions') }} where is_current
),

states as (
    select * from {{ ref('int_deal_states') }}
),

activities as (
    select * from {{ ref('int_activities') }}
),

numbered_states as (
    select
        *,
        lag(expected_close_on) over (partition by deal_id order by state_number)
            as previous_close_on,
        lag(is_open) over (partition by deal_id order by state_number) as was_open,
        row_number() over (partition by deal_id order by state_number desc) as newest_rank
    from states
),

pushes as (
    select
        deal_id,
        sum(
            case when was_open and expected_close_on > previous_close_on then 1 else 0 end
        ) as n_pushed
    from numbered_states
    group by deal_id
),

done as (
    select
        visits.deal_id,
        max(case when activities.occurred_at <= run.as_of_at then activities.occurred_at end)
            as last_activity_at,
        min(case when activities.occurred_at > run.as_of_at then activities.occurred_on end)
            as next_activity_on
    from visits
    inner join activities
        on visits.deal_id = activities.deal_id or visits.lead_id = activities.lead_id
    cross join run
    group by visits.deal_id
),

together as (
    select
        visits.deal_id,
        visits.lead_id,
        visits.account_id,
        visits.pipeline_id,
        visits.stage_id,
        visits.role,
        states.seller_id,
        states.segment,
        states.business_area,
        states.source,
        states.amount,
        case when states.amount is not null then states.currency end as currency,
        states.amount_base,
        deals.created_at,
        visits.entered_at,
        visits.seconds_in_stage,
        done.last_activity_at,
        {{ seconds_between('coalesce(done.last_activity_at, visits.entered_at)', 'run.as_of_at') }}
            as seconds_without_activity,
        case
            when deals.next_step_on >= run.as_of or done.next_activity_on is null
                then deals.next_step_on
            else done.next_activity_on
        end as next_step_on,
        states.expected_close_on,
        pushes.n_pushed,
        deals.known_at as last_seen_at,
        run.as_of,
        run.idle_days
    from visits
    inner join deals on visits.deal_id = deals.deal_id
    inner join numbered_states as states
        on visits.deal_id = states.deal_id and states.newest_rank = 1
    inner join pushes on visits.deal_id = pushes.deal_id
    left join done on visits.deal_id = done.deal_id
    cross join run
)

select
    deal_id,
    lead_id,
    account_id,
    pipeline_id,
    stage_id,
    role,
    seller_id,
    segment,
    business_area,
    source,
    amount,
    currency,
    amount_base,
    created_at,
    entered_at,
    {{ rate('seconds_in_stage', '86400') }} as days_in_stage,
    last_activity_at,
    {{ rate('seconds_without_activity', '86400') }} as days_without_activity,
    seconds_without_activity >= idle_days * 86400 as is_idle,
    next_step_on,
    coalesce(next_step_on < as_of, true) as is_without_next_step,
    expected_close_on,
    coalesce(expected_close_on < as_of, false) as is_overdue,
    cast(n_pushed as bigint) as n_pushed,
    last_seen_at,
    as_of
from together
