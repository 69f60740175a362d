with

stages as (
    select * from {{ ref('stg_stages') }}
),

latest as (
    select
        *,
        row_number() over (
            partition by pipeline_id, stage_id
            order by
                {{ total_order([
                    'known_at', 'valid_from', 'valid_to', 'position', 'label', 'kind', 'role',
                    'probability'
                ]) }}
        ) as version_rank
    from stages
),

ranked as (
    select
        pipeline_id,
        stage_id,
        label,
        position,
        kind,
        role,
        probability,
        dense_rank() over (partition by pipeline_id, kind order by position) as rank_in_kind,
        count(*) over (partition by stage_id) as n_pipelines
    from latest
    where version_rank = 1
),

counted as (
    select
        *,
        max(case when kind = 'open' then rank_in_kind end) over (
            partition by pipeline_id
        ) as last_open_rank
    from ranked
)

select
    pipeline_id,
    stage_id,
    label,
    position,
    kind,
    role,
    probability,
    cast(
        case kind
            when 'open' then rank_in_kind
            when 'won' then coalesce(last_open_rank, 0) + 1
        end as bigint
    ) as stage_rank,
    n_pipelines = 1 as is_in_one_pipeline
from counted
