with

run as (
    select * from {{ ref('stg_run') }}
),

names as (
    select * from {{ ref('int_seller_names') }}
),

resolved as (
    select
        actions.action_on,
        actions.scope,
        case
            when actions.scope = 'seller' then coalesce(names.seller_id, actions.scope_id)
            when actions.scope <> 'company' then actions.scope_id
        end as scope_id,
        actions.kind,
        actions.metric,
        actions.known_at,
        actions.made_number,
        actions.record_number
    from {{ ref('stg_actions') }} as actions
    left join names on actions.scope_id = names.called
),

ranked as (
    select
        *,
        row_number() over (
            partition by action_on, scope, scope_id, kind
            order by known_at desc, made_number desc, record_number desc
        ) as version_rank
    from resolved
)

select
    ranked.action_on,
    ranked.scope,
    ranked.scope_id,
    ranked.kind,
    ranked.metric,
    run.as_of
from ranked
cross join run
where ranked.version_rank = 1 and ranked.action_on <= run.as_of
