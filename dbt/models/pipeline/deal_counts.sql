with

run as (
    select as_of from {{ ref('stg_run') }}
),

deals as (
    select status from {{ ref('dim_deals') }}
),

counted as (
    select
        count(*) as n_deals,
        count(case when status = 'open' then 1 end) as n_open,
        count(case when status = 'won' then 1 end) as n_won,
        count(case when status = 'lost' then 1 end) as n_lost,
        count(case when status = 'deleted' then 1 end) as n_deleted,
        count(case when status = 'merged' then 1 end) as n_merged
    from deals
)

select
    cast(counted.n_deals as bigint) as n_deals,
    cast(counted.n_open as bigint) as n_open,
    cast(counted.n_won as bigint) as n_won,
    cast(counted.n_lost as bigint) as n_lost,
    cast(counted.n_deleted as bigint) as n_deleted,
    cast(counted.n_merged as bigint) as n_merged,
    run.as_of
from counted
cross join run
