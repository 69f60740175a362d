with

periods as (
    select * from {{ ref('dim_periods') }}
),

changes as (
    select
        *,
        1 as n_changes
    from {{ ref('fct_pipeline_changes') }}
),

{{ stock_and_flow(
    'changes',
    ['seller_id', 'segment', 'business_area', 'source', 'pipeline_id', 'close_quarter_on', 'currency']
) }}
