{#
    Contacts with a deal: of its lead or itself, from 180 days before it was created until it was
    won, lost or otherwise gone, or until now. The first is looked for until the deal's first move.
#}
with

run as (
    select
        as_of_at,
        zone
    from {{ ref('stg_run') }}
),

deals as (
    select
        deal_id,
        lead_id,
        status,
        closed_at
    from {{ ref('dim_deals') }}
),

moves as (
    select * from {{ ref('fct_stage_transitions') }} where deal_id is not null
),

activities as (
    select * from {{ ref('int_activity_details') }}
),

activity_records as (
    select * from {{ ref('int_activity_records') }}
),

times as (
    select
        moves.deal_id,
        min(moves.occurred_at) as begun_at,
        min(case when moves.move_kind <> 'create' then moves.occurred_at end) as moved_at,
        max(
            case when moves.move_kind in ('delete', 'merge') then moves.occurred_at end
        ) as gone_at
    from moves
    group by moves.deal_id
),

bounds as (
    select
        times.deal_id,
        times.begun_at,
        coalesce(times.moved_at, run.as_of_at) as first_until_at,
        coalesce(
            case
                when deals.status in ('won', 'lost') then deals.closed_at
                when deals.status in ('deleted', 'merged') then times.gone_at
            end,
            run.as_of_at
        ) as until_at,
        run.zone
    from times
    inner join deals on times.deal_id = deals.deal_id
    cross join run
),

{# Of what is known by the day, the whole day. #}
spans as (
    select
        deal_id,
        {{ as_seconds('begun_at') }} - 15552000 as from_s,
        {{ as_seconds('first_until_at') }}
        + case when {{ is_midnight('first_until_at', 'zone') }} then 86399 else 0 end
            as first_until_s,
        {{ as_seconds('until_at') }}
        + case when {{ is_midnight('until_at', 'zone') }} then 86399 else 0 end as until_s
    from bounds
),

of_deals as (
    select
        deals.deal_id,
        activity_records.activity_id
    from deals
    inner join activity_records
        on activity_records.record_type = 'deal' and deals.deal_id = activity_records.record_id
    union
    select
        deals.deal_id,
        activity_records.activity_id
    from deals
    inner join activity_records
        on activity_records.record_type = 'lead' and deals.lead_id = activity_records.record_id
)

select
    of_deals.deal_id,
    activities.activity_id,
    activities.type as touch_type,
    coalesce(activities.message_variant, activities.campaign_id) as touch_detail,
    {{ as_seconds('activities.occurred_at') }} as occurred_s,
    {{ as_seconds('activities.occurred_at') }} <= spans.first_until_s as is_before_first_move
from of_deals
inner join spans on of_deals.deal_id = spans.deal_id
inner join activities on of_deals.activity_id = activities.activity_id
where
    activities.is_contact
    and {{ as_seconds('activities.occurred_at') }} between spans.from_s and spans.until_s
