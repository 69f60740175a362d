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
        *,
        {{ system_of("case when record_type = 'lead' then lead_id else deal_id end") }}
            as system_id,
        false as is_lead_that_ended
    from {{ ref('fct_stage_transitions') }}
),

{# Becoming a deal is how a lead ends. #}
moves_and_conversions as (
    select
        system_id,
        record_type,
        to_pipeline_id,
        to_stage_id,
        kind,
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
        to_pipeline_id,
        to_stage_id,
        kind,
        occurred_at,
        occurred_on,
        'snapshot_diff' as fidelity,
        is_conversion,
        true as is_lead_that_ended
    from moves
    where is_conversion and lead_id is not null
),

periods as (
    select * from {{ ref('int_stage_periods') }}
),

told as (
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

known as (
    select
        system_id,
        record_type,
        min(known_at) as first_known_at,
        max(known_at) as last_known_at
    from told
    group by system_id, record_type
),

logged as (
    select
        system_id,
        record_type,
        min(occurred_at) as first_logged_at
    from moves
    where fidelity = 'event_log' and kind <> 'create' and not is_conversion
    group by system_id, record_type
),

judged as (
    select
        known.system_id,
        known.record_type,
        known.first_known_at,
        known.last_known_at,
        logged.first_logged_at,
        sum(
            case
                when moves.occurred_at >= logged.first_logged_at then 0
                when
                    (moves.kind = 'create' or moves.is_conversion)
                    and periods.kind = 'open'
                    and periods.stage_rank > 1
                    then 1
                when periods.kind <> 'open' and moves.fidelity <> 'event_log' then 1
                else 0
            end
        ) as n_unlogged,
        sum(
            case
                when moves.kind = 'create' and moves.occurred_at < known.first_known_at then 1
                else 0
            end
        ) as n_begun_before,
        sum(
            case
                when
                    moves.occurred_at <= known.first_known_at
                    and (moves.is_lead_that_ended or periods.kind <> 'open')
                    then 1
                else 0
            end
        ) as n_ended_before
    from known
    left join moves_and_conversions as moves
        on known.system_id = moves.system_id and known.record_type = moves.record_type
    left join logged
        on known.system_id = logged.system_id and known.record_type = logged.record_type
    left join periods
        on
            moves.to_pipeline_id = periods.pipeline_id
            and moves.to_stage_id = periods.stage_id
            and {{ on_day('periods', 'moves.occurred_on') }}
    group by
        known.system_id,
        known.record_type,
        known.first_known_at,
        known.last_known_at,
        logged.first_logged_at
)

select
    judged.system_id,
    judged.record_type,
    judged.first_known_at,
    judged.last_known_at,
    case
        when judged.first_logged_at is not null
            then case when judged.n_unlogged > 0 then judged.first_logged_at end
        {# Of a past day, later exports tell what had been begun, but not all that had ended. #}
        when run.cut = 'as_reconstructed' then null
        when judged.n_begun_before > 0 and judged.n_ended_before = 0
            then judged.first_known_at
    end as history_starts_at
from judged
cross join run
