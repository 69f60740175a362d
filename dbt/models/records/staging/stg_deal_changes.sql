with

run as (
    select * from {{ ref('stg_run') }}
),

sightings as (
    select
        load_id,
        known_at
    from {{ source('raw', 'sightings') }}
),

seen as (
    select
        deal_changes.deal_id,
        deal_changes.field,
        deal_changes.pipeline_id,
        deal_changes.old_value,
        deal_changes.new_value,
        deal_changes.occurred_at,
        deal_changes.recorded_at,
        deal_changes.sequence,
        deal_changes.changed_by,
        deal_changes.change_source,
        deal_changes.fidelity,
        coalesce(sightings.known_at, deal_changes.known_at) as known_at
    from {{ source('raw', 'deal_changes') }} as deal_changes
    left join sightings on deal_changes.load_id = sightings.load_id
),

deal_changes as (
    select
        seen.deal_id,
        seen.field,
        seen.pipeline_id,
        seen.old_value,
        seen.new_value,
        seen.occurred_at,
        seen.recorded_at,
        seen.sequence,
        seen.changed_by,
        seen.change_source,
        seen.fidelity,
        min(least(seen.known_at, run.as_of_at)) as first_known_at,
        max(least(seen.known_at, run.as_of_at)) as last_known_at
    from seen
    inner join run
        on
            seen.known_at <= run.as_of_at
            or (
                run.knowledge_basis = 'as_reconstructed'
                and coalesce(seen.recorded_at, seen.occurred_at) <= run.as_of_at
            )
    group by
        seen.deal_id,
        seen.field,
        seen.pipeline_id,
        seen.old_value,
        seen.new_value,
        seen.occurred_at,
        seen.recorded_at,
        seen.sequence,
        seen.changed_by,
        seen.change_source,
        seen.fidelity
)

select * from deal_changes
