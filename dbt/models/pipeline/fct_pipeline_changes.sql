{#
    Each state of a deal against the one before it, one thing at a time and in a fixed order
    (`int_pipeline_steps`), so that every dimension adds up: what has not had its turn is as it was.
#}
with

states as (
    select * from {{ ref('int_deal_states') }}
),

steps as (
    select * from {{ ref('int_pipeline_steps') }}
),

pairs as (
    select
        *,
        amount is not null and amount_base is null as is_unconverted,
        lag(seller_id) over (partition by journey_id order by state_number) as old_seller_id,
        lag(segment) over (partition by journey_id order by state_number) as old_segment,
        lag(business_area) over (
            partition by journey_id order by state_number
        ) as old_business_area,
        lag(source) over (partition by journey_id order by state_number) as old_source,
        lag(pipeline_id) over (partition by journey_id order by state_number) as old_pipeline_id,
        lag(currency) over (partition by journey_id order by state_number) as old_currency,
        lag(close_quarter_on) over (
            partition by journey_id order by state_number
        ) as old_close_quarter_on,
        lag(amount) over (partition by journey_id order by state_number) as old_amount,
        lag(amount_base) over (partition by journey_id order by state_number) as old_amount_base,
        lag(stage_kind) over (partition by journey_id order by state_number) as old_stage_kind,
        lag(removed_from_kind) over (
            partition by journey_id order by state_number
        ) as old_removed_from_kind,
        coalesce(
            lag(is_open) over (partition by journey_id order by state_number), false
        ) as was_open
    from states
),

compared as (
    select
        *,
        coalesce(amount, 0) as new_value,
        coalesce(amount_base, 0) as new_value_base,
        coalesce(old_amount, 0) as old_value,
        coalesce(old_amount_base, 0) as old_value_base,
        old_amount is not null and old_amount_base is null as was_unconverted,
        {{ is_distinct('amount', 'old_amount') }}
        or (
            coalesce(amount_base <> old_amount_base, false)
        ) as is_other_value,
        currency <> old_currency as is_other_currency,
        {{ is_distinct('seller_id', 'old_seller_id') }} as is_other_owner,
        {{ is_distinct('segment', 'old_segment') }}
        or {{ is_distinct('business_area', 'old_business_area') }}
        or {{ is_distinct('source', 'old_source') }} as is_other_class,
        {{ is_distinct('pipeline_id', 'old_pipeline_id') }} as is_other_pipeline,
        {{ is_distinct('close_quarter_on', 'old_close_quarter_on') }} as is_other_quarter,
        {# Created and closed in one; but what is first seen closed was closed nobody knows when. #}
        state_number = 1 and not is_first_seen as is_new_closed,
        {# Deleted while open and back as closed: it came back and was closed meanwhile. #}
        coalesce(
            not is_open and stage_kind is not null and old_removed_from_kind = 'open', false
        ) as is_back_closed
    from pairs
),

stepped as (
    select
        compared.*,
        steps.step_number,
        steps.step,
        steps.direction,
        case steps.step
            when 'entry'
                then
                    not compared.was_open
                    and (compared.is_open or compared.is_new_closed or compared.is_back_closed)
            when 'exit'
                then
                    not compared.is_open
                    and (compared.was_open or compared.is_new_closed or compared.is_back_closed)
            when 'value' then compared.is_other_value and not compared.is_other_currency
            when 'rate'
                then
                    not compared.is_other_currency
                    and (
                        (compared.is_unconverted and compared.old_value_base <> 0)
                        or (compared.was_unconverted and compared.new_value_base <> 0)
                    )
            when 'currency' then compared.is_other_currency
            when 'owner' then compared.is_other_owner
            when 'class' then compared.is_other_class
            when 'pipeline' then compared.is_other_pipeline
            when 'quarter' then compared.is_other_quarter
        end
        and (compared.was_open or steps.step in ('entry', 'exit')) as is_taken
    from compared
    cross join steps
),

taken as (
    select
        *,
        {# Before the first of the steps all is as it was, after it as it is now. #}
        row_number() over (
            partition by journey_id, state_number order by step_number
        ) = 1 as is_first_step,
        case step
            when 'value'
                then
                    case
                        when old_amount is null then 'stated'
                        when amount is null then 'cleared'
                        when new_value > old_value then 'increased'
                        when new_value < old_value then 'decreased'
                        else 'revalued'
                    end
            when 'rate' then case when is_unconverted then 'rate_missing' else 'rate_found' end
            when 'class'
                then 'reclassified' || case direction when 1 then '_in' else '_out' end
            when 'quarter'
                then
                    case
                        when old_close_quarter_on is null then 'dated'
                        when close_quarter_on is null then 'undated'
                        when close_quarter_on > old_close_quarter_on then 'pushed'
                        else 'pulled'
                    end
                    || case direction when 1 then '_in' else '_out' end
            when 'entry'
                then
                    case
                        when state_number = 1 then 'new'
                        when old_stage_kind = 'won' then 'reopened_after_won'
                        when old_stage_kind = 'lost' then 'reopened_after_lost'
                        else 'restored'
                    end
            when 'exit'
                then
                    case
                        when stage_kind is not null then stage_kind
                        when move_kind = 'merge' then 'merged'
                        when move_kind = 'delete' then 'deleted'
                        else 'unknown_stage'
                    end
            else step || case direction when 1 then '_in' else '_out' end
        end as movement
    from stepped
    where is_taken
)

select
    deal_id,
    state_number as change_number,
    movement,
    occurred_at,
    occurred_on,
    case when step_number >= 6 then seller_id else old_seller_id end as seller_id,
    case when step_number >= 8 then segment else old_segment end as segment,
    case when step_number >= 8 then business_area else old_business_area end as business_area,
    case when step_number >= 8 then source else old_source end as source,
    case when step_number >= 10 then pipeline_id else old_pipeline_id end as pipeline_id,
    case when step_number >= 12 then close_quarter_on else old_close_quarter_on end
        as close_quarter_on,
    case when step_number >= 4 then currency else old_currency end as currency,
    cast(
        case
            when step = 'value' then new_value - old_value
            when step = 'rate' then 0
            when step_number = 3 then -old_value
            else direction * new_value
        end as decimal(18, 2)
    ) as amount,
    cast(
        case
            {# What has no rate is worth nothing in company currency until it has one. #}
            when step = 'value' and (is_unconverted or was_unconverted) then 0
            when step = 'value' then new_value_base - old_value_base
            when step = 'rate' and is_unconverted then -old_value_base
            when step = 'rate' then new_value_base
            when step_number = 3 then -old_value_base
            else direction * new_value_base
        end as decimal(18, 2)
    ) as amount_base,
    case when step_number = 3 then old_amount is null else amount is null end
        as is_without_amount,
    case when step_number = 3 then was_unconverted else is_unconverted end as is_unconverted,
    {% for count, is_now, was in [
        ('n_without_amount', 'amount is null', 'old_amount is null'),
        ('n_unconverted', 'is_unconverted', 'was_unconverted'),
    ] -%}
        cast(
            case when direction >= 0 and {{ is_now }} then 1 else 0 end
            - case
                when direction <= 0 and case when is_first_step then {{ was }} else {{ is_now }} end
                    then 1
                else 0
            end as bigint
        ) as {{ count }},
    {% endfor -%}
    direction as n_deals
from taken
