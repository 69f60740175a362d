{#
    The entries into stages and the removals that the ledger is made of, in order. A stage entered
    twice in a row is one visit. Creation in a stage that nothing tells is an entry into the pipeline.
#}
with

run as (
    select * from {{ ref('stg_run') }}
),

periods as (
    select * from {{ ref('int_stage_periods') }}
),

claims as (
    select * from {{ ref('int_journey_claims') }}
),

ordered as (
    select
        claims.*,
        periods.stage_kind,
        row_number() over (
            partition by claims.journey_id
            order by
                claims.occurred_at asc,
                case claims.removal
                    when 'restore' then 0
                    when 'delete' then 2
                    when 'merge' then 3
                    when 'convert' then 3
                    else 1
                end asc,
                case claims.record_type when 'lead' then 0 else 1 end asc,
                case when claims.stage_id is null then 0 else 1 end asc,
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
        count(case when claims.fidelity <> 'snapshot_diff' then claims.stage_id end) over (
            partition by claims.journey_id, claims.record_type, claims.occurred_at
        ) as n_at_once
    from claims
    cross join run
    left join periods
        on
            claims.pipeline_id = periods.pipeline_id
            and claims.stage_id = periods.stage_id
            and {{ valid_on('periods', local_date('claims.occurred_at', 'run.zone')) }}
),

{# What is deleted comes back into the stage it stood in. #}
with_last_stage as (
    select
        *,
        max(case when removal is null then event_number end) over (
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
        case when stages.stage_id is null then 'open' else stages.stage_kind end as standing_kind
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
        lag(stage_event_number) over (
            partition by journey_id order by event_number
        ) as before_event_number,
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
                then before_removal = 'delete' and before_event_number is not null
            when removal in ('delete', 'merge', 'convert')
                then
                    before_event_number is not null
                    and coalesce(before_removal not in ('delete', 'merge', 'convert'), true)
            else
                before_event_number is null
                or before_removal in ('delete', 'merge', 'convert')
                or {{ is_distinct('before_stage_id', 'stage_id') }}
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
    and stage_id is not null
    and fidelity <> 'snapshot_diff'
    and n_at_once > 1
    and (is_tie or order_number is null) as is_order_inferred
from kept
