{#
    Every claim that a lead or deal entered a stage, from every source, not yet chosen among.
    Rank 1 is the best: a full history beats the latest entry per stage, which beats what two
    exports show between them, which beats the mere dates of creation and closing.
#}
with

run as (
    select as_of_at from {{ ref('stg_run') }}
),

stages as (
    select * from {{ ref('int_stages') }}
),

first_stages as (
    select
        pipeline_id,
        stage_id
    from stages where kind = 'open' and stage_rank = 1
),

journeys as (
    select * from {{ ref('int_journeys') }} where deal_id is not null
),

versions as (
    select * from {{ ref('int_record_versions') }}
),

current_versions as (
    select * from versions where is_current
),

changes as (
    select * from {{ ref('stg_deal_changes') }} where field = 'stage_id' and new_value is not null
),

deal_changes as (
    select
        journeys.journey_id,
        changes.*,
        current_versions.pipeline_id as deal_pipeline_id,
        current_versions.created_at,
        row_number() over (
            partition by changes.deal_id, changes.fidelity
            order by
                changes.occurred_at asc,
                changes.sequence asc nulls last,
                changes.new_value asc,
                changes.old_value asc nulls last
        ) as change_rank
    from changes
    inner join journeys on changes.deal_id = journeys.deal_id
    left join current_versions
        on
            journeys.journey_id = current_versions.journey_id
            and current_versions.record_type = 'deal'
),

logged as (
    select
        journey_id,
        'deal' as record_type,
        deal_pipeline_id,
        new_value as stage_id,
        occurred_at,
        cast(null as timestamp) as occurred_at_earliest,
        recorded_at,
        sequence,
        fidelity,
        cast(case fidelity when 'event_log' then 1 else 2 end as bigint) as fidelity_rank,
        false as is_current_close
    from deal_changes
),

{# The value before the first logged change is where the deal was created. #}
logged_creations as (
    select
        journey_id,
        'deal' as record_type,
        deal_pipeline_id,
        old_value as stage_id,
        created_at as occurred_at,
        cast(null as timestamp) as occurred_at_earliest,
        created_at as recorded_at,
        cast(null as bigint) as sequence,
        fidelity,
        cast(case fidelity when 'event_log' then 1 else 2 end as bigint) as fidelity_rank,
        false as is_current_close
    from deal_changes
    where change_rank = 1 and old_value is not null and created_at < occurred_at
),

observed as (
    select
        versions.journey_id,
        versions.record_type,
        versions.pipeline_id as deal_pipeline_id,
        versions.stage_id,
        case
            when stages.kind in ('won', 'lost') and versions.closed_at <= versions.known_at
                then versions.closed_at
            else versions.known_at
        end as occurred_at,
        case
            when stages.kind in ('won', 'lost') and versions.closed_at <= versions.known_at
                then cast(null as timestamp)
            else coalesce(versions.previous_known_at, versions.created_at)
        end as occurred_at_earliest,
        versions.known_at as recorded_at,
        cast(null as bigint) as sequence,
        case
            when stages.kind in ('won', 'lost') and versions.closed_at <= versions.known_at
                then 'created_closed'
            else 'snapshot_diff'
        end as fidelity,
        cast(3 as bigint) as fidelity_rank,
        versions.is_current and stages.kind in ('won', 'lost') as is_current_close
    from versions
    left join stages
        on versions.pipeline_id = stages.pipeline_id and versions.stage_id = stages.stage_id
    where
        versions.stage_id is not null
        and (
            versions.previous_stage_id is null
            or versions.previous_stage_id <> versions.stage_id
            or versions.is_current
        )
),

{# All that is known of the beginning is its date: it began in the pipeline's first stage. #}
created as (
    select
        current_versions.journey_id,
        current_versions.record_type,
        current_versions.pipeline_id as deal_pipeline_id,
        first_stages.stage_id,
        current_versions.created_at as occurred_at,
        cast(null as timestamp) as occurred_at_earliest,
        current_versions.created_at as recorded_at,
        cast(null as bigint) as sequence,
        'created_closed' as fidelity,
        cast(4 as bigint) as fidelity_rank,
        false as is_current_close
    from current_versions
    inner join first_stages on current_versions.pipeline_id = first_stages.pipeline_id
    where current_versions.created_at is not null
),

together as (
    select * from logged
    union all
    select * from logged_creations
    union all
    select * from observed
    union all
    select * from created
)

select
    together.journey_id,
    together.record_type,
    coalesce(only_pipeline.pipeline_id, together.deal_pipeline_id) as pipeline_id,
    together.stage_id,
    together.occurred_at,
    together.occurred_at_earliest,
    together.recorded_at,
    together.sequence,
    together.fidelity,
    together.fidelity_rank,
    together.is_current_close
from together
left join stages as only_pipeline
    on together.stage_id = only_pipeline.stage_id and only_pipeline.is_in_one_pipeline
cross join run
where together.occurred_at <= run.as_of_at
