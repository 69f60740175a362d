with

accounts as (
    select * from {{ ref('stg_accounts') }}
),

latest as (
    select
        *,
        row_number() over (
            partition by account_id
            order by
                {{ total_order([
                    'known_at', 'segment', 'industry', 'country', 'employees', 'parent_account_id'
                ]) }}
        ) as version_rank
    from accounts
)

select
    account_id,
    segment,
    industry,
    country,
    employees,
    parent_account_id
from latest
where version_rank = 1
