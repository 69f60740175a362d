{#
    Every claim that a lead or deal entered a stage, from every source, not yet chosen among.
    Rank 1 is the best: a full history beats the latest entry per stage, which beats what two
    exports show between them, which beats the mere date of creation. Of the stage a deal was created
    in, the mere date says nothing: it is null unless a log or the company says which.
#}
with

run as (
    select * from {{ ref('stg_run') }}
),

stages as (
    select * from {{ ref('int_stages') }}
),

start_stages as (
    select
        pipeline_id,
        from_on,
        until_on,
        min(stage_id) as stage_id
    from {{ ref('int_stage_periods') }}
    where is_start and stage_kind = 'open' and is_in_force
    group by pipeline_id, from_on, until_on
),

journeys as (
    select * from {{ ref('int_journeys') }} where deal_id is not null
),

versions as (
    select * from {{ ref('int_record_versions') }}
),

changes as (
    select * from {{ ref('int_deal_changes') }}
),

logged_stages as (
    select * from {{ ref('int_logged_stages') }}
),

logged as (
    select
        journeys.journey_id,
        'deal' as record_type,
        logged_stages.pipeline_id as deal_pipeline_id,
        logged_stages.stage_id,
        logged_stages.occurred_at,
        cast(null as timestamp) as occurred_at_earliest,
        logged_stages.recorded_at,
        logged_stages.first_known_at as known_at,
        logged_stages.order_number,
        logged_stages.fidelity,
        cast(
            case logged_stages.fidelity when 'event_log' then 1 else 2 end as bigint
        ) as fidelity_rank,
        false as is_current_close,
        false as is_time_inferred,
        logged_stages.is_bulk,
        logged_stages.is_tie,
        logged_stages.log_known_until
    from logged_stages
    inner join journeys on logged_stages.deal_id = journeys.deal_id
),

closes as (
    select
        versions.*,
        coalesce(stages.stage_kind in ('won', 'lost'), false) as is_close,
        coalesce(
            stages.stage_kind in ('won', 'lost') and versions.closed_at <= versions.known_at, false
        ) as has_close_time,
        {# Not before the creation that day, nor while an earlier export showed it elsewhere. #}
        greatest(
            versions.closed_at,
            case
                when versions.created_at <= versions.known_at and not versions.is_created_late
                    then versions.created_at
                else versions.closed_at
            end,
            coalesce(versions.elsewhere_until_at, versions.closed_at)
        ) as close_at
    from versions
    left join stages
        on versions.pipeline_id = stages.pipeline_id and versions.stage_id = stages.stage_id
),

{# A lead is read-only once it is converted: what it shows later, it had entered by then. #}
conversions as (
    select
        journey_id,
        record_type,
        greatest(converted_at, coalesce(created_at, converted_at)) as converted_at
    from versions
    where record_type = 'lead' and is_current and converted_at is not null
),

shown as (
    select
        closes.*,
        case
            when conversions.converted_at is null or closes.known_at <= conversions.converted_at
                then closes.known_at
            when coalesce(closes.previous_known_at <= conversions.converted_at, true)
                then conversions.converted_at
        end as seen_at
    from closes
    left join conversions
        on
            closes.journey_id = conversions.journey_id
            and closes.record_type = conversions.record_type
),

observed as (
    select
        journey_id,
        record_type,
        pipeline_id as deal_pipeline_id,
        stage_id,
        case when has_close_time then close_at else seen_at end as occurred_at,
        case
            when has_close_time then cast(null as timestamp)
            when previous_known_at is not null then previous_known_at
            when created_at <= seen_at then created_at
        end as occurred_at_earliest,
        known_at as recorded_at,
        known_at,
        cast(null as bigint) as order_number,
        case when has_close_time then 'created_closed' else 'snapshot_diff' end as fidelity,
        cast(3 as bigint) as fidelity_rank,
        is_current and is_close as is_current_close,
        coalesce(has_close_time and close_at > closed_at, false) as is_time_inferred,
        false as is_bulk,
        false as is_tie,
        cast(null as timestamp) as log_known_until
    from shown
    where
        stage_id is not null
        and seen_at is not null
        and (
            previous_stage_id is null
            or previous_stage_id <> stage_id
            or previous_pipeline_id <> pipeline_id
            or is_current
        )
),

{# The stage beside a won or lost status: entered by then, if no export before showed it. #}
closed_from as (
    select
        journey_id,
        record_type,
        pipeline_id as deal_pipeline_id,
        closed_from_stage_id as stage_id,
        case when has_close_time then close_at else seen_at end as occurred_at,
        case
            when previous_known_at is not null then previous_known_at
            when created_at <= seen_at and not is_created_late then created_at
        end as occurred_at_earliest,
        known_at as recorded_at,
        known_at,
        cast(null as bigint) as order_number,
        'snapshot_diff' as fidelity,
        cast(3 as bigint) as fidelity_rank,
        false as is_current_close,
        false as is_time_inferred,
        false as is_bulk,
        false as is_tie,
        cast(null as timestamp) as log_known_until
    from shown
    where
        closed_from_stage_id is not null
        and seen_at is not null
        and (
            previous_stage_id is null
            or previous_pipeline_id <> pipeline_id
            or (previous_stage_id <> closed_from_stage_id and previous_stage_id <> stage_id)
        )
),

first_changes as (
    select
        journeys.journey_id,
        'deal' as record_type,
        changes.old_value,
        changes.occurred_at,
        changes.fidelity
    from changes
    inner join journeys on changes.deal_id = journeys.deal_id
    where
        changes.field = 'stage_id'
        and changes.change_number = 1
        and changes.old_value is not null
        and changes.fidelity = 'event_log'
),

lead_pipelines as (
    select
        journey_id,
        pipeline_id
    from versions
    where record_type = 'lead' and is_current
),

{#
    Where a deal was created: in the stage its log first left, unless an export shows it elsewhere
    earlier; else where the company declares that deals of its pipeline start. A deal grown out of
    a lead in the same pipeline was not created in it.
#}
created as (
    select
        versions.journey_id,
        versions.record_type,
        coalesce(only_pipeline.pipeline_id, versions.first_pipeline_id) as deal_pipeline_id,
        coalesce(first_changes.old_value, start_stages.stage_id) as stage_id,
        versions.created_at as occurred_at,
        cast(null as timestamp) as occurred_at_earliest,
        versions.created_at as recorded_at,
        versions.first_known_at as known_at,
        cast(null as bigint) as order_number,
        case
            when first_changes.old_value is not null then first_changes.fidelity
            when start_stages.stage_id is not null then 'declared'
            else 'created_closed'
        end as fidelity,
        cast(4 as bigint) as fidelity_rank,
        false as is_current_close,
        false as is_time_inferred,
        false as is_bulk,
        false as is_tie,
        cast(null as timestamp) as log_known_until
    from versions
    cross join run
    left join stages as only_pipeline
        on versions.first_stage_id = only_pipeline.stage_id and only_pipeline.is_in_one_pipeline
    left join start_stages
        on
            coalesce(only_pipeline.pipeline_id, versions.first_pipeline_id)
            = start_stages.pipeline_id
            and {{ valid_on('start_stages', local_date('versions.created_at', 'run.zone')) }}
    left join first_changes
        on
            versions.journey_id = first_changes.journey_id
            and versions.record_type = first_changes.record_type
            and (
                versions.first_shown_at is null
                or versions.first_shown_at >= first_changes.occurred_at
                or versions.first_stage_id = first_changes.old_value
            )
    left join lead_pipelines
        on
            versions.record_type = 'deal'
            and versions.journey_id = lead_pipelines.journey_id
            and versions.pipeline_id = lead_pipelines.pipeline_id
    where
        versions.is_current
        and versions.created_at is not null
        and not versions.is_created_late
        and lead_pipelines.journey_id is null
),

claims as (
    select * from logged
    union all
    select * from observed
    union all
    select * from closed_from
    union all
    select * from created
)

select
    claims.journey_id,
    claims.record_type,
    coalesce(only_pipeline.pipeline_id, claims.deal_pipeline_id) as pipeline_id,
    claims.stage_id,
    claims.occurred_at,
    claims.occurred_at_earliest,
    claims.recorded_at,
    claims.known_at,
    claims.order_number,
    claims.fidelity,
    claims.fidelity_rank,
    claims.is_current_close,
    claims.is_time_inferred,
    claims.is_bulk,
    claims.is_tie,
    claims.log_known_until,
    coalesce(kinds.stage_kind in ('won', 'lost'), false) as is_close
from claims
left join stages as only_pipeline
    on claims.stage_id = only_pipeline.stage_id and only_pipeline.is_in_one_pipeline
left join stages as kinds
    on
        coalesce(only_pipeline.pipeline_id, claims.deal_pipeline_id) = kinds.pipeline_id
        and claims.stage_id = kinds.stage_id
cross join run
where claims.occurred_at <= run.as_of_at
