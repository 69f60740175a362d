with

credits as (
    select * from {{ ref('stg_deal_credits') }}
),

aliases as (
    select * from {{ ref('int_seller_aliases') }}
),

deals as (
    select * from {{ ref('dim_deals') }}
),

visits as (
    select visits.*
    from {{ ref('fct_stage_visits') }} as visits
    inner join {{ ref('fct_stage_transitions') }} as moves
        on visits.journey_id = moves.journey_id and visits.visit_number = moves.move_number
    where visits.stage_kind = 'won' and not moves.is_after_win
),

states as (
    select * from {{ ref('int_deal_states') }}
),

ranked as (
    select
        deal_id,
        seller_id,
        cast(share as decimal(9, 6)) as share,
        rank() over (partition by deal_id order by {{ total_order(['known_at']) }}) as moment_rank,
        rank() over (
            partition by deal_id order by {{ total_order(['known_at', 'made_number']) }}
        ) as export_rank,
        row_number() over (
            partition by deal_id, seller_id
            order by {{ total_order(['known_at', 'made_number', 'record_number', 'share']) }}
        ) as line_rank
    from credits
),

{#
    Exports of one moment complete each other. Where that makes more than the whole deal, they
    contradict each other, and the one made last holds.
#}
completed as (
    select
        *,
        sum(share) over (partition by deal_id) <= 1.0001 as is_completed
    from ranked
    where moment_rank = 1 and line_rank = 1
),

stated as (
    select
        completed.deal_id,
        aliases.seller_id,
        sum(completed.share) as share
    from completed
    left join aliases on completed.seller_id = aliases.alias_id
    where completed.is_completed or completed.export_rank = 1
    group by completed.deal_id, aliases.seller_id
),

last_wins as (
    select
        deal_id,
        max(visit_number) as visit_number
    from visits
    group by deal_id
),

last_states as (
    select
        deal_id,
        max(state_number) as state_number
    from states
    group by deal_id
),

{# What is shared: of a won deal what it was won for, of any other what it stands at now. #}
worth as (
    select
        deals.deal_id,
        deals.status,
        case when visits.deal_id is null then states.seller_id else visits.seller_id end
            as seller_id,
        case when visits.deal_id is null then states.amount_base else visits.amount_base end
            as amount_base
    from deals
    inner join last_states on deals.deal_id = last_states.deal_id
    inner join states
        on
            last_states.deal_id = states.deal_id
            and last_states.state_number = states.state_number
    left join last_wins on deals.deal_id = last_wins.deal_id and deals.status = 'won'
    left join visits
        on last_wins.deal_id = visits.deal_id and last_wins.visit_number = visits.visit_number
),

shared as (
    select
        worth.deal_id,
        worth.status,
        {# A name that several share is nobody's, and not the owner's. #}
        case when stated.deal_id is null then worth.seller_id else stated.seller_id end
            as seller_id,
        coalesce(stated.share, 1) as share,
        stated.deal_id is not null as is_stated,
        worth.amount_base
    from worth
    left join stated on worth.deal_id = stated.deal_id
),

rounded as (
    select
        *,
        cast(
            round(cast(amount_base as decimal(19, 2)) * share, 2) as decimal(18, 2)
        ) as credited,
        {# Shares are written with few decimals: three of 33.33 % are of the whole. #}
        abs(sum(share) over (partition by deal_id) - 1)
        <= 0.0001 * count(*) over (partition by deal_id) as is_whole,
        row_number() over (
            partition by deal_id order by share desc, seller_id asc nulls last
        ) as share_rank
    from shared
)

select
    deal_id,
    seller_id,
    status,
    cast(share as decimal(9, 6)) as share,
    is_stated,
    {# The largest share has what rounding leaves, so that the whole adds up. #}
    cast(
        case
            when share_rank = 1 and is_whole
                then
                    amount_base
                    - (coalesce(sum(credited) over (partition by deal_id), 0) - credited)
            else credited
        end as decimal(18, 2)
    ) as amount_base,
    amount_base as deal_amount_base
from rounded
