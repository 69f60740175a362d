{#
    Changes of one field in their order. Where the CRM gives none within a second, the values do:
    changes from a value that no other of them leads to come first, those to a value that none
    leaves from come last. Changes that even that leaves unordered share their `order_number` and
    are ties.
#}
with

run as (
    select * from {{ ref('stg_run') }}
),

changes as (
    select
        *,
        count(*) over (partition by deal_id, field, fidelity, occurred_at) as n_of_moment
    from {{ ref('stg_deal_changes') }}
),

{# Nearly all are alone in their moment; these need an order. #}
crowded as (
    select * from changes where n_of_moment > 1
),

befores as (
    select distinct
        deal_id,
        field,
        fidelity,
        occurred_at,
        new_value
    from crowded
    where new_value is not null
),

afters as (
    select distinct
        deal_id,
        field,
        fidelity,
        occurred_at,
        old_value
    from crowded
    where old_value is not null
),

edits as (
    select
        field,
        changed_by,
        date_trunc('second', occurred_at) as occurred_second,
        count(distinct deal_id) as n_deals
    from changes
    where fidelity = 'event_log' and changed_by is not null
    group by field, changed_by, date_trunc('second', occurred_at)
),

linked as (
    select
        changes.*,
        befores.deal_id is not null as has_predecessor,
        afters.deal_id is not null as has_successor,
        changes.fidelity = 'event_log'
        and (
            coalesce(changes.change_source = 'bulk', false)
            or coalesce(edits.n_deals >= run.bulk_deals, false)
        ) as is_bulk
    from changes
    cross join run
    left join befores
        on
            changes.deal_id = befores.deal_id
            and changes.field = befores.field
            and changes.fidelity = befores.fidelity
            and changes.occurred_at = befores.occurred_at
            and changes.old_value = befores.new_value
    left join afters
        on
            changes.deal_id = afters.deal_id
            and changes.field = afters.field
            and changes.fidelity = afters.fidelity
            and changes.occurred_at = afters.occurred_at
            and changes.new_value = afters.old_value
    left join edits
        on
            changes.field = edits.field
            and changes.changed_by = edits.changed_by
            and date_trunc('second', changes.occurred_at) = edits.occurred_second
),

numbered as (
    select
        *,
        rank() over (
            partition by deal_id, field, fidelity
            order by
                occurred_at asc,
                sequence asc nulls last,
                has_predecessor asc,
                has_successor desc
        ) as order_number
    from linked
)

select
    deal_id,
    field,
    pipeline_id,
    old_value,
    new_value,
    occurred_at,
    recorded_at,
    first_known_at,
    fidelity,
    is_bulk,
    order_number,
    coalesce(
        min(new_value) over (partition by deal_id, field, fidelity, order_number)
        <> max(new_value) over (partition by deal_id, field, fidelity, order_number)
        or min(pipeline_id) over (partition by deal_id, field, fidelity, order_number)
        <> max(pipeline_id) over (partition by deal_id, field, fidelity, order_number),
        false
    ) as is_tie,
    row_number() over (
        partition by deal_id, field, fidelity
        order by
            order_number asc,
            new_value asc nulls last,
            pipeline_id asc nulls last,
            old_value asc nulls last,
            recorded_at asc nulls last,
            changed_by asc nulls last,
            change_source asc nulls last
    ) as change_number,
    max(case when fidelity = 'event_log' then last_known_at end) over (
        partition by deal_id
    ) as log_known_until
from numbered
