{#
    Since when a system's leads or deals are followed, where its data leave out what had ended
    before: its log's first move, if deals ended before it without one or the log finds them beyond
    their first stage; without a log its first export, if that shows nothing that had ended.
    Systems whose data reach back to every creation have no row.
#}
with

moves as (
    select
        to_pipeline_id,
        to_stage_id,
        kind,
        occurred_at,
        occurred_on,
        known_at,
        fidelity,
        is_conversion,
        {{ system_of('coalesce(deal_id, lead_id)') }} as system_id,
        {# Becoming a deal is how a lead ends. #}
        case when is_conversion then 'lead' else record_type end as record_type
    from {{ ref('fct_stage_transitions') }}
),

periods as (
    select * from {{ ref('int_stage_periods') }}
),

logged as (
    select
        system_id,
        record_type,
        min(occurred_at) as first_logged_at
    from moves
    where fidelity = 'event_log' and kind <> 'create'
    group by system_id, record_type
),

exported as (
    select
        system_id,
        record_type,
        min(known_at) as first_known_at
    from moves
    group by system_id, record_type
),

judged as (
    select
        exported.system_id,
        exported.record_type,
        logged.first_logged_at,
        exported.first_known_at,
        sum(
            case
                when moves.occurred_at >= logged.first_logged_at then 0
                when moves.kind = 'create' and periods.stage_rank > 1 then 1
                when periods.kind <> 'open' then 1
                else 0
            end
        ) as n_unlogged,
        sum(
            case
                when moves.kind = 'create' and moves.occurred_at < exported.first_known_at then 1
                else 0
            end
        ) as n_begun_before,
        sum(
            case
                when
                    moves.occurred_at < exported.first_known_at
                    and (moves.is_conversion or periods.kind <> 'open')
                    then 1
                else 0
            end
        ) as n_ended_before
    from moves
    inner join exported
        on moves.system_id = exported.system_id and moves.record_type = exported.record_type
    left join logged
        on moves.system_id = logged.system_id and moves.record_type = logged.record_type
    left join periods
        on
            moves.to_pipeline_id = periods.pipeline_id
            and moves.to_stage_id = periods.stage_id
            and {{ on_day('periods', 'moves.occurred_on') }}
    group by
        exported.system_id,
        exported.record_type,
        logged.first_logged_at,
        exported.first_known_at
)

select
    system_id,
    record_type,
    coalesce(first_logged_at, first_known_at) as history_starts_at
from judged
where
    case
        when first_logged_at is not null then n_unlogged > 0
        else n_begun_before > 0 and n_ended_before = 0
    end
