with

states as (
    select * from {{ ref('int_deal_states') }}
),

pairs as (
    select
        *,
        lag(amount) over (partition by deal_id order by state_number) as amount_before,
        lag(currency) over (partition by deal_id order by state_number) as currency_before,
        lag(stage_kind) over (partition by deal_id order by state_number) as kind_before
    from states
)

select
    deal_id,
    occurred_at,
    occurred_on,
    stage_kind as status,
    amount_before,
    currency_before,
    amount,
    currency,
    seller_id
from pairs
where
    stage_kind in ('won', 'lost')
    and stage_kind = kind_before
    and ({{ is_distinct('amount', 'amount_before') }} or currency <> currency_before)
