{#
    The entries into stages that the ledger is made of, and what took a lead or deal out of all of
    them. Within the time a better source covers, a worse one is not asked; before and after it, it
    is. A stage entered twice in a row is one stay.
#}
with

candidates as (
    select * from {{ ref('int_stage_candidates') }}
),

run as (
    select * from {{ ref('stg_run') }}
),

periods as (
    select * from {{ ref('int_stage_periods') }}
),

journeys as (
    select * from {{ ref('int_journeys') }}
),

removals as (
    select * from {{ ref('int_removals') }}
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
        min(fidelity_rank) over (
            partition by journey_id, record_type
        ) as best_rank,
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
        better.best_rank
    from timed
    inner join better
        on
            timed.journey_id = better.journey_id
            and timed.record_type = better.record_type
            and timed.fidelity_rank = better.fidelity_rank
),

{#
    After a log's last move an export is asked only if it is newer than the log: dated the same
    day it may be hours older. A creation is asked only before everything else, and not where the
    log holds it (exports give it to the minute).
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
    from chosen
    left join deal_starts on chosen.journey_id = deal_starts.journey_id
    where
        chosen.record_type = 'deal'
        or deal_starts.deal_started_at is null
        or chosen.occurred_at <= deal_starts.deal_started_at
        or chosen.fidelity_rank = 4
),

last_claims as (
    select
        journey_id,
        max(occurred_at) as last_at
    from in_sequence
    group by journey_id
),

{# Not before the last move of what was merged: it was still there. #}
merged as (
    select
        journeys.journey_id,
        case when journeys.deal_id is null then 'lead' else 'deal' end as record_type,
        coalesce(journeys.merged_at, journeys.merge_known_at) as stated_at,
        greatest(
            coalesce(journeys.merged_at, journeys.merge_known_at), last_claims.last_at
        ) as occurred_at,
        journeys.merge_known_at as known_at
    from journeys
    inner join last_claims on journeys.journey_id = last_claims.journey_id
    cross join run
    where
        journeys.merged_into_journey_id is not null
        and coalesce(journeys.merged_at, journeys.merge_known_at) <= run.as_of_at
),

{# A lead leaves the list of leads when it has become a deal; that removes nothing. #}
deleted as (
    select removals.*
    from removals
    inner join journeys on removals.journey_id = journeys.journey_id
    left join merged on removals.journey_id = merged.journey_id
    where
        (removals.record_type = 'deal' or journeys.deal_id is null)
        and (merged.stated_at is null or removals.occurred_at < merged.stated_at)
),

claims as (
    select
        journey_id,
        record_type,
        cast(null as string) as removal,
        pipeline_id,
        stage_id,
        occurred_at,
        occurred_at_earliest,
        recorded_at,
        known_at,
        order_number,
        fidelity,
        fidelity_rank,
        is_time_inferred,
        is_current_close,
        is_bulk,
        is_tie
    from in_sequence
    union all
    select
        journey_id,
        record_type,
        removal,
        cast(null as string) as pipeline_id,
        cast(null as string) as stage_id,
        occurred_at,
        occurred_at_earliest,
        known_at as recorded_at,
        known_at,
        cast(null as bigint) as order_number,
        'snapshot_diff' as fidelity,
        cast(3 as bigint) as fidelity_rank,
        false as is_time_inferred,
        false as is_current_close,
        false as is_bulk,
        false as is_tie
    from deleted
    union all
    select
        journey_id,
        record_type,
        'merge' as removal,
        cast(null as string) as pipeline_id,
        cast(null as string) as stage_id,
        occurred_at,
        cast(null as timestamp) as occurred_at_earliest,
        occurred_at as recorded_at,
        known_at,
        cast(null as bigint) as order_number,
        'created_closed' as fidelity,
        cast(3 as bigint) as fidelity_rank,
        occurred_at > stated_at as is_time_inferred,
        false as is_current_close,
        false as is_bulk,
        false as is_tie
    from merged
),

ordered as (
    select
        claims.*,
        periods.kind as stage_kind,
        row_number() over (
            partition by claims.journey_id
            order by
                claims.occurred_at asc,
                case claims.removal
                    when 'restore' then 0 when 'delete' then 2 when 'merge' then 3
                    else 1
                end asc,
                case claims.record_type when 'lead' then 0 else 1 end asc,
                claims.is_current_close asc,
                claims.order_number asc nulls last,
                periods.stage_rank asc nulls last,
                claims.stage_id asc nulls last,
                claims.fidelity_rank asc,
                claims.recorded_at asc nulls last,
                claims.is_bulk desc,
                claims.known_at asc,
                claims.pipeline_id asc nulls last,
                claims.occurred_at_earliest asc nulls last
        ) as event_number,
        count(claims.stage_id) over (
            partition by claims.journey_id, claims.record_type, claims.occurred_at
        ) as n_at_once
    from claims
    cross join run
    left join periods
        on
            claims.pipeline_id = periods.pipeline_id
            and claims.stage_id = periods.stage_id
            and {{ on_day('periods', local_date('claims.occurred_at', 'run.zone')) }}
),

{# What is deleted comes back into the stage it stood in. #}
with_last_stage as (
    select
        *,
        max(case when stage_id is not null then event_number end) over (
            partition by journey_id
            order by event_number rows between unbounded preceding and current row
        ) as stage_event_number
    from ordered
),

standing as (
    select
        events.*,
        stages.stage_id as standing_stage_id,
        stages.pipeline_id as standing_pipeline_id,
        stages.stage_kind as standing_kind
    from with_last_stage as events
    left join ordered as stages
        on
            events.journey_id = stages.journey_id
            and events.stage_event_number = stages.event_number
),

with_previous as (
    select
        *,
        lag(removal) over (partition by journey_id order by event_number) as before_removal,
        lag(standing_stage_id) over (
            partition by journey_id order by event_number
        ) as before_stage_id,
        lag(standing_pipeline_id) over (
            partition by journey_id order by event_number
        ) as before_pipeline_id
    from standing
),

kept as (
    select *
    from with_previous
    where
        case
            when removal = 'restore'
                then before_removal = 'delete' and before_stage_id is not null
            when removal in ('delete', 'merge')
                then
                    before_stage_id is not null
                    and coalesce(before_removal not in ('delete', 'merge'), true)
            else
                before_stage_id is null
                or before_removal in ('delete', 'merge')
                or before_stage_id <> stage_id
                or coalesce(before_pipeline_id, '') <> coalesce(pipeline_id, '')
        end
)

select
    journey_id,
    cast(
        row_number() over (partition by journey_id order by event_number) as bigint
    ) as move_number,
    record_type,
    removal,
    case
        when removal is null or removal = 'restore' then standing_pipeline_id
    end as pipeline_id,
    case when removal is null or removal = 'restore' then standing_stage_id end as stage_id,
    case when removal is null or removal = 'restore' then standing_kind end as stage_kind,
    occurred_at,
    occurred_at_earliest,
    recorded_at,
    known_at,
    fidelity,
    is_time_inferred,
    is_bulk,
    removal is null
    and n_at_once > 1
    and (is_tie or order_number is null) as is_order_inferred
from kept
