{#
    Contacts with a deal: of its lead or itself, from 180 days before it was created until it was
    won, lost or otherwise gone, or until now. The first is looked for until the deal's first move.
#}
with

run as (
    select as_of_at from {{ ref('stg_run') }}
),

deals as (
    select
        deal_id,
        lead_id
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
            case
                when
                    moves.to_stage_kind in ('won', 'lost')
                    or moves.move_kind in ('delete', 'merge')
                    then moves.occurred_at
            end
        ) as closed_at,
        max(
            case when moves.to_stage_kind = 'open' then moves.occurred_at end
        ) as last_open_at
    from moves
    group by moves.deal_id
),

spans as (
    select
        times.deal_id,
        {{ as_seconds('times.begun_at') }} - 15552000 as from_s,
        {{ as_seconds('coalesce(times.moved_at, run.as_of_at)') }} as first_until_s,
        {# Reopened and open again: until now. #}
        {{ as_seconds(
            'case when times.last_open_at > times.closed_at or times.closed_at is null '
            'then run.as_of_at else times.closed_at end'
        ) }} as until_s
    from times
    cross join run
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
