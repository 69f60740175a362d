with

aliases as (
    select * from {{ ref('int_seller_aliases') }}
)

select
    alias_id,
    seller_id,
    reason,
    cast(n_records as bigint) as n_records
from aliases
where reason is not null
