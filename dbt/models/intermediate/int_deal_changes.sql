{#
    Changes of one field in their order. Where the CRM gives none within a second, the values do:
    the change whose old value is another's new one comes after it. What even that leaves open is
    settled by value, so that the order is always the same.
#}
with

changes as (
    select * from {{ ref('stg_deal_changes') }}
),

befores as (
    select distinct
        deal_id,
        field,
        fidelity,
        occurred_at,
        new_value
    from changes
    where new_value is not null
),

afters as (
    select distinct
        deal_id,
        field,
        fidelity,
        occurred_at,
        old_value
    from changes
    where old_value is not null
),

linked as (
    select
        changes.*,
        befores.deal_id is not null as has_predecessor,
        afters.deal_id is not null as has_successor
    from changes
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
)

select
    deal_id,
    field,
    old_value,
    new_value,
    occurred_at,
    recorded_at,
    fidelity,
    row_number() over (
        partition by deal_id, field, fidelity
        order by
            occurred_at asc,
            sequence asc nulls last,
            has_predecessor asc,
            has_successor desc,
            new_value asc nulls last,
            old_value asc nulls last,
            recorded_at asc nulls last,
            changed_by asc nulls last,
            change_source asc nulls last
    ) as change_number,
    max(case when fidelity = 'event_log' then last_known_at end) over (
        partition by deal_id
    ) as log_known_until
from linked
