{#
    The entries into stages and the removals that the ledger is made of, in order. A stage entered
    twice in a row is one visit. Creation in a stage that nothing tells is an entry into the pipeline.
#}
{% set in_order -%}
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
{%- endset %}
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
        row_number() over ({{ in_order }}) as event_number,
        lag(claims.removal) over ({{ in_order }}) as before_removal,
        lag(claims.stage_id) over ({{ in_order }}) as before_stage_id,
        lag(claims.pipeline_id) over ({{ in_order }}) as before_pipeline_id
    from claims
    cross join run
    left join periods
        on
            claims.pipeline_id = periods.pipeline_id
            and claims.stage_id = periods.stage_id
            and {{ valid_on('periods', local_date('claims.occurred_at', 'run.zone')) }}
),

{# Few claims share their moment, few are removals: only these are looked up. #}
crowded as (
    select
        journey_id,
        record_type,
        occurred_at
    from claims
    where stage_id is not null and fidelity <> 'snapshot_diff'
    group by journey_id, record_type, occurred_at
    having count(*) > 1
),

stood_before as (
    select
        removals.journey_id,
        removals.event_number,
        max(stages.event_number) as stage_event_number
    from ordered as removals
    inner join ordered as stages
        on
            removals.journey_id = stages.journey_id
            and removals.event_number > stages.event_number
    where removals.removal is not null and stages.removal is null
    group by removals.journey_id, removals.event_number
),

{# What is deleted comes back into the stage it stood in. #}
removed as (
    select
        stood_before.journey_id,
        stood_before.event_number,
        stages.stage_id,
        stages.pipeline_id,
        stages.stage_kind
    from stood_before
    inner join ordered as stages
        on
            stood_before.journey_id = stages.journey_id
            and stood_before.stage_event_number = stages.event_number
),

with_previous as (
    select
        events.journey_id,
        events.record_type,
        events.removal,
        events.pipeline_id,
        events.stage_id,
        events.event_number,
        events.occurred_at,
        events.occurred_at_earliest,
        events.recorded_at,
        events.known_at,
        events.fidelity,
        events.is_time_inferred,
        events.is_bulk,
        events.is_tie,
        events.order_number,
        crowded.journey_id is not null as is_crowded,
        case when events.removal is null then events.stage_id else removed.stage_id end
            as standing_stage_id,
        case when events.removal is null then events.pipeline_id else removed.pipeline_id end
            as standing_pipeline_id,
        case
            when events.removal is null and events.stage_id is not null then events.stage_kind
            when removed.stage_id is not null then removed.stage_kind
            else 'open'
        end as standing_kind,
        events.before_removal,
        case
            when events.before_removal is null then events.event_number > 1
            else removed_before.journey_id is not null
        end as has_stood_before,
        case
            when events.before_removal is null then events.before_stage_id
            else removed_before.stage_id
        end as before_stage_id,
        case
            when events.before_removal is null then events.before_pipeline_id
            else removed_before.pipeline_id
        end as before_pipeline_id
    from ordered as events
    left join crowded
        on
            events.journey_id = crowded.journey_id
            and events.record_type = crowded.record_type
            and events.occurred_at = crowded.occurred_at
    left join removed
        on
            events.journey_id = removed.journey_id
            and events.event_number = removed.event_number
    left join removed as removed_before
        on
            events.journey_id = removed_before.journey_id
            and events.event_number = removed_before.event_number + 1
),

kept as (
    select *
    from with_previous
    where
        case
            when removal = 'restore'
                then before_removal = 'delete' and has_stood_before
            when removal in ('delete', 'merge', 'convert')
                then
                    has_stood_before
                    and coalesce(before_removal not in ('delete', 'merge', 'convert'), true)
            else
                not has_stood_before
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
    and is_crowded
    and (is_tie or order_number is null) as is_order_inferred
from kept
