with

sellers as (
    select * from {{ ref('int_sellers') }}
),

referenced as (
    select distinct seller_id
    from {{ ref('fct_stage_transitions') }}
    where seller_id is not null
)

select
    coalesce(sellers.seller_id, referenced.seller_id) as seller_id,
    sellers.name,
    sellers.team,
    sellers.manager,
    sellers.is_active,
    sellers.seller_id is not null as is_described
from sellers
full outer join referenced on sellers.seller_id = referenced.seller_id
