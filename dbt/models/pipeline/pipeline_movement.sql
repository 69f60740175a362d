with

run as (
    select * from {{ ref('stg_run') }}
),

periods as (
    select * from {{ ref('int_periods') }}
),

states as (
    select * from {{ ref('int_deal_states') }}
),

changes as (
    select * from {{ ref('fct_pipeline_changes') }}
),

ends as (
    select
        period,
        period_start_on,
        'opening' as movement,
        period_start_on as stood_on
    from periods
    union all
    select
        period,
        period_start_on,
        'closing' as movement,
        next_start_on as stood_on
    from periods
),

{# What stood at a period's two ends is counted from the states, not added up from the changes. #}
stock as (
    select
        ends.period,
        ends.period_start_on,
        ends.movement,
        states.seller_id,
        states.segment,
        states.business_area,
        states.source,
        states.pipeline_id,
        states.close_quarter_on,
        states.currency,
        cast(1 as bigint) as n_deals,
        states.amount,
        states.amount_base,
        states.amount is null as is_without_amount,
        states.amount is not null and states.amount_base is null as is_unconverted
    from ends
    inner join states
        on
            ends.stood_on > states.occurred_on
            and (states.next_on is null or ends.stood_on <= states.next_on)
    where states.is_open
),

flow as (
    select
        periods.period,
        periods.period_start_on,
        changes.movement,
        changes.seller_id,
        changes.segment,
        changes.business_area,
        changes.source,
        changes.pipeline_id,
        changes.close_quarter_on,
        changes.currency,
        changes.n_deals,
        changes.amount,
        changes.amount_base,
        changes.is_without_amount,
        changes.is_unconverted
    from periods
    inner join changes
        on
            periods.period_start_on <= changes.occurred_on
            and periods.next_start_on > changes.occurred_on
),

stocks_and_movements as (
    select * from stock
    union all
    select * from flow
)

select
    stocks_and_movements.period,
    stocks_and_movements.period_start_on,
    stocks_and_movements.movement,
    stocks_and_movements.seller_id,
    stocks_and_movements.segment,
    stocks_and_movements.business_area,
    stocks_and_movements.source,
    stocks_and_movements.pipeline_id,
    stocks_and_movements.close_quarter_on,
    stocks_and_movements.currency,
    cast(sum(stocks_and_movements.n_deals) as bigint) as n_deals,
    cast(sum(coalesce(stocks_and_movements.amount, 0)) as decimal(18, 2)) as amount,
    cast(sum(coalesce(stocks_and_movements.amount_base, 0)) as decimal(18, 2)) as amount_base,
    cast(sum(case when stocks_and_movements.is_without_amount then 1 else 0 end) as bigint)
        as n_without_amount,
    cast(sum(case when stocks_and_movements.is_unconverted then 1 else 0 end) as bigint)
        as n_unconverted,
    run.as_of
from stocks_and_movements
cross join run
group by
    stocks_and_movements.period,
    stocks_and_movements.period_start_on,
    stocks_and_movements.movement,
    stocks_and_movements.seller_id,
    stocks_and_movements.segment,
    stocks_and_movements.business_area,
    stocks_and_movements.source,
    stocks_and_movements.pipeline_id,
    stocks_and_movements.close_quarter_on,
    stocks_and_movements.currency,
    run.as_of
