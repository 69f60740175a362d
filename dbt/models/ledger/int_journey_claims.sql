{#
    Everything that moves a journey: the chosen claims that it entered a stage, and what took it out
    of all stages or brought it back.
#}
with

chosen_claims as (
    select * from {{ ref('int_chosen_claims') }}
),

run as (
    select * from {{ ref('stg_run') }}
),

journeys as (
    select * from {{ ref('int_journeys') }}
),

removals as (
    select * from {{ ref('int_removals') }}
),

last_claims as (
    select
        journey_id,
        max(occurred_at) as last_at
    from chosen_claims
    group by journey_id
),

{# By merger or conversion; not before the last move: it was still there. #}
ended as (
    select
        journeys.journey_id,
        case when journeys.deal_id is null then 'lead' else 'deal' end as record_type,
        case when journeys.deal_id is null then 'convert' else 'merge' end as removal,
        journeys.ended_at as stated_at,
        greatest(journeys.ended_at, last_claims.last_at) as occurred_at,
        journeys.end_known_at as known_at
    from journeys
    inner join last_claims on journeys.journey_id = last_claims.journey_id
    cross join run
    where journeys.ended_at <= run.as_of_at
),

{# A lead leaves the list of leads when it has become a deal; that removes nothing. #}
deleted as (
    select removals.*
    from removals
    inner join journeys on removals.journey_id = journeys.journey_id
    left join ended on removals.journey_id = ended.journey_id
    where
        (removals.record_type = 'deal' or journeys.deal_id is null)
        and (ended.stated_at is null or removals.occurred_at < ended.stated_at)
)

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
from chosen_claims
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
    removal,
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
from ended
