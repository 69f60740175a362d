{#
    The entries into stages that the ledger is made of. Within the time a better source covers, a
    worse one is not asked; before and after it, it is. A stage entered twice in a row is one stay.
#}
with

candidates as (
    select * from {{ ref('int_stage_candidates') }}
),

stages as (
    select * from {{ ref('int_stages') }}
),

covered as (
    select
        journey_id,
        record_type,
        fidelity_rank,
        min(occurred_at) as first_at,
        max(occurred_at) as last_at,
        max(log_known_until) as log_known_until
    from candidates
    group by journey_id, record_type, fidelity_rank
),

better as (
    select
        journey_id,
        record_type,
        fidelity_rank,
        min(first_at) over (
            partition by journey_id, record_type
            order by fidelity_rank rows between unbounded preceding and 1 preceding
        ) as better_first_at,
        max(last_at) over (
            partition by journey_id, record_type
            order by fidelity_rank rows between unbounded preceding and 1 preceding
        ) as better_last_at,
        min(fidelity_rank) over (
            partition by journey_id, record_type
        ) as best_rank,
        max(log_known_until) over (
            partition by journey_id, record_type
        ) as log_known_until
    from covered
),

{# A close that the export states may carry only a date: it is not before the last logged move. #}
timed as (
    select
        candidates.journey_id,
        candidates.record_type,
        candidates.pipeline_id,
        candidates.stage_id,
        case
            when candidates.is_current_close and better.better_last_at > candidates.occurred_at
                then better.better_last_at
            else candidates.occurred_at
        end as occurred_at,
        candidates.occurred_at_earliest,
        candidates.recorded_at,
        candidates.change_number,
        candidates.fidelity,
        candidates.fidelity_rank,
        candidates.is_current_close,
        candidates.is_time_inferred
        or (
            candidates.is_current_close
            and coalesce(better.better_last_at > candidates.occurred_at, false)
        ) as is_time_inferred,
        better.log_known_until,
        better.better_first_at,
        better.better_last_at,
        better.best_rank
    from candidates
    inner join better
        on
            candidates.journey_id = better.journey_id
            and candidates.record_type = better.record_type
            and candidates.fidelity_rank = better.fidelity_rank
),

{#
    After a log's last move an export is asked only if it is newer than the log: dated the same
    day it may be hours older. A creation is asked only before everything else, and not where the
    log holds it (exports give it to the minute).
#}
chosen as (
    select *
    from timed
    where
        better_first_at is null
        or is_current_close and occurred_at >= better_last_at
        or fidelity_rank < 4
        and occurred_at > better_last_at
        and (log_known_until is null or recorded_at > log_known_until)
        or fidelity_rank < 4 and occurred_at < better_first_at
        or fidelity_rank = 4 and best_rank > 1 and occurred_at <= better_first_at
        or fidelity_rank = 4
        and {{ seconds_between('occurred_at', 'better_first_at') }} >= 60
),

deal_starts as (
    select
        journey_id,
        min(occurred_at) as deal_started_at
    from chosen
    where record_type = 'deal'
    group by journey_id
),

{# A lead came before its deal, whatever the dates say; what it did afterwards is the deal's. #}
in_sequence as (
    select
        chosen.journey_id,
        chosen.record_type,
        chosen.pipeline_id,
        chosen.stage_id,
        case
            when chosen.record_type = 'lead' and chosen.occurred_at > deal_starts.deal_started_at
                then deal_starts.deal_started_at
            else chosen.occurred_at
        end as occurred_at,
        chosen.occurred_at_earliest,
        chosen.recorded_at,
        chosen.change_number,
        chosen.fidelity,
        chosen.fidelity_rank,
        chosen.is_time_inferred
        or (
            chosen.record_type = 'lead'
            and coalesce(chosen.occurred_at > deal_starts.deal_started_at, false)
        ) as is_time_inferred
    from chosen
    left join deal_starts on chosen.journey_id = deal_starts.journey_id
    where
        chosen.record_type = 'deal'
        or deal_starts.deal_started_at is null
        or chosen.occurred_at <= deal_starts.deal_started_at
        or chosen.fidelity_rank = 4
),

ordered as (
    select
        in_sequence.*,
        stages.kind as stage_kind,
        stages.stage_rank,
        row_number() over (
            partition by in_sequence.journey_id
            order by
                in_sequence.occurred_at asc,
                case in_sequence.record_type when 'lead' then 0 else 1 end asc,
                in_sequence.change_number asc nulls last,
                stages.stage_rank asc nulls last,
                in_sequence.stage_id asc,
                in_sequence.fidelity_rank asc,
                in_sequence.recorded_at asc nulls last,
                in_sequence.pipeline_id asc nulls last,
                in_sequence.occurred_at_earliest asc nulls last
        ) as event_number
    from in_sequence
    left join stages
        on
            in_sequence.pipeline_id = stages.pipeline_id
            and in_sequence.stage_id = stages.stage_id
),

with_previous as (
    select
        *,
        lag(stage_id) over (partition by journey_id order by event_number) as before_stage_id,
        lag(pipeline_id) over (partition by journey_id order by event_number) as before_pipeline_id
    from ordered
)

select
    journey_id,
    cast(
        row_number() over (partition by journey_id order by event_number) as bigint
    ) as move_number,
    record_type,
    pipeline_id,
    stage_id,
    stage_kind,
    stage_rank,
    occurred_at,
    occurred_at_earliest,
    recorded_at,
    fidelity,
    is_time_inferred
from with_previous
where
    before_stage_id is null
    or before_stage_id <> stage_id
    or coalesce(before_pipeline_id, '') <> coalesce(pipeline_id, '')
