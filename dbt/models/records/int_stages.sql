with

run as (
    select * from {{ ref('stg_run') }}
),

periods as (
    select * from {{ ref('int_stage_periods') }}
)

select
    periods.pipeline_id,
    periods.stage_id,
    periods.label,
    periods.position,
    periods.stage_kind,
    periods.role,
    periods.probability,
    periods.stage_rank,
    periods.is_in_force,
    count(*) over (partition by periods.stage_id) = 1 as is_in_one_pipeline
from periods
inner join run on {{ valid_on('periods', 'run.as_of') }}
