{#
    Until when each open journey was seen: as a deal, once it is one. Null where it has ended:
    nothing more is to be seen of it.
#}
with

journeys as (
    select * from {{ ref('int_journeys') }}
),

last_seen as (
    select * from {{ ref('int_last_seen') }}
),

moves as (
    select
        journey_id,
        coalesce(
            move_kind in ('delete', 'merge', 'convert')
            or is_after_win
            or stage_kind in ('won', 'lost'),
            false
        ) as is_end,
        row_number() over (partition by journey_id order by move_number desc) as move_from_last
    from {{ ref('int_moves') }}
)

select
    journeys.journey_id,
    case when not moves.is_end then last_seen.last_seen_at end as seen_until_at
from journeys
inner join moves on journeys.journey_id = moves.journey_id and moves.move_from_last = 1
left join last_seen
    on
        case when journeys.deal_id is null then 'lead' else 'deal' end = last_seen.record_type
        and coalesce(journeys.deal_id, journeys.lead_id) = last_seen.record_id
