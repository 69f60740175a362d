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
        coalesce(
            previous.fidelity = 'event_log'
            and previous.next_fidelity = 'event_log'
            and previous.next_stage_id = previous.from_stage_id
            and coalesce(previous.next_pipeline_id, '') = coalesce(previous.from_pipeline_id, '')
            and {{ seconds_between('previous.occurred_at', 'previous.next_occurred_at') }}
            <= previous.correction_grace_seconds,
            false
        ) as is_taken_back
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
taken_back as (
    select
        journey_id,
        move_number,
        move_number - row_number() over (partition by journey_id order by move_number) as run_id
    from ranked
    where is_taken_back
),

paired as (
    select
        journey_id,
        move_number,
        mod(
            row_number() over (partition by journey_id, run_id order by move_number), 2
        ) = 1 as is_mistake
    from taken_back
),

mistakes as (
    select
        journey_id,
        move_number
    from paired
    where is_mistake
),

flagged as (
    select
        ranked.*,
        mistakes.journey_id is not null as is_mistake,
        mistakes.journey_id is not null or mistakes_before.journey_id is not null as is_correction
    from ranked
    left join mistakes
        on
            ranked.journey_id = mistakes.journey_id
            and ranked.move_number = mistakes.move_number
    left join mistakes as mistakes_before
        on
            ranked.journey_id = mistakes_before.journey_id
            and ranked.move_number = mistakes_before.move_number + 1
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
        journey_id,
        move_number,
        from_pipeline_id as won_pipeline_id,
        lead(move_number) over (
            partition by journey_id order by move_number
        ) as next_departure_number
    from typed
    where move_kind = 'pipeline_change' and from_stage_kind = 'won'
),

{# Until it is moved back into the pipeline that it was won in. #}
after_wins as (
    select
        departures.journey_id,
        departures.move_number as from_number,
        coalesce(
            min(
                case
                    when moves.pipeline_id = departures.won_pipeline_id then moves.move_number
                end
            ),
            departures.next_departure_number
        ) as until_number
    from departures
    inner join typed as moves
        on
            departures.journey_id = moves.journey_id
            and departures.move_number <= moves.move_number
            and (
                departures.next_departure_number is null
                or departures.next_departure_number > moves.move_number
            )
    group by
        departures.journey_id, departures.move_number, departures.next_departure_number
)

select
    moves.journey_id,
    moves.move_number,
    moves.record_type,
    moves.from_pipeline_id,
    moves.from_stage_id,
    moves.pipeline_id,
    moves.stage_id,
    moves.stage_kind,
    moves.from_stage_kind,
    moves.move_kind,
    cast(
        case
            when
                moves.move_kind in ('advance', 'skip', 'regress', 'won')
                and moves.from_pipeline_id = moves.pipeline_id
                and moves.from_stage_kind = 'open'
                then moves.to_rank - moves.from_rank
        end as bigint
    ) as stages_moved,
    moves.occurred_at,
    moves.occurred_at_earliest,
    moves.occurred_on,
    moves.recorded_at,
    moves.known_at,
    cast(
        case
            when moves.from_stage_id is not null
                then {{ seconds_between('moves.from_entered_at', 'moves.occurred_at') }}
        end as bigint
    ) as seconds_in_from_stage,
    moves.fidelity,
    moves.is_time_inferred,
    moves.is_order_inferred,
    moves.is_bulk,
    moves.is_mistake,
    moves.is_correction,
    after_wins.journey_id is not null as is_after_win,
    moves.move_kind = 'convert'
    or (
        moves.record_type = 'deal' and coalesce(moves.from_record_type, 'deal') = 'lead'
    ) as is_conversion
from typed as moves
left join after_wins
    on
        moves.journey_id = after_wins.journey_id
        and moves.move_number >= after_wins.from_number
        and (after_wins.until_number is null or moves.move_number < after_wins.until_number)
