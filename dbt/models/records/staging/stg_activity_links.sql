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

links as (
    select
        links.activity_id,
        links.record_type,
        links.record_id,
        coalesce(sightings.known_at, links.known_at) as known_at
    from {{ source('raw', 'activity_links') }} as links
    left join sightings on links.load_id = sightings.load_id
    inner join run
        on
            coalesce(sightings.known_at, links.known_at) <= run.as_of_at
            or run.knowledge_basis = 'as_reconstructed'
)

select * from links
