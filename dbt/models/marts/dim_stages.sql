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
    kind,
    role,
    probability
from stages
