{#
    Leads and deals that left the CRM, and those that came back: marked as deleted, or no longer
    named by an export that names every one. When exactly is known only between two exports; the
    later is used.
#}
with

versions as (
    select * from {{ ref('int_record_versions') }}
),

exports as (
    select
        system,
        record_type,
        known_at,
        max(case when is_complete then 1 else 0 end) as is_complete_number
    from versions
    group by system, record_type, known_at
),

counted as (
    select
        *,
        sum(is_complete_number) over (
            partition by system, record_type
            order by known_at rows between unbounded preceding and current row
        ) as n_complete
    from exports
),

versions_with_next as (
    select
        versions.journey_id,
        versions.record_type,
        versions.known_at,
        versions.is_deleted,
        next_complete.known_at as next_complete_at,
        lead(versions.known_at) over (
            partition by versions.journey_id, versions.record_type order by versions.known_at
        ) as next_seen_at
    from versions
    inner join counted
        on
            versions.system = counted.system
            and versions.record_type = counted.record_type
            and versions.known_at = counted.known_at
    left join counted as next_complete
        on
            counted.system = next_complete.system
            and counted.record_type = next_complete.record_type
            and counted.n_complete + 1 = next_complete.n_complete
            and next_complete.is_complete_number = 1
),

versions_with_absence as (
    select
        *,
        coalesce(
            next_complete_at < next_seen_at or next_seen_at is null, false
        ) and next_complete_at is not null as is_gone_after
    from versions_with_next
),

with_previous as (
    select
        *,
        lag(is_deleted) over (
            partition by journey_id, record_type order by known_at
        ) as was_deleted,
        lag(is_gone_after) over (
            partition by journey_id, record_type order by known_at
        ) as was_gone,
        lag(known_at) over (
            partition by journey_id, record_type order by known_at
        ) as previous_known_at
    from versions_with_absence
)

select
    journey_id,
    record_type,
    'delete' as removal,
    known_at as occurred_at,
    previous_known_at as occurred_at_earliest,
    known_at
from with_previous
where is_deleted and not coalesce(was_deleted, false)
union all
select
    journey_id,
    record_type,
    'delete' as removal,
    next_complete_at as occurred_at,
    known_at as occurred_at_earliest,
    next_complete_at as known_at
from with_previous
where is_gone_after and not is_deleted
union all
select
    journey_id,
    record_type,
    'restore' as removal,
    known_at as occurred_at,
    previous_known_at as occurred_at_earliest,
    known_at
from with_previous
where not is_deleted and (was_deleted or was_gone)
