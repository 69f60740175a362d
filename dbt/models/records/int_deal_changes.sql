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
        rank() over (
            partition by deal_id, field, fidelity order by occurred_at
        ) as moment_number,
        coalesce(
            lag(occurred_at) over (
                partition by deal_id, field, fidelity order by occurred_at
            ) = occurred_at
            or lead(occurred_at) over (
                partition by deal_id, field, fidelity order by occurred_at
            ) = occurred_at,
            false
        ) as is_crowded
    from {{ ref('stg_deal_changes') }}
),

{# Nearly all are alone in their moment; these need an order. #}
crowded as (
    select * from changes where is_crowded
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

linked as (
    select
        crowded.*,
        befores.deal_id is not null as has_predecessor,
        afters.deal_id is not null as has_successor
    from crowded
    left join befores
        on
            crowded.deal_id = befores.deal_id
            and crowded.field = befores.field
            and crowded.fidelity = befores.fidelity
            and crowded.occurred_at = befores.occurred_at
            and crowded.old_value = befores.new_value
    left join afters
        on
            crowded.deal_id = afters.deal_id
            and crowded.field = afters.field
            and crowded.fidelity = afters.fidelity
            and crowded.occurred_at = afters.occurred_at
            and crowded.new_value = afters.old_value
),

placed as (
    select
        *,
        moment_number - 1 + rank() over (
            partition by deal_id, field, fidelity, occurred_at
            order by
                sequence asc nulls last,
                has_predecessor asc,
                has_successor desc
        ) as order_number
    from linked
),

numbered as (
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
        changed_by,
        change_source,
        order_number,
        coalesce(
            min(new_value) over (partition by deal_id, field, fidelity, order_number)
            <> max(new_value) over (partition by deal_id, field, fidelity, order_number)
            or min(pipeline_id) over (partition by deal_id, field, fidelity, order_number)
            <> max(pipeline_id) over (partition by deal_id, field, fidelity, order_number),
            false
        ) as is_tie,
        order_number - 1 + row_number() over (
            partition by deal_id, field, fidelity, order_number
            order by
                new_value asc nulls last,
                pipeline_id asc nulls last,
                old_value asc nulls last,
                recorded_at asc nulls last,
                changed_by asc nulls last,
                change_source asc nulls last
        ) as change_number
    from placed
    union all
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
        changed_by,
        change_source,
        moment_number as order_number,
        false as is_tie,
        moment_number as change_number
    from changes
    where not is_crowded
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

logs as (
    select
        deal_id,
        max(last_known_at) as known_until
    from changes
    where fidelity = 'event_log'
    group by deal_id
)

select
    numbered.deal_id,
    numbered.field,
    numbered.pipeline_id,
    numbered.old_value,
    numbered.new_value,
    numbered.occurred_at,
    numbered.recorded_at,
    numbered.first_known_at,
    numbered.fidelity,
    numbered.fidelity = 'event_log'
    and (
        coalesce(numbered.change_source = 'bulk', false)
        or coalesce(edits.n_deals >= run.bulk_deals, false)
    ) as is_bulk,
    numbered.order_number,
    numbered.is_tie,
    numbered.change_number,
    logs.known_until as log_known_until
from numbered
cross join run
left join edits
    on
        numbered.field = edits.field
        and numbered.changed_by = edits.changed_by
        and date_trunc('second', numbered.occurred_at) = edits.occurred_second
left join logs on numbered.deal_id = logs.deal_id
