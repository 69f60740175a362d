{#
    What each stage was, and when: its kind, role and place in the pipeline. The first thing known
    of a stage holds from the beginning and the last to the end, so that a deal found in a stage
    that was deleted still has a place; but only stages in force are counted over in a skip.
#}
with

run as (
    select * from {{ ref('stg_run') }}
),

stages as (
    select * from {{ ref('stg_stages') }}
),

{# Without a stated beginning, a later export's change holds from the day of that export. #}
dated as (
    select
        stages.*,
        coalesce(
            stages.valid_from,
            case
                when
                    stages.known_at = min(stages.known_at) over (
                        partition by stages.pipeline_id, stages.stage_id
                    )
                    then cast('1900-01-01' as date)
                else {{ local_date('stages.known_at', 'run.zone') }}
            end
        ) as from_on
    from stages
    cross join run
),

latest as (
    select
        *,
        row_number() over (
            partition by pipeline_id, stage_id, from_on
            order by
                {{ total_order([
                    'known_at', 'valid_from', 'valid_to', 'position', 'label', 'stage_kind', 'role',
                    'probability', 'is_start'
                ]) }}
        ) as version_rank
    from dated
),

versions as (
    select
        pipeline_id,
        stage_id,
        label,
        position,
        stage_kind,
        role,
        probability,
        is_start,
        from_on,
        valid_to,
        lead(from_on) over (
            partition by pipeline_id, stage_id order by from_on
        ) as next_from_on,
        row_number() over (
            partition by pipeline_id, stage_id order by from_on
        ) as version_number
    from latest
    where version_rank = 1
),

starts as (
    select
        pipeline_id,
        from_on as start_on
    from versions
    union
    select
        pipeline_id,
        {{ add_days('valid_to', 1) }} as start_on
    from versions
    where valid_to is not null
    union
    select
        pipeline_id,
        cast('1900-01-01' as date) as start_on
    from versions
),

stretches as (
    select
        pipeline_id,
        start_on,
        lead(start_on) over (partition by pipeline_id order by start_on) as next_start_on
    from starts
),

placed as (
    select
        versions.pipeline_id,
        versions.stage_id,
        versions.label,
        versions.position,
        versions.stage_kind,
        versions.role,
        versions.probability,
        versions.is_start,
        stretches.start_on,
        stretches.next_start_on,
        versions.from_on <= stretches.start_on
        and (versions.valid_to is null or versions.valid_to >= stretches.start_on) as is_in_force
    from stretches
    inner join versions
        on
            stretches.pipeline_id = versions.pipeline_id
            and (stretches.start_on >= versions.from_on or versions.version_number = 1)
            and (versions.next_from_on is null or stretches.start_on < versions.next_from_on)
),

positions as (
    select distinct
        pipeline_id,
        start_on,
        position
    from placed
    where stage_kind = 'open' and is_in_force
),

counted as (
    select
        placed.pipeline_id,
        placed.stage_id,
        placed.start_on,
        count(positions.position) as n_before
    from placed
    left join positions
        on
            placed.pipeline_id = positions.pipeline_id
            and placed.start_on = positions.start_on
            and (placed.position > positions.position or placed.stage_kind = 'won')
    group by placed.pipeline_id, placed.stage_id, placed.start_on
)

select
    placed.pipeline_id,
    placed.stage_id,
    placed.label,
    placed.position,
    placed.stage_kind,
    placed.role,
    placed.probability,
    placed.is_start,
    cast(
        case when placed.stage_kind in ('open', 'won') then counted.n_before + 1 end as bigint
    ) as stage_rank,
    placed.is_in_force,
    placed.start_on as from_on,
    placed.next_start_on as until_on
from placed
inner join counted
    on
        placed.pipeline_id = counted.pipeline_id
        and placed.stage_id = counted.stage_id
        and placed.start_on = counted.start_on
