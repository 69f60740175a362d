{#
    The claims chosen among sources. Within the time a better source covers, a worse one is not asked;
    before and after it, it is.
#}
with

run as (
    select * from {{ ref('stg_run') }}
),

candidates as (
    select * from {{ ref('int_stage_candidates') }}
),

logs as (
    select
        journey_id,
        record_type,
        max(occurred_at) as last_at
    from candidates
    where fidelity_rank < 3
    group by journey_id, record_type
),

{# A close that the export states may carry only a date: it is not before the last logged move. #}
timed as (
    select
        candidates.*,
        coalesce(
            candidates.is_current_close and logs.last_at > candidates.occurred_at, false
        ) as is_close_moved,
        case
            when candidates.is_current_close and logs.last_at > candidates.occurred_at
                then logs.last_at
            else candidates.occurred_at
        end as used_at
    from candidates
    left join logs
        on
            candidates.journey_id = logs.journey_id
            and candidates.record_type = logs.record_type
),

covered as (
    select
        journey_id,
        record_type,
        fidelity_rank,
        min(used_at) as first_at,
        max(used_at) as last_at,
        min(case when fidelity_rank < 3 and not is_close then used_at end) as log_opened_at,
        max(log_known_until) as log_known_until
    from timed
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
        min(log_opened_at) over (
            partition by journey_id, record_type
        ) as log_opened_at,
        max(log_known_until) over (
            partition by journey_id, record_type
        ) as log_known_until
    from covered
),

compared as (
    select
        timed.journey_id,
        timed.record_type,
        timed.pipeline_id,
        timed.stage_id,
        timed.used_at as occurred_at,
        timed.occurred_at_earliest,
        timed.recorded_at,
        timed.known_at,
        timed.order_number,
        timed.is_bulk,
        timed.is_tie,
        timed.fidelity,
        timed.fidelity_rank,
        timed.is_current_close,
        timed.is_time_inferred or timed.is_close_moved as is_time_inferred,
        better.log_known_until,
        better.better_first_at,
        better.better_last_at,
        better.log_opened_at,
        timed.fidelity = 'declared'
        and {{ local_date('timed.used_at', 'run.zone') }}
        < {{ local_date('better.better_first_at', 'run.zone') }} as is_declared_before
    from timed
    cross join run
    inner join better
        on
            timed.journey_id = better.journey_id
            and timed.record_type = better.record_type
            and timed.fidelity_rank = better.fidelity_rank
),

{#
    After a log's last move an export is asked only if it is newer than the log: dated the same
    day it may be hours older. A creation is asked only before everything else. A deal that a log or
    a date column shows first, in an open stage, was created with that; unless the log says which
    stage it left then (not within the minute that exports give creations to), or the company which
    stage deals start in (not on the same day: creations may carry only a date).
#}
chosen as (
    select *
    from compared
    where
        better_first_at is null
        or is_current_close and occurred_at >= better_last_at
        or fidelity_rank < 4
        and occurred_at > better_last_at
        and (log_known_until is null or recorded_at > log_known_until)
        or fidelity_rank < 4 and occurred_at < better_first_at
        or fidelity_rank = 4
        and occurred_at <= better_first_at
        and (
            log_opened_at is null
            or log_opened_at > better_first_at
            or is_declared_before
        )
        or fidelity_rank = 4
        and fidelity = 'event_log'
        and {{ seconds_between('occurred_at', 'better_first_at') }} >= 60
),

{#
    A log or date column that begins more than a day after the creation, with no stage before: the deal
    was taken in with an old date, or the days between were not told. It came into that stage then
    or before.
#}
created as (
    select
        journey_id,
        record_type,
        created_at
    from {{ ref('int_record_versions') }}
    where is_current
),

begun as (
    select
        chosen.*,
        min(chosen.occurred_at) over (
            partition by chosen.journey_id, chosen.record_type
        ) as begun_at,
        created.created_at
    from chosen
    inner join created
        on
            chosen.journey_id = created.journey_id
            and chosen.record_type = created.record_type
),

deal_starts as (
    select
        journey_id,
        min(occurred_at) as deal_started_at
    from begun
    where record_type = 'deal'
    group by journey_id
)

{# A lead came before its deal, whatever the dates say; what it did afterwards is the deal's. #}
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
    case
        when
            chosen.occurred_at = chosen.begun_at
            and chosen.fidelity_rank < 3
            and {{ seconds_between('chosen.created_at', 'chosen.occurred_at') }} > 86400
            then chosen.created_at
        else chosen.occurred_at_earliest
    end as occurred_at_earliest,
    chosen.recorded_at,
    chosen.known_at,
    chosen.order_number,
    chosen.is_current_close,
    chosen.is_bulk,
    chosen.is_tie,
    chosen.fidelity,
    chosen.fidelity_rank,
    chosen.is_time_inferred
    or (
        chosen.record_type = 'lead'
        and coalesce(chosen.occurred_at > deal_starts.deal_started_at, false)
    ) as is_time_inferred
from begun as chosen
left join deal_starts on chosen.journey_id = deal_starts.journey_id
where
    chosen.record_type = 'deal'
    or deal_starts.deal_started_at is null
    or chosen.occurred_at <= deal_starts.deal_started_at
    or chosen.fidelity_rank = 4
