with

sellers as (
    select * from {{ ref('int_sellers') }}
),

aliases as (
    select * from {{ ref('int_seller_aliases') }}
),

{# Everyone who ever owned a deal or lead, is credited with one or was active, described or not. #}
named as (
    select seller_id from {{ ref('fct_stage_transitions') }}
    union all
    select seller_id from {{ ref('int_attributes') }}
    union all
    select aliases.seller_id
    from {{ ref('stg_deal_credits') }} as credits
    left join aliases on credits.seller_id = aliases.alias_id
    union all
    select aliases.seller_id
    from {{ ref('int_activities') }} as activities
    inner join aliases on activities.seller_id = aliases.alias_id
    union all
    select aliases.seller_id
    from {{ ref('int_activities') }} as activities
    inner join aliases on activities.sender_id = aliases.alias_id
),

referenced as (
    select distinct seller_id
    from named
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
