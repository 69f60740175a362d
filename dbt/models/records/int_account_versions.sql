with

accounts as (
    select * from {{ ref('stg_accounts') }}
),

ranked as (
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
    parent_account_id,
    known_at,
    version_rank = 1 as is_current,
    version_rank = min(version_rank) over (
        partition by account_id, known_at
    ) as is_last_of_export
from ranked
