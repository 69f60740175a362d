with

run as (
    select * from {{ ref('stg_run') }}
),

sightings as (
    select
        load_id,
        known_at,
        made_number
    from {{ source('raw', 'sightings') }}
),

experiments as (
    select
        experiments.experiment_id,
        experiments.variants,
        experiments.unit,
        experiments.primary_outcome,
        experiments.window_days,
        experiments.start_on,
        experiments.end_on,
        coalesce(sightings.known_at, experiments.known_at) as known_at,
        coalesce(sightings.made_number, 0) as made_number,
        experiments.record_number
    from {{ source('raw', 'experiments') }} as experiments
    left join sightings on experiments.load_id = sightings.load_id
    inner join run
        on coalesce(sightings.known_at, experiments.known_at) <= run.as_of_at
)

select * from experiments
