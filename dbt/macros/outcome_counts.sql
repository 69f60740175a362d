{#
    What can be told of deals without time: how they ended, by one dimension.
#}
{% macro outcome_counts(dimension) %}
with

run as (
    select as_of from {{ ref('stg_run') }}
),

outcomes as (
    select * from {{ ref('int_deal_outcomes') }}
),

counted as (
    select
        {{ dimension }},
        count(*) as n_deals,
        sum(case when status = 'open' then 1 else 0 end) as n_open,
        sum(case when status = 'won' then 1 else 0 end) as n_won,
        sum(case when status = 'lost' then 1 else 0 end) as n_lost,
        sum(case when status <> 'open' then 1 else 0 end) as n_decided,
        sum(case when status = 'won' then amount_base end) as won_amount_base,
        sum(case when status = 'won' and amount is null then 1 else 0 end)
            as n_won_without_amount,
        sum(
            case when status = 'won' and amount is not null and amount_base is null then 1 else 0 end
        ) as n_won_unconverted,
        sum(case when has_date then 1 else 0 end) as n_with_date,
        sum(case when has_stage then 1 else 0 end) as n_with_stage
    from outcomes
    group by {{ dimension }}
),

{# Where no lost deal is known at all, all would be won: then no share is told. #}
known as (
    select
        *,
        case when sum(n_lost) over () > 0 then n_decided end as n_known_decided,
        case when sum(n_lost) over () > 0 then n_deals end as n_known_deals,
        sum(n_with_date) over () = 0 as has_no_dates,
        sum(n_with_stage) over () = 0 as has_no_stages,
        sum(n_lost) over () = 0 as has_no_lost,
        sum(n_open) over () = 0 as is_closed_only
    from counted
)

select
    known.{{ dimension }},
    cast(known.n_deals as bigint) as n_deals,
    cast(known.n_open as bigint) as n_open,
    cast(known.n_won as bigint) as n_won,
    cast(known.n_lost as bigint) as n_lost,
    {{ rate('known.n_won', 'known.n_known_decided') }} as won_of_decided_rate,
    case when known.n_known_decided > 0 then {{ wilson('known.n_won', 'known.n_known_decided', '-') }} end
        as low_won_of_decided_rate,
    case when known.n_known_decided > 0 then {{ wilson('known.n_won', 'known.n_known_decided', '+') }} end
        as high_won_of_decided_rate,
    {{ rate('known.n_won', 'known.n_known_deals') }} as won_of_all_rate,
    case when known.n_known_deals > 0 then {{ wilson('known.n_won', 'known.n_known_deals', '-') }} end
        as low_won_of_all_rate,
    case when known.n_known_deals > 0 then {{ wilson('known.n_won', 'known.n_known_deals', '+') }} end
        as high_won_of_all_rate,
    cast(known.won_amount_base as decimal(18, 2)) as won_amount_base,
    cast(known.n_won_without_amount as bigint) as n_won_without_amount,
    cast(known.n_won_unconverted as bigint) as n_won_unconverted,
    nullif(
        trim(
            case when known.has_no_dates then 'no_dates ' else '' end
            || case when known.has_no_stages then 'no_stages ' else '' end
            || case when known.has_no_lost then 'no_lost ' else '' end
            || case when known.is_closed_only then 'closed_only' else '' end
        ),
        ''
    ) as gaps,
    run.as_of
from known
cross join run
{% endmacro %}
