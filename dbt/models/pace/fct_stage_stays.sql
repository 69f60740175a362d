{#
    The path of each deal without what was taken back: corrections, losses reopened within the grace
    and deletions restored leave it where it stood.
#}
with

run as (
    select * from {{ ref('stg_run') }}
),

follow_up as (
    select * from {{ ref('int_follow_up') }} where record_type = 'deal'
),

seen as (
    select * from {{ ref('int_seen_until') }}
),

periods as (
    select * from {{ ref('int_stage_periods') }}
),

moves as (
    select
        *,
        case
            when move_kind in ('delete', 'merge') then 'removed'
            when to_stage_kind in ('won', 'lost') then to_stage_kind
            else 'open'
        end as kind
    from {{ ref('fct_stage_transitions') }}
    where record_type = 'deal' and not is_correction and not is_after_win
),

returned as (
    select
        gone.journey_id,
        gone.move_number,
        min(later.occurred_at) as returned_at
    from moves as gone
    inner join moves as later
        on gone.journey_id = later.journey_id and gone.move_number < later.move_number
    where
        (gone.kind = 'lost' or gone.move_kind = 'delete')
        and later.kind in ('open', 'won')
    group by gone.journey_id, gone.move_number
),

standing as (
    select moves.*
    from moves
    cross join run
    left join returned
        on moves.journey_id = returned.journey_id and moves.move_number = returned.move_number
    where
        returned.returned_at is null
        or not (
            moves.move_kind = 'delete'
            or {{ seconds_between('moves.occurred_at', 'returned.returned_at') }}
            <= run.reopen_grace_seconds
        )
),

with_previous as (
    select
        *,
        lag(kind) over (partition by journey_id order by move_number) as previous_kind,
        lag(to_pipeline_id) over (
            partition by journey_id order by move_number
        ) as previous_pipeline_id,
        lag(to_stage_id) over (partition by journey_id order by move_number) as previous_stage_id
    from standing
),

path as (
    select *
    from with_previous
    where
        previous_kind is null
        or kind <> previous_kind
        or (
            kind = 'open'
            and (
                {{ is_distinct('to_pipeline_id', 'previous_pipeline_id') }}
                or {{ is_distinct('to_stage_id', 'previous_stage_id') }}
            )
        )
),

steps as (
    select
        *,
        lead(kind) over (partition by journey_id order by move_number) as next_kind,
        lead(to_pipeline_id) over (partition by journey_id order by move_number)
            as next_pipeline_id,
        lead(to_stage_id) over (partition by journey_id order by move_number) as next_stage_id,
        lead(occurred_on) over (partition by journey_id order by move_number) as next_on,
        lead(seller_id) over (partition by journey_id order by move_number) as next_seller_id,
        lead(amount_base) over (partition by journey_id order by move_number) as next_amount_base
    from path
),

{# Created closed: in the pipeline for no time. What was first seen closed was so nobody knows
   since when. #}
stays as (
    select
        steps.*,
        case when steps.kind = 'open' then steps.to_stage_id end as stage_id,
        case when steps.kind = 'open' then steps.to_role end as role,
        case when steps.kind = 'open' then steps.next_on else steps.occurred_on end as left_on,
        case when steps.kind = 'open' then steps.next_kind else steps.kind end as how_ended,
        case when steps.kind = 'open' then steps.next_amount_base else steps.amount_base end
            as left_amount_base,
        case when steps.kind = 'open' then steps.next_seller_id else steps.seller_id end
            as left_seller_id,
        {{ system_of('steps.deal_id') }} as system_id
    from steps
    where
        steps.kind = 'open'
        or (
            steps.previous_kind is null
            and steps.kind in ('won', 'lost')
            and steps.fidelity <> 'snapshot_diff'
        )
),

followed as (
    select
        stays.*,
        coalesce(
            stays.occurred_at_earliest < follow_up.first_known_at
            or (stays.occurred_at_earliest is null and stays.fidelity = 'snapshot_diff'),
            false
        ) as is_found,
        coalesce(stays.occurred_at < follow_up.history_starts_at, false) as is_before_history,
        follow_up.history_starts_at,
        least(run.as_of_at, coalesce(seen.seen_until_at, follow_up.last_known_at))
            as followed_until_at,
        run.zone,
        run.as_of
    from stays
    cross join run
    left join follow_up on stays.system_id = follow_up.system_id
    left join seen on stays.journey_id = seen.journey_id
)

select
    followed.journey_id,
    followed.move_number as visit_number,
    followed.deal_id,
    followed.account_id,
    coalesce(followed.deal_type = 'renewal', false) as is_renewal,
    followed.to_pipeline_id as pipeline_id,
    followed.stage_id,
    followed.role,
    entered.stage_rank,
    followed.seller_id,
    followed.segment,
    followed.business_area,
    followed.source,
    followed.amount_base,
    followed.occurred_on as entered_on,
    coalesce(followed.previous_kind, 'closed') <> 'open' as is_arrival,
    case
        when
            not followed.is_found
            and (not followed.is_before_history or coalesce(entered.stage_rank, 1) = 1)
            then case
                when followed.is_before_history
                    then {{ local_date('followed.history_starts_at', 'followed.zone') }}
                else followed.occurred_on
            end
    end as followed_from_on,
    {{ local_date('followed.followed_until_at', 'followed.zone') }} as followed_until_on,
    followed.left_on,
    followed.how_ended,
    case when followed.how_ended = 'open' then followed.next_pipeline_id end as next_pipeline_id,
    case when followed.how_ended = 'open' then followed.next_stage_id end as next_stage_id,
    left_for.stage_rank as next_stage_rank,
    followed.left_seller_id,
    followed.left_amount_base,
    followed.as_of
from followed
left join periods as entered
    on
        followed.to_pipeline_id = entered.pipeline_id
        and followed.stage_id = entered.stage_id
        and {{ valid_on('entered', 'followed.occurred_on') }}
left join periods as left_for
    on
        followed.how_ended = 'open'
        and followed.next_pipeline_id = left_for.pipeline_id
        and followed.next_stage_id = left_for.stage_id
        and {{ valid_on('left_for', 'followed.left_on') }}
