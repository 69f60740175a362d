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

followed as (
    select
        entries.*,
        {# Found in the stage by the first export or the log: entered at any time before. #}
        coalesce(
            entries.entered_at_earliest < follow_up.first_known_at
            or (entries.entered_at_earliest is null and entries.fidelity = 'snapshot_diff'),
            false
        ) as is_found,
        {# Begun before history. Of those, later stages have no known beginning. #}
        coalesce(entries.entered_at < follow_up.history_starts_at, false) as is_before_history,
        follow_up.history_starts_at,
        least(run.as_of_at, coalesce(seen.seen_until_at, follow_up.last_known_at))
            as followed_until_at,
        run.as_of
    from entries
    cross join run
    left join follow_up
        on
            entries.system_id = follow_up.system_id
            and entries.record_type = follow_up.record_type
    left join seen on entries.journey_id = seen.journey_id
)

select
    followed.journey_id,
    followed.visit_number,
    followed.is_into_pipeline,
    coalesce(followed.entry_into_role = 1 and followed.role is not null, false)
        as is_first_in_role,
    not followed.is_found
    and (not followed.is_before_history or coalesce(followed.stage_rank, 1) = 1) as is_followed,
    case
        when
            not followed.is_found
            and followed.is_before_history
            and coalesce(followed.stage_rank, 1) = 1
            then followed.history_starts_at
    end as followed_late_from_at,
    followed.followed_until_at,
    targets.left_number,
    targets.next_any_number,
    targets.next_direct_number,
    targets.next_role_number,
    targets.won_number,
    targets.lost_number,
    followed.as_of
from followed
left join targets
    on
        followed.journey_id = targets.journey_id
        and followed.visit_number = targets.visit_number
        and followed.is_into_pipeline = targets.is_into_pipeline
