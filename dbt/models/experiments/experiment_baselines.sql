{#
    What became of units that were called, mailed or written to in the half-year that ends a window
    before the exports do: what an experiment on such units has to do with. From their first contact
    in it.
#}
with

run as (
    select * from {{ ref('stg_run') }}
),

events as (
    select * from {{ ref('int_experiment_events') }} where unit in ('account', 'contact', 'lead')
),

outcomes as (
    select
        told.outcome_id,
        told.event,
        told.type
    from (
        values
        ('meeting_held', 'meeting_held', 'meeting'),
        ('meeting_booked', 'meeting_held', 'meeting'),
        ('meeting_booked', 'meeting_booked', 'meeting'),
        ('signup', 'signup', 'signup'),
        ('deal_created', 'deal_created', 'deal'),
        ('deal_won', 'deal_won', 'deal')
    ) as told (outcome_id, event, type)
),

{# By how far is told of it; outcomes of a kind have the same. #}
spans as (
    select
        followed.type,
        windows.window_days,
        {{ as_seconds('followed.until_at') }} - 86400 * windows.window_days as until_s
    from {{ ref('int_followed_until') }} as followed
    cross join (values (14), (30), (90), (180)) as windows (window_days)
),

begun as (
    select
        events.unit,
        events.unit_id,
        spans.type,
        spans.window_days,
        min(events.at_s) as begun_s,
        max(events.account_id) as account_id
    from events
    inner join spans
        on
            events.event = 'contact'
            and events.at_s > spans.until_s - 15724800
            and events.at_s <= spans.until_s
    where not (events.unit = 'contact' and spans.type = 'deal')
    group by events.unit, events.unit_id, spans.type, spans.window_days
),

reached as (
    select distinct
        begun.unit,
        begun.unit_id,
        outcomes.outcome_id,
        begun.window_days
    from begun
    inner join outcomes on begun.type = outcomes.type
    inner join events
        on
            outcomes.event = events.event
            and begun.unit = events.unit
            and begun.unit_id = events.unit_id
            and begun.begun_s < events.at_s
            and begun.begun_s + 86400 * begun.window_days >= events.at_s
),

outcome_types as (
    select distinct
        outcome_id,
        type
    from outcomes
),

accounts as (
    select
        begun.unit,
        outcome_types.outcome_id,
        begun.window_days,
        coalesce(begun.account_id, begun.unit_id) as account_id,
        count(*) as n_units,
        count(reached.unit_id) as n_events
    from begun
    inner join outcome_types on begun.type = outcome_types.type
    left join reached
        on
            begun.unit = reached.unit
            and begun.unit_id = reached.unit_id
            and begun.window_days = reached.window_days
            and outcome_types.outcome_id = reached.outcome_id
    group by
        begun.unit,
        outcome_types.outcome_id,
        begun.window_days,
        coalesce(begun.account_id, begun.unit_id)
)

select
    accounts.unit,
    accounts.outcome_id,
    cast(accounts.window_days as bigint) as window_days,
    cast(count(*) as bigint) as n_accounts,
    cast(sum(accounts.n_units) as bigint) as n_units,
    cast(sum(accounts.n_events) as bigint) as n_events,
    cast(sum(accounts.n_units * accounts.n_units) as bigint) as n_units_squared,
    cast(sum(accounts.n_units * accounts.n_events) as bigint) as n_units_by_events,
    cast(sum(accounts.n_events * accounts.n_events) as bigint) as n_events_squared,
    {{ rate('sum(accounts.n_events)', 'sum(accounts.n_units)') }} as reached_rate,
    run.as_of
from accounts
cross join run
group by accounts.unit, accounts.outcome_id, accounts.window_days, run.as_of
