with

run as (
    select zone from {{ ref('stg_run') }}
),

events as (
    select * from {{ ref('int_stage_events') }}
),

attributes as (
    select * from {{ ref('int_move_attributes') }}
),

previous as (
    select
        *,
        lag(pipeline_id) over (partition by journey_id order by move_number) as from_pipeline_id,
        lag(stage_id) over (partition by journey_id order by move_number) as from_stage_id,
        lag(stage_kind) over (partition by journey_id order by move_number) as from_kind,
        lag(stage_rank) over (partition by journey_id order by move_number) as from_rank,
        lag(occurred_at) over (partition by journey_id order by move_number) as from_entered_at
    from events
),

typed as (
    select
        *,
        case
            when stage_kind is null then 'unknown_stage'
            when from_stage_id is null then 'create'
            when stage_kind = from_kind and stage_kind <> 'open' then 'advance'
            when stage_kind = 'won' then 'won'
            when stage_kind = 'lost' then 'lost'
            when from_kind = 'won' then 'reopen_after_won'
            when from_kind = 'lost' then 'reopen_after_lost'
            when from_pipeline_id <> pipeline_id then 'pipeline_change'
            when stage_rank > from_rank + 1 then 'skip'
            when stage_rank >= from_rank then 'advance'
            else 'regress'
        end as kind
    from previous
)

select
    typed.journey_id,
    typed.move_number,
    attributes.deal_id,
    attributes.lead_id,
    attributes.account_id,
    typed.from_pipeline_id,
    typed.from_stage_id,
    typed.pipeline_id as to_pipeline_id,
    typed.stage_id as to_stage_id,
    typed.kind,
    cast(
        case
            when
                typed.kind in ('advance', 'skip', 'regress', 'won')
                and typed.from_pipeline_id = typed.pipeline_id
                and typed.from_kind = 'open'
                then typed.stage_rank - typed.from_rank
        end as bigint
    ) as stages_moved,
    typed.occurred_at,
    typed.occurred_at_earliest,
    {{ local_date('typed.occurred_at', 'run.zone') }} as occurred_on,
    typed.recorded_at,
    cast(
        {{ seconds_between('typed.from_entered_at', 'typed.occurred_at') }} as bigint
    ) as seconds_in_from_stage,
    typed.is_time_inferred,
    typed.fidelity,
    attributes.seller_id,
    attributes.segment,
    attributes.business_area,
    attributes.source,
    attributes.amount,
    attributes.currency
from typed
inner join attributes
    on typed.journey_id = attributes.journey_id and typed.move_number = attributes.move_number
cross join run
