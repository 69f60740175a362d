with

stages as (
    select * from {{ ref('int_stages') }}
)

select
    pipeline_id,
    stage_id,
    label,
    position,
    stage_rank,
    stage_kind,
    role,
    probability,
    is_in_force
from stages
