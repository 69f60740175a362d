with

run as (
    select * from {{ ref('stg_run') }}
),

moves as (
    select
        *,
        row_number() over (partition by journey_id order by move_number desc) as move_from_last
    from {{ ref('fct_stage_transitions') }}
),

visits as (
    select * from {{ ref('fct_stage_visits') }}
),

{# Where each open deal stands: in a stage, or in a pipeline and no source tells in which stage. #}
standing as (
    select
        moves.journey_id,
        moves.deal_id,
        moves.lead_id,
        moves.account_id,
        moves.to_pipeline_id as pipeline_id,
        moves.to_stage_id as stage_id,
        visits.role
    from moves
    left join visits
        on moves.journey_id = visits.journey_id and moves.move_number = visits.visit_number
    where
        moves.move_from_last = 1
        and moves.record_type = 'deal'
        and moves.move_kind not in ('delete', 'merge')
        and not moves.is_after_win
        and (moves.to_stage_id is null or visits.stage_kind = 'open')
),

deals as (
    select * from {{ ref('int_deal_versions') }} where is_current
),

seen as (
    select * from {{ ref('int_last_seen') }} where record_type = 'deal'
),

states as (
    select * from {{ ref('int_deal_states') }}
),

activities as (
    select * from {{ ref('int_activities') }}
),

activity_records as (
    select * from {{ ref('int_activity_records') }}
),

newest as (
    select
        deal_id,
        max(state_number) as state_number
    from states
    group by deal_id
),

dated as (
    select
        deal_id,
        is_open,
        occurred_on,
        expected_close_on,
        lag(expected_close_on) over (
            partition by deal_id order by state_number
        ) as previous_close_on
    from states
    where expected_close_on is not null
),

pushes as (
    select
        deal_id,
        sum(
            case when is_open and expected_close_on > previous_close_on then 1 else 0 end
        ) as n_pushed,
        max(
            case when is_open and expected_close_on < previous_close_on then occurred_on end
        ) as last_pulled_on
    from dated
    group by deal_id
),

{# A correction leaves a deal where it stood: the visit goes on. #}
entries as (
    select
        journey_id,
        occurred_at as entered_at,
        occurred_at_earliest as entered_at_earliest,
        row_number() over (partition by journey_id order by move_number desc) as entry_from_last
    from moves
    where not is_correction
),

{# What is logged on the lead that a deal came from is about the deal too. #}
records as (
    select
        deal_id,
        'deal' as record_type,
        deal_id as record_id
    from standing
    union all
    select
        deal_id,
        'lead' as record_type,
        lead_id as record_id
    from standing
    where lead_id is not null
),

of_deals as (
    select
        records.deal_id,
        activities.occurred_at,
        activities.occurred_on,
        activities.type,
        activities.is_planned,
        activities.is_contact
    from records
    inner join activity_records
        on
            records.record_type = activity_records.record_type
            and records.record_id = activity_records.record_id
    inner join activities on activity_records.activity_id = activities.activity_id
),

done as (
    select
        of_deals.deal_id,
        max(
            case
                when of_deals.is_contact and of_deals.occurred_at <= run.as_of_at
                    then of_deals.occurred_at
            end
        ) as last_activity_at,
        min(
            case
                when
                    of_deals.type <> 'note'
                    and (
                        of_deals.occurred_at > run.as_of_at
                        or (of_deals.is_planned and of_deals.occurred_on >= run.as_of)
                    )
                    then of_deals.occurred_on
            end
        ) as next_activity_on
    from of_deals
    cross join run
    group by of_deals.deal_id
),

open_deals as (
    select
        standing.deal_id,
        standing.lead_id,
        standing.account_id,
        standing.pipeline_id,
        standing.stage_id,
        standing.role,
        states.seller_id,
        states.segment,
        states.business_area,
        states.source,
        states.amount,
        case when states.amount is not null then states.currency end as currency,
        states.amount_base,
        deals.created_at,
        entries.entered_at,
        {{ seconds_between('entries.entered_at', 'run.as_of_at') }} as seconds_in_stage,
        done.last_activity_at,
        {# Without any activity: since it entered its stage, not since an export first showed it. #}
        {{ seconds_between(
            'coalesce(done.last_activity_at, entries.entered_at_earliest, entries.entered_at)',
            'run.as_of_at'
        ) }} as seconds_without_activity,
        case
            when deals.next_step_on >= run.as_of or done.next_activity_on is null
                then deals.next_step_on
            else done.next_activity_on
        end as next_step_on,
        states.expected_close_on,
        coalesce(pushes.n_pushed, 0) as n_pushed,
        pushes.last_pulled_on,
        seen.last_seen_at,
        seen.is_off_its_list as is_gone,
        run.as_of,
        run.zone,
        run.idle_days
    from standing
    inner join deals on standing.deal_id = deals.deal_id
    inner join entries
        on standing.journey_id = entries.journey_id and entries.entry_from_last = 1
    inner join seen on standing.deal_id = seen.record_id
    inner join newest on standing.deal_id = newest.deal_id
    inner join states
        on newest.deal_id = states.deal_id and newest.state_number = states.state_number
    left join pushes on standing.deal_id = pushes.deal_id
    left join done on standing.deal_id = done.deal_id
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
    {{ local_date('created_at', 'zone') }} as created_on,
    entered_at,
    {{ local_date('entered_at', 'zone') }} as entered_on,
    {{ rate('seconds_in_stage', '86400') }} as days_in_stage,
    last_activity_at,
    {{ local_date('last_activity_at', 'zone') }} as last_activity_on,
    {{ rate('seconds_without_activity', '86400') }} as days_without_activity,
    seconds_without_activity >= idle_days * 86400 as is_idle,
    next_step_on,
    coalesce(next_step_on < as_of, true) as is_without_next_step,
    expected_close_on,
    coalesce(expected_close_on < as_of, false) as is_overdue,
    cast(n_pushed as bigint) as n_pushed,
    last_pulled_on,
    last_seen_at,
    {{ local_date('last_seen_at', 'zone') }} as last_seen_on,
    is_gone,
    as_of
from open_deals
