with

run as (
    select * from {{ ref('stg_run') }}
),

follow_up as (
    select * from {{ ref('int_follow_up') }}
),

seen as (
    select * from {{ ref('int_seen_until') }}
),

entries as (
    select * from {{ ref('int_stage_entries') }}
),

targets as (
    select * from {{ ref('int_entry_targets') }}
),

moves as (
    select
        journey_id,
        move_number,
        occurred_at,
        occurred_at_earliest,
        is_time_inferred
    from {{ ref('fct_stage_transitions') }}
)

select
    entries.journey_id,
    entries.visit_number,
    entries.record_type,
    entries.deal_id,
    entries.lead_id,
    entries.account_id,
    entries.pipeline_id,
    entries.stage_id,
    entries.role,
    coalesce(entries.entry_into_role = 1 and entries.role is not null, false) as is_first_in_role,
    entries.entered_at,
    entries.entered_at_earliest,
    entries.entered_on,
    {{ period_start('month', 'entries.entered_on') }} as entered_month,
    entries.is_time_inferred,
    entries.fidelity,
    case
        {# Found in the stage by the first export or the log: entered at any time before. #}
        when
            entries.entered_at_earliest < follow_up.first_known_at
            or (entries.entered_at_earliest is null and entries.fidelity = 'snapshot_diff')
            then null
        when
            entries.entered_at >= follow_up.history_starts_at
            or follow_up.history_starts_at is null
            then entries.entered_at
        {# Of those begun before history, later stages have no known beginning. #}
        when coalesce(entries.stage_rank, 1) = 1 then follow_up.history_starts_at
    end as followed_from_at,
    least(run.as_of_at, coalesce(seen.seen_until_at, follow_up.last_known_at)) as followed_until_at,
    departures.occurred_at as left_at,
    departures.occurred_at_earliest as left_at_earliest,
    next_any.occurred_at as next_any_at,
    next_any.occurred_at_earliest as next_any_at_earliest,
    next_any.is_time_inferred as is_next_any_inferred,
    next_direct.occurred_at as next_direct_at,
    next_direct.occurred_at_earliest as next_direct_at_earliest,
    next_direct.is_time_inferred as is_next_direct_inferred,
    next_role.occurred_at as next_role_at,
    next_role.occurred_at_earliest as next_role_at_earliest,
    won.occurred_at as won_at,
    won.occurred_at_earliest as won_at_earliest,
    won.is_time_inferred as is_won_inferred,
    lost.occurred_at as lost_at,
    lost.occurred_at_earliest as lost_at_earliest,
    lost.is_time_inferred as is_lost_inferred,
    entries.seller_id,
    entries.segment,
    entries.business_area,
    entries.source,
    run.as_of
from entries
cross join run
left join follow_up
    on
        entries.system_id = follow_up.system_id
        and entries.record_type = follow_up.record_type
left join seen on entries.journey_id = seen.journey_id
left join targets
    on
        entries.journey_id = targets.journey_id
        and entries.visit_number = targets.visit_number
        and entries.is_into_pipeline = targets.is_into_pipeline
left join moves as departures
    on targets.journey_id = departures.journey_id and targets.left_number = departures.move_number
left join moves as next_any
    on targets.journey_id = next_any.journey_id and targets.next_any_number = next_any.move_number
left join moves as next_direct
    on
        targets.journey_id = next_direct.journey_id
        and targets.next_direct_number = next_direct.move_number
left join moves as next_role
    on
        targets.journey_id = next_role.journey_id
        and targets.next_role_number = next_role.move_number
left join moves as won
    on targets.journey_id = won.journey_id and targets.won_number = won.move_number
left join moves as lost
    on targets.journey_id = lost.journey_id and targets.lost_number = lost.move_number
