{#
    The rate of each currency, and the days it holds: until the next, for at most a week. Banks
    set none at weekends and holidays; after a week a rate is missing, not old.
#}
with

rates as (
    select * from {{ ref('stg_fx_rates') }}
),

latest as (
    select
        *,
        row_number() over (
            partition by currency, rate_on
            order by {{ total_order(['known_at', 'made_number', 'record_number', 'rate']) }}
        ) as version_rank
    from rates
),

followed as (
    select
        currency,
        rate,
        rate_on as from_on,
        lead(rate_on) over (partition by currency order by rate_on) as next_on
    from latest
    where version_rank = 1
)

select
    currency,
    rate,
    from_on,
    least(
        coalesce(next_on, {{ add_days('from_on', 8) }}), {{ add_days('from_on', 8) }}
    ) as until_on
from followed
