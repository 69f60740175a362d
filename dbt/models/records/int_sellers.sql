with

run as (
    select as_of from {{ ref('stg_run') }}
),

sellers as (
    select sellers.*
    from {{ ref('stg_sellers') }} as sellers
    inner join run on coalesce(sellers.valid_from, run.as_of) <= run.as_of
),

latest as (
    select
        *,
        row_number() over (
            partition by seller_id
            order by
                {{ total_order([
                    'known_at', 'valid_from', 'valid_to', 'name', 'team', 'manager', 'is_active',
                    'email_hash'
                ]) }}
        ) as version_rank
    from sellers
)

select
    seller_id,
    name,
    team,
    manager,
    is_active
from latest
where version_rank = 1
