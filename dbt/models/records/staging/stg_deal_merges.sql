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

deal_merges as (
    select
        deal_merges.deal_id,
        deal_merges.merged_into_deal_id,
        deal_merges.merged_at,
        coalesce(sightings.known_at, deal_merges.known_at) as known_at,
        coalesce(sightings.made_number, 0) as made_number,
        deal_merges.record_number
    from {{ source('raw', 'deal_merges') }} as deal_merges
    left join sightings on deal_merges.load_id = sightings.load_id
    inner join run
        on
            coalesce(sightings.known_at, deal_merges.known_at) <= run.as_of_at
            or (run.knowledge_basis = 'as_reconstructed' and deal_merges.merged_at <= run.as_of_at)
)

select * from deal_merges
