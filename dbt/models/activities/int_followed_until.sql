{#
    How far meetings, sign-ups and deals are told: as far as the newest exports of all that have told of
    such go, whether those have any (of deals, each system's); what came last three months before the newest of them is out of
    use.
#}
with

run as (
    select as_of_at from {{ ref('stg_run') }}
),

told as (
    select
        series,
        max(known_at) as known_at
    from {{ ref('stg_activities') }}
    group by series
),

tellers as (
    select distinct
        type,
        series
    from {{ ref('stg_activities') }}
    where type in ('meeting', 'signup')
),

all_told as (
    select
        tellers.type,
        told.known_at
    from tellers
    inner join told on tellers.series = told.series
    union all
    select
        'deal' as type,
        max(known_at) as known_at
    from {{ ref('stg_deals') }}
    group by {{ system_of('deal_id') }}
),

newest as (
    select
        *,
        max(known_at) over (partition by type) as newest_known_at
    from all_told
),

last_exports as (
    select
        type,
        min(known_at) as known_at
    from newest
    where {{ seconds_between('known_at', 'newest_known_at') }} <= 7776000
    group by type
)

select
    last_exports.type,
    least(last_exports.known_at, run.as_of_at) as until_at
from last_exports
cross join run
