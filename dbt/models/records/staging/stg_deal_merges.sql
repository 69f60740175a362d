with

run as (
    select * from {{ ref('stg_run') }}
),

deal_merges as (
    select distinct
        deal_merges.deal_id,
        deal_merges.merged_into_deal_id,
        deal_merges.merged_at,
        deal_merges.known_at
    from {{ source('raw', 'deal_merges') }} as deal_merges
    inner join run
        on
            deal_merges.known_at <= run.as_of_at
            or (run.knowledge_basis = 'as_reconstructed' and deal_merges.merged_at <= run.as_of_at)
)

select * from deal_merges
