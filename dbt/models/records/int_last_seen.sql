{#
    How far each lead and deal was seen: until the last export or log that names it. A log that
    names a deal again without what it told of it before tells only news; that no news came of a
    deal is then told by the log as a whole.
#}
with

listed as (
    select
        'deal' as record_type,
        deal_id as record_id,
        series,
        max(file_known_at) as known_at
    from {{ ref('stg_deals') }}
    group by deal_id, series
    union all
    select
        'lead' as record_type,
        lead_id as record_id,
        series,
        max(file_known_at) as known_at
    from {{ ref('stg_leads') }}
    group by lead_id, series
),

lists as (
    select
        *,
        max(known_at) over (partition by record_type, series) as continued_at
    from listed
),

{# Off its list: no list that it stood on names it since. #}
records as (
    select
        record_type,
        record_id,
        max(known_at) as last_listed_at,
        min(case when continued_at > known_at then 1 else 0 end) = 1 as is_off_its_list
    from lists
    group by record_type, record_id
),

changes as (
    select
        deal_id,
        fidelity,
        last_known_at,
        min(first_known_at) over (partition by deal_id) as first_named_at,
        max(last_known_at) over (partition by deal_id) as last_named_at
    from {{ ref('stg_deal_changes') }}
),

logged as (
    select
        deal_id,
        max(last_named_at) as last_named_at
    from changes
    group by deal_id
),

{# One in ten: people change and delete what a log had told, too. #}
logs as (
    select
        {{ system_of('deal_id') }} as system,
        max(last_known_at) as last_known_at,
        coalesce(
            {{ rate(
                'sum(case when first_named_at < last_named_at and last_known_at < last_named_at '
                ~ 'then 1 else 0 end)',
                'sum(case when first_named_at < last_named_at then 1 else 0 end)'
            ) }} > 0.1,
            true
        ) as tells_only_news
    from changes
    where fidelity = 'event_log'
    group by {{ system_of('deal_id') }}
)

select
    records.record_type,
    records.record_id,
    greatest(
        records.last_listed_at,
        coalesce(logged.last_named_at, records.last_listed_at),
        case
            when logs.tells_only_news and logged.deal_id is not null then logs.last_known_at
            else records.last_listed_at
        end
    ) as last_seen_at,
    records.is_off_its_list
from records
left join logged on records.record_type = 'deal' and records.record_id = logged.deal_id
left join logs on {{ system_of('records.record_id') }} = logs.system
