with

run as (
    select * from {{ ref('stg_run') }}
),

journeys as (
    select * from {{ ref('int_journeys') }} where deal_id is not null
),

versions as (
    select * from {{ ref('int_record_versions') }}
    where record_type = 'deal' and stage_id is not null
),

visits as (
    select * from {{ ref('fct_stage_visits') }} where record_type = 'deal'
),

moves as (
    select * from {{ ref('fct_stage_transitions') }} where record_type = 'deal'
),

logs as (
    select
        deal_id,
        max(log_known_until) as log_known_until
    from {{ ref('int_deal_changes') }}
    where field = 'stage_id'
    group by deal_id
),

statements as (
    select * from {{ ref('int_deal_merges') }} where is_cycle
),

entries as (
    select * from {{ ref('int_logged_stages') }} where fidelity = 'latest_per_stage'
),

removed as (
    select journey_id
    from moves
    group by journey_id
    having max(case when move_kind in ('delete', 'merge') then move_number end) = max(move_number)
),

{# What each export showed, once per stretch of exports that showed the same. #}
shown as (
    select
        versions.journey_id,
        journeys.deal_id,
        versions.pipeline_id,
        versions.stage_id,
        versions.known_at,
        versions.is_current,
        {{ local_date('versions.known_at', 'run.zone') }} as known_on
    from versions
    inner join journeys on versions.journey_id = journeys.journey_id
    cross join run
),

{#
    Exports are dated by day: one agrees if the ledger has the deal there at any time of it. The
    last one shows where the deal ended, or what it was deleted or merged from.
#}
agreeing as (
    select distinct
        shown.journey_id,
        shown.known_at
    from shown
    inner join visits
        on
            shown.journey_id = visits.journey_id
            and shown.stage_id = visits.stage_id
            and coalesce(shown.pipeline_id, '') = coalesce(visits.pipeline_id, '')
            and shown.known_at >= visits.entered_at
    left join removed on shown.journey_id = removed.journey_id
    where
        visits.left_at is null
        or (removed.journey_id is not null and visits.how_ended in ('delete', 'merge'))
        or (
            shown.known_on <= visits.left_on
            and (not shown.is_current or removed.journey_id is not null)
        )
),

standing as (
    select
        shown.*,
        visits.pipeline_id as ledger_pipeline_id,
        visits.stage_id as ledger_stage_id,
        visits.entered_at as ledger_entered_at,
        visits.fidelity as ledger_fidelity,
        moves.known_at as ledger_known_at
    from shown
    left join agreeing
        on shown.journey_id = agreeing.journey_id and shown.known_at = agreeing.known_at
    left join visits
        on
            shown.journey_id = visits.journey_id
            and case
                when shown.is_current then visits.left_at is null
                else
                    shown.known_at >= visits.entered_at
                    and (visits.left_at is null or shown.known_at < visits.left_at)
            end
    left join moves
        on
            visits.journey_id = moves.journey_id and visits.visit_number = moves.move_number
    where agreeing.journey_id is null
),

contradicted as (
    select
        standing.deal_id,
        standing.pipeline_id as claimed_pipeline_id,
        standing.stage_id as claimed_stage_id,
        standing.known_at as claimed_at,
        'snapshot_diff' as claim_fidelity,
        standing.ledger_pipeline_id,
        standing.ledger_stage_id,
        standing.ledger_entered_at,
        standing.ledger_fidelity,
        standing.is_current,
        case
            when standing.is_current and logs.log_known_until >= standing.known_at
                then 'log_is_as_new_as_the_export'
            when standing.is_current and standing.ledger_known_at > standing.known_at
                then 'a_newer_source_moved_it_on'
            when not standing.is_current then 'export_contradicts_the_ledger'
        end as reason
    from standing
    left join logs on standing.deal_id = logs.deal_id
),

not_logged as (
    select
        entries.deal_id,
        entries.pipeline_id as claimed_pipeline_id,
        entries.stage_id as claimed_stage_id,
        entries.occurred_at as claimed_at,
        entries.fidelity as claim_fidelity,
        cast(null as string) as ledger_pipeline_id,
        cast(null as string) as ledger_stage_id,
        cast(null as timestamp) as ledger_entered_at,
        cast(null as string) as ledger_fidelity,
        false as is_current,
        'entry_is_not_in_the_log' as reason
    from entries
    cross join run
    left join moves
        on
            entries.deal_id = moves.deal_id
            and entries.stage_id = moves.to_stage_id
            and {{ local_date('entries.occurred_at', 'run.zone') }} = moves.occurred_on
    where moves.deal_id is null and entries.occurred_at <= run.as_of_at
),

circles as (
    select
        journeys.deal_id,
        cast(null as string) as claimed_pipeline_id,
        cast(null as string) as claimed_stage_id,
        coalesce(statements.merged_at, statements.known_at) as claimed_at,
        'created_closed' as claim_fidelity,
        cast(null as string) as ledger_pipeline_id,
        cast(null as string) as ledger_stage_id,
        cast(null as timestamp) as ledger_entered_at,
        cast(null as string) as ledger_fidelity,
        false as is_current,
        'merged_in_a_circle' as reason
    from journeys
    inner join statements on journeys.deal_id = statements.deal_id
)

select * from contradicted
union all
select * from not_logged
union all
select * from circles
