{#
    Which leads and deals an activity concerns: those it names itself and those it is linked to by
    the last export with links of it. What is logged on a deal merged into another is the other's.
#}
with

activities as (
    select * from {{ ref('int_activities') }}
),

links as (
    select * from {{ ref('stg_activity_links') }} where record_type in ('lead', 'deal')
),

merged_away as (
    select * from {{ ref('int_deal_merges') }} where not is_cycle
),

last_links as (
    select
        activity_id,
        max(known_at) as known_at
    from links
    group by activity_id
),

stated as (
    select
        activity_id,
        'deal' as record_type,
        deal_id as record_id
    from activities
    where deal_id is not null
    union all
    select
        activity_id,
        'lead' as record_type,
        lead_id as record_id
    from activities
    where lead_id is not null
    union all
    select
        links.activity_id,
        links.record_type,
        links.record_id
    from links
    inner join last_links
        on links.activity_id = last_links.activity_id and links.known_at = last_links.known_at
)

select distinct
    stated.activity_id,
    stated.record_type,
    coalesce(merged_away.merged_into_deal_id, stated.record_id) as record_id
from stated
left join merged_away
    on stated.record_type = 'deal' and stated.record_id = merged_away.deal_id
