with

deals as (
    select distinct deal_id from {{ ref('int_deal_versions') }}
),

merged as (
    select distinct deal_id from {{ ref('int_deal_merges') }}
),

named as (
    select
        'deal_changes' as table_name,
        deal_id,
        count(*) as n_records
    from {{ ref('stg_deal_changes') }}
    group by deal_id
    union all
    select
        'activities' as table_name,
        record_id as deal_id,
        count(*) as n_records
    from {{ ref('int_activity_records') }}
    where record_type = 'deal'
    group by record_id
    union all
    select
        'deal_credits' as table_name,
        deal_id,
        count(distinct seller_id) as n_records
    from {{ ref('stg_deal_credits') }}
    group by deal_id
),

counted as (
    select
        *,
        {{ system_of('deal_id') }} as system_id
    from named
),

totals as (
    select
        table_name,
        system_id,
        sum(n_records) as n_records_of_system
    from counted
    group by table_name, system_id
)

select
    counted.table_name,
    counted.system_id,
    counted.deal_id,
    cast(counted.n_records as bigint) as n_records,
    cast(totals.n_records_of_system as bigint) as n_records_of_system
from counted
inner join totals
    on counted.table_name = totals.table_name and counted.system_id = totals.system_id
left join deals on counted.deal_id = deals.deal_id
{# What was merged is no longer exported, and lives on in another. #}
left join merged on counted.deal_id = merged.deal_id
where deals.deal_id is null and merged.deal_id is null
