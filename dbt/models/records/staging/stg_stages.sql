with

run as (
    select as_of_at from {{ ref('stg_run') }}
),

stages as (
    select distinct
        stages.pipeline_id,
        stages.stage_id,
        stages.label,
        stages.position,
        stages.kind as stage_kind,
        stages.role,
        stages.probability,
        coalesce(stages.is_start, false) as is_start,
        stages.valid_from,
        stages.valid_to,
        stages.known_at
    from {{ source('raw', 'stages') }} as stages
    inner join run on stages.known_at <= run.as_of_at
)

select * from stages
