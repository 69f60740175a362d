{#
    Since when and until when a system's leads or deals are followed. Until: its last export or log.
    Since: where its data leave out what had ended before, its log's first move, if deals ended
    before it without one or the log finds them beyond their first stage; without a log its first
    export, if that shows nothing that had ended. Null where data reach back to every creation.
#}
with

run as (
    select * from {{ ref('stg_run') }}
),

moves as (
    select
        moves.record_type,
        moves.pipeline_id,
        moves.stage_id,
        moves.move_kind,
        moves.occurred_at,
        moves.occurred_on,
        moves.fidelity,
        moves.is_conversion,
        journeys.lead_id,
        {{ system_of(
            "case when moves.record_type = 'lead' then journeys.lead_id else journeys.deal_id end"
        ) }} as system_id,
        moves.move_kind = 'convert' as is_lead_that_ended
    from {{ ref('int_moves') }} as moves
    inner join {{ ref('int_journeys') }} as journeys on moves.journey_id = journeys.journey_id
),

{# Becoming a deal is how a lead ends. #}
moves_and_conversions as (
    select
        system_id,
        record_type,
        pipeline_id,
        stage_id,
        move_kind,
        occurred_at,
        occurred_on,
        fidelity,
        is_conversion,
        is_lead_that_ended
    from moves
    union all
    select
        {{ system_of('lead_id') }} as system_id,
        'lead' as record_type,
        pipeline_id,
        stage_id,
        move_kind,
        occurred_at,
        occurred_on,
        'snapshot_diff' as fidelity,
        is_conversion,
        true as is_lead_that_ended
    from moves
    where is_conversion and move_kind <> 'convert' and lead_id is not null
),

periods as (
    select * from {{ ref('int_stage_periods') }}
),

statements as (
    select
        system as system_id,
        record_type,
        known_at
    from {{ ref('int_record_versions') }}
    union all
    select
        {{ system_of('deal_id') }} as system_id,
        'deal' as record_type,
        last_known_at as known_at
    from {{ ref('stg_deal_changes') }}
),

spans as (
    select
        system_id,
        record_type,
        min(known_at) as first_known_at,
        max(known_at) as last_known_at
    from statements
    group by system_id, record_type
),

logged as (
    select
        system_id,
        record_type,
        min(occurred_at) as first_logged_at
    from moves
    where fidelity = 'event_log' and move_kind <> 'create' and not is_conversion
    group by system_id, record_type
),

systems as (
    select
        spans.system_id,
        spans.record_type,
        spans.first_known_at,
        spans.last_known_at,
        logged.first_logged_at,
        sum(
            case
                when moves.occurred_at >= logged.first_logged_at then 0
                when
                    (moves.move_kind = 'create' or moves.is_conversion)
                    and periods.stage_kind = 'open'
                    and periods.stage_rank > 1
                    then 1
                when periods.stage_kind <> 'open' and moves.fidelity <> 'event_log' then 1
                else 0
            end
        ) as n_unlogged,
        sum(
            case
                when moves.move_kind = 'create' and moves.occurred_at < spans.first_known_at then 1
                else 0
            end
        ) as n_begun_before,
        sum(
            case
                when
                    moves.occurred_at <= spans.first_known_at
                    and (moves.is_lead_that_ended or periods.stage_kind <> 'open')
                    then 1
                else 0
            end
        ) as n_ended_before
    from spans
    left join moves_and_conversions as moves
        on spans.system_id = moves.system_id and spans.record_type = moves.record_type
    left join logged
        on spans.system_id = logged.system_id and spans.record_type = logged.record_type
    left join periods
        on
            moves.pipeline_id = periods.pipeline_id
            and moves.stage_id = periods.stage_id
            and {{ valid_on('periods', 'moves.occurred_on') }}
    group by
        spans.system_id,
        spans.record_type,
        spans.first_known_at,
        spans.last_known_at,
        logged.first_logged_at
)

select
    systems.system_id,
    systems.record_type,
    systems.first_known_at,
    systems.last_known_at,
    case
        when systems.first_logged_at is not null
            then case when systems.n_unlogged > 0 then systems.first_logged_at end
        {# Of a past day, later exports tell what had been begun, but not all that had ended. #}
        when run.knowledge_basis = 'as_reconstructed' then null
        when systems.n_begun_before > 0 and systems.n_ended_before = 0
            then systems.first_known_at
    end as history_starts_at
from systems
cross join run
