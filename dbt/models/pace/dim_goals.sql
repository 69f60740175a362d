with

run as (
    select * from {{ ref('stg_run') }}
),

names as (
    select * from {{ ref('int_seller_names') }}
),

segments as (
    select distinct segment
    from {{ ref('fct_stage_transitions') }}
    where segment is not null
),

resolved as (
    select
        goals.scope,
        case
            when goals.scope = 'seller' then coalesce(names.seller_id, goals.scope_id)
            when goals.scope = 'segment' then goals.scope_id
        end as scope_id,
        case goals.scope
            when 'company' then goals.scope_id is null
            when 'seller' then names.seller_id is not null
            when 'segment' then segments.segment is not null
        end as is_known,
        goals.period_start_on,
        goals.period_end_on,
        goals.amount,
        goals.currency,
        goals.known_at,
        goals.made_number,
        goals.record_number
    from {{ ref('stg_goals') }} as goals
    left join names on goals.scope_id = names.called
    left join segments on goals.scope_id = segments.segment
    where goals.period_start_on <= goals.period_end_on
),

ranked as (
    select
        *,
        row_number() over (
            partition by scope, scope_id, period_start_on, period_end_on
            order by known_at desc, made_number desc, record_number desc
        ) as version_rank
    from resolved
),

current_goals as (
    select
        ranked.*,
        run.currency as company_currency,
        least(ranked.period_start_on, run.as_of) as valued_on,
        run.zone,
        run.as_of
    from ranked
    cross join run
    where ranked.version_rank = 1
),

{# Since when this amount has been stated, whatever was stated before. #}
first_stated as (
    select
        current_goals.scope,
        current_goals.scope_id,
        current_goals.period_start_on,
        current_goals.period_end_on,
        min(resolved.known_at) as stated_at
    from current_goals
    inner join resolved
        on
            current_goals.scope = resolved.scope
            and coalesce(current_goals.scope_id, '') = coalesce(resolved.scope_id, '')
            and current_goals.period_start_on = resolved.period_start_on
            and current_goals.period_end_on = resolved.period_end_on
            and current_goals.amount = resolved.amount
            and current_goals.currency = resolved.currency
    group by
        current_goals.scope,
        current_goals.scope_id,
        current_goals.period_start_on,
        current_goals.period_end_on
)

select
    goals.scope,
    goals.scope_id,
    goals.period_start_on,
    goals.period_end_on,
    goals.amount,
    goals.currency,
    {{ in_company_currency('goals', 'rates') }} as amount_base,
    {{ local_date('first_stated.stated_at', 'goals.zone') }} as stated_on,
    goals.is_known,
    goals.as_of
from current_goals as goals
inner join first_stated
    on
        goals.scope = first_stated.scope
        and coalesce(goals.scope_id, '') = coalesce(first_stated.scope_id, '')
        and goals.period_start_on = first_stated.period_start_on
        and goals.period_end_on = first_stated.period_end_on
left join {{ ref('int_fx_rates') }} as rates
    on
        goals.currency = rates.currency
        and {{ valid_on('rates', 'goals.valued_on') }}
