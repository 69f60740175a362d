{# Exports name an owner by id or by name. A name two sellers of a system share stays as it is. #}
with

sellers as (
    select * from {{ ref('int_sellers') }}
),

names as (
    select
        {{ system_of('seller_id') }} || ':' || name as alias_id,
        min(seller_id) as seller_id
    from sellers
    where name is not null
    group by {{ system_of('seller_id') }} || ':' || name
    having count(*) = 1
),

new_names as (
    select
        names.alias_id,
        names.seller_id
    from names
    left join sellers on names.alias_id = sellers.seller_id
    where sellers.seller_id is null
)

select
    seller_id as alias_id,
    seller_id
from sellers
union all
select
    alias_id,
    seller_id
from new_names
