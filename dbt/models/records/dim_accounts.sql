with

accounts as (
    select * from {{ ref('int_account_versions') }} where is_current
),

referenced as (
    select distinct account_id
    from {{ ref('int_deal_versions') }}
    where is_current and account_id is not null
)

select
    coalesce(accounts.account_id, referenced.account_id) as account_id,
    accounts.segment,
    accounts.industry,
    accounts.country,
    accounts.employees,
    accounts.parent_account_id,
    accounts.account_id is not null as is_described
from accounts
full outer join referenced on accounts.account_id = referenced.account_id
