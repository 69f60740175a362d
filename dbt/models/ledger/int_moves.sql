{#
    The moves, each with its kind. Stages are counted as they stood on the day of the move. A move
    taken back within the grace is a correction, and so is the move that takes it back; of three in
    a row the third stands.
#}
with

run as (
    select * from {{ ref('stg_run') }}
),

events as (
    select * from {{ ref('int_stage_events') }}
),

periods as (
    select * from {{ ref('int_stage_periods') }}
),

previous as (
    select
        events.*,
        {{ local_date('events.occurred_at', 'run.zone') }} as occurred_on,
        lag(events.record_type) over (
            partition by events.journey_id order by events.move_number
        ) as from_record_type,
        lag(events.pipeline_id) over (
            partition by events.journey_id order by events.move_number
        ) as from_pipeline_id,
        lag(events.stage_id) over (
            partition by events.journey_id order by events.move_number
        ) as from_stage_id,
        lag(events.stage_kind) over (
            partition by events.journey_id order by events.move_number
        ) as from_stage_kind,
        lag(events.occurred_at) over (
            partition by events.journey_id order by events.move_number
        ) as from_entered_at,
        lead(events.pipeline_id) over (
            partition by events.journey_id order by events.move_number
        ) as next_pipeline_id,
        lead(events.stage_id) over (
            partition by events.journey_id order by events.move_number
        ) as next_stage_id,
        lead(events.fidelity) over (
            partition by events.journey_id order by events.move_number
        ) as next_fidelity,
        lead(events.occurred_at) over (
            partition by events.journey_id order by events.move_number
        ) as next_occurred_at,
        run.correction_grace_seconds
    from events
    cross join run
),

ranked as (
    select
        previous.*,
        left_stages.stage_rank as from_rank,
        entered_stages.stage_rank as to_rank,
        case
            when
                previous.fidelity = 'event_log'
                and previous.next_fidelity = 'event_log'
                and previous.next_stage_id = previous.from_stage_id
                and coalesce(previous.next_pipeline_id, '')
                = coalesce(previous.from_pipeline_id, '')
                and {{ seconds_between('previous.occurred_at', 'previous.next_occurred_at') }}
                <= previous.correction_grace_seconds
                then 1
            else 0
        end as is_taken_back
    from previous
    left join periods as left_stages
        on
            previous.from_pipeline_id = left_stages.pipeline_id
            and previous.from_stage_id = left_stages.stage_id
            and {{ valid_on('left_stages', 'previous.occurred_on') }}
    left join periods as entered_stages
        on
            previous.pipeline_id = entered_stages.pipeline_id
            and previous.stage_id = entered_stages.stage_id
            and {{ valid_on('entered_stages', 'previous.occurred_on') }}
),

{# Moves taken back one after the other: the first and second cancel out, the third and fourth … #}
runs as (
    select
        *,
        move_number - row_number() over (
            partition by journey_id, is_taken_back order by move_number
        ) as run_id
    from ranked
),

paired as (
    select
        *,
        is_taken_back = 1
        and mod(
            row_number() over (partition by journey_id, is_taken_back, run_id order by move_number),
            2
        ) = 1 as is_mistake
    from runs
),

flagged as (
    select
        *,
        is_mistake
        or coalesce(
            lag(is_mistake) over (partition by journey_id order by move_number), false
        ) as is_correction
    from paired
),

typed as (
    select
        *,
        case
            when removal is not null then removal
            when stage_kind is null then 'unknown_stage'
            when move_number = 1 then 'create'
            when from_stage_id is null and from_stage_kind is null then 'restore'
            when stage_kind = from_stage_kind and stage_kind <> 'open' then 'advance'
            when stage_kind = 'won' then 'won'
            when stage_kind = 'lost' then 'lost'
            {# A won deal moved on to another pipeline stays won where it was won. #}
            when from_stage_kind = 'won' and from_pipeline_id <> pipeline_id then 'pipeline_change'
            when from_stage_kind = 'won' then 'reopen_after_won'
            when from_stage_kind = 'lost' then 'reopen_after_lost'
            when from_pipeline_id <> pipeline_id then 'pipeline_change'
            when from_stage_id is null then 'first_seen'
            when to_rank > from_rank + 1 then 'skip'
            when to_rank >= from_rank then 'advance'
            else 'regress'
        end as move_kind
    from flagged
),

departures as (
    select
        *,
        max(
            case
                when move_kind = 'pipeline_change' and from_stage_kind = 'won' then move_number
            end
        ) over (
            partition by journey_id
            order by move_number rows between unbounded preceding and current row
        ) as left_won_number
    from typed
),

with_departures as (
    select
        moves.*,
        departures.from_pipeline_id as won_pipeline_id
    from departures as moves
    left join departures
        on
            moves.journey_id = departures.journey_id
            and moves.left_won_number = departures.move_number
),

{# Until it is moved back into the pipeline that it was won in. #}
after_wins as (
    select
        *,
        coalesce(
            won_pipeline_id is not null
            and max(case when pipeline_id = won_pipeline_id then 1 else 0 end) over (
                partition by journey_id, left_won_number
                order by move_number rows between unbounded preceding and current row
            ) = 0,
            false
        ) as is_after_win
    from with_departures
)

select
    journey_id,
    move_number,
    record_type,
    from_pipeline_id,
    from_stage_id,
    pipeline_id,
    stage_id,
    stage_kind,
    from_stage_kind,
    move_kind,
    cast(
        case
            when
                move_kind in ('advance', 'skip', 'regress', 'won')
                and from_pipeline_id = pipeline_id
                and from_stage_kind = 'open'
                then to_rank - from_rank
        end as bigint
    ) as stages_moved,
    occurred_at,
    occurred_at_earliest,
    occurred_on,
    recorded_at,
    known_at,
    cast(
        case
            when from_stage_id is not null
                then {{ seconds_between('from_entered_at', 'occurred_at') }}
        end as bigint
    ) as seconds_in_from_stage,
    fidelity,
    is_time_inferred,
    is_order_inferred,
    is_bulk,
    is_mistake,
    is_correction,
    is_after_win,
    move_kind = 'convert'
    or (record_type = 'deal' and coalesce(from_record_type, 'deal') = 'lead') as is_conversion
from after_wins
