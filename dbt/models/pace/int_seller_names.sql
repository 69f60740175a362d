{#
    What a sheet may call a seller: the id, the id without its system, or the name; each only where
    no other seller is called the same.
#}
with

sellers as (
    select * from {{ ref('dim_sellers') }}
),

names as (
    select
        seller_id,
        seller_id as called
    from sellers
    union
    select
        seller_id,
        {{ without_system('seller_id') }} as called
    from sellers
    union
    select
        seller_id,
        name as called
    from sellers
    where name is not null
)

select
    called,
    min(seller_id) as seller_id
from names
group by called
having count(*) = 1
