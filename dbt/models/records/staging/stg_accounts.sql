with

run as (
    select as_of_at from {{ ref('stg_run') }}
),

accounts as (
    select distinct
        accounts.account_id,
        accounts.segment,
        accounts.industry,
        accounts.country,
        accounts.employees,
        accounts.parent_account_id,
        accounts.known_at
    from {{ source('raw', 'accounts') }} as accounts
    inner join run on accounts.known_at <= run.as_of_at
)

select * from accounts
