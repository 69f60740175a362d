with

run as (
    select as_of from {{ ref('stg_run') }}
),

deals as (
    select
        deal_id,
        status as outcome
    from {{ ref('dim_deals') }}
),

amounts as (
    select
        deal_id,
        amount_base
    from {{ ref('int_deal_outcomes') }}
),

visits as (
    select
        journey_id,
        to_stage_id as stage_id,
        min(move_number) as first_number
    from {{ ref('fct_stage_transitions') }}
    where to_stage_kind = 'open' and not is_after_win
    group by journey_id, to_pipeline_id, to_stage_id
),

journeys as (
    select * from {{ ref('int_journeys') }} where deal_id is not null
),

stage_paths as (
    select
        journeys.deal_id,
        {{ path_of('visits.stage_id', 'visits.first_number') }} as path
    from journeys
    inner join visits on journeys.journey_id = visits.journey_id
    group by journeys.deal_id
),

touches as (
    select * from {{ ref('int_touches') }}
),

ranked_touches as (
    select
        *,
        row_number() over (
            partition by deal_id, is_before_first_move order by occurred_s asc, activity_id asc
        ) as touch_rank,
        row_number() over (
            partition by deal_id order by occurred_s desc, activity_id desc
        ) as touch_from_last
    from touches
),

told as (
    select
        'first_touch' as touch_definition_id,
        deal_id,
        touch_type,
        touch_detail
    from ranked_touches
    where is_before_first_move and touch_rank = 1
    union all
    select
        'last_touch' as touch_definition_id,
        deal_id,
        touch_type,
        touch_detail
    from ranked_touches
    where touch_from_last = 1
    union all
    select distinct
        'any_touch' as touch_definition_id,
        deal_id,
        touch_type,
        touch_detail
    from touches
),

definitions as (
    select 'first_touch' as touch_definition_id
    union all
    select 'last_touch' as touch_definition_id
    union all
    select 'any_touch' as touch_definition_id
),

of_deals as (
    select
        definitions.touch_definition_id,
        deals.deal_id,
        coalesce(told.touch_type, '(no activity logged)') as touch_type,
        told.touch_detail,
        coalesce(stage_paths.path, '(no stage known)') as path,
        deals.outcome,
        amounts.amount_base
    from deals
    cross join definitions
    left join told
        on
            deals.deal_id = told.deal_id
            and definitions.touch_definition_id = told.touch_definition_id
    left join stage_paths on deals.deal_id = stage_paths.deal_id
    left join amounts on deals.deal_id = amounts.deal_id
),

{# What a picture can hold: the rest is gathered, and its sum kept. #}
path_sizes as (
    select
        path,
        row_number() over (order by count(*) desc, path asc) as path_rank
    from of_deals
    where touch_definition_id = 'last_touch'
    group by path
),

detail_sizes as (
    select
        touch_type,
        touch_detail,
        row_number() over (order by count(*) desc, touch_type asc, touch_detail asc nulls first)
            as detail_rank
    from of_deals
    where touch_definition_id = 'any_touch' and touch_detail is not null
    group by touch_type, touch_detail
),

gathered as (
    select
        of_deals.touch_definition_id,
        of_deals.deal_id,
        of_deals.touch_type,
        case
            when of_deals.touch_detail is null then null
            when detail_sizes.detail_rank <= 12 then of_deals.touch_detail
            else '(others)'
        end as touch_detail,
        case when path_sizes.path_rank <= 24 then of_deals.path else '(other paths)' end as path,
        of_deals.outcome,
        of_deals.amount_base
    from of_deals
    inner join path_sizes on of_deals.path = path_sizes.path
    left join detail_sizes
        on
            of_deals.touch_type = detail_sizes.touch_type
            and of_deals.touch_detail = detail_sizes.touch_detail
),

{# Of gathered details one deal may have several. #}
counted as (
    select distinct
        touch_definition_id,
        deal_id,
        touch_type,
        touch_detail,
        path,
        outcome,
        amount_base
    from gathered
)

select
    counted.touch_definition_id,
    counted.touch_type,
    counted.touch_detail,
    counted.path,
    counted.outcome,
    cast(count(*) as bigint) as n_deals,
    cast(sum(counted.amount_base) as decimal(18, 2)) as amount_base,
    cast(sum(case when counted.amount_base is null then 1 else 0 end) as bigint)
        as n_without_amount,
    run.as_of
from counted
cross join run
group by
    counted.touch_definition_id,
    counted.touch_type,
    counted.touch_detail,
    counted.path,
    counted.outcome,
    run.as_of
