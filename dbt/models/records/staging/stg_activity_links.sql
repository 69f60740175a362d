with

run as (
    select * from {{ ref('stg_run') }}
),

links as (
    select distinct
        links.activity_id,
        links.record_type,
        links.record_id,
        links.known_at
    from {{ source('raw', 'activity_links') }} as links
    inner join run
        on links.known_at <= run.as_of_at or run.knowledge_basis = 'as_reconstructed'
)

select * from links
