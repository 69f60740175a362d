with

run as (
    select * from {{ ref('stg_run') }}
),

deal_changes as (
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
        min(least(deal_changes.known_at, run.as_of_at)) as first_known_at,
        max(least(deal_changes.known_at, run.as_of_at)) as last_known_at
    from {{ source('raw', 'deal_changes') }} as deal_changes
    inner join run
        on
            deal_changes.known_at <= run.as_of_at
            or (
                run.knowledge_basis = 'as_reconstructed'
                and coalesce(deal_changes.recorded_at, deal_changes.occurred_at) <= run.as_of_at
            )
    group by
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
        deal_changes.fidelity
)

select * from deal_changes
