{#
    What a deal's seller, segment, source, amount … were, and when. The change log is used where a
    field has one, else what the exports showed; the earliest value known holds from the beginning.
#}
with

changes as (
    select *
    from {{ ref('stg_deal_changes') }}
    where
        fidelity = 'event_log'
        and field in ('seller_id', 'segment', 'source', 'business_area', 'amount', 'currency')
),

versions as (
    select * from {{ ref('int_deal_versions') }}
),

aliases as (
    select * from {{ ref('int_seller_aliases') }}
),

ranked_changes as (
    select
        *,
        row_number() over (
            partition by deal_id, field
            order by
                occurred_at asc, sequence asc nulls last, new_value asc nulls last,
                old_value asc nulls last
        ) as change_rank
    from changes
),

logged as (
    select
        deal_id,
        field,
        new_value as value,
        occurred_at as valid_from,
        change_rank
    from ranked_changes
    union all
    select
        deal_id,
        field,
        old_value as value,
        cast('1900-01-01' as timestamp) as valid_from,
        cast(0 as bigint) as change_rank
    from ranked_changes
    where change_rank = 1 and old_value is not null
),

logged_fields as (
    select distinct
        deal_id,
        field
    from logged
),

shown as (
    select
        deal_id,
        'seller_id' as field,
        seller_id as value,
        known_at,
        is_current
    from versions
    union all
    select
        deal_id,
        'segment' as field,
        segment as value,
        known_at,
        is_current
    from versions
    union all
    select
        deal_id,
        'source' as field,
        source as value,
        known_at,
        is_current
    from versions
    union all
    select
        deal_id,
        'business_area' as field,
        business_area as value,
        known_at,
        is_current
    from versions
    union all
    select
        deal_id,
        'amount' as field,
        cast(amount as string) as value,
        known_at,
        is_current
    from versions
    union all
    select
        deal_id,
        'currency' as field,
        currency as value,
        known_at,
        is_current
    from versions
),

shown_unlogged as (
    select
        shown.deal_id,
        shown.field,
        shown.value,
        shown.known_at as valid_from,
        row_number() over (
            partition by shown.deal_id, shown.field
            order by shown.known_at asc, shown.is_current asc, shown.value asc nulls first
        ) as change_rank
    from shown
    left join logged_fields
        on shown.deal_id = logged_fields.deal_id and shown.field = logged_fields.field
    where logged_fields.deal_id is null and shown.value is not null
),

together as (
    select * from logged
    union all
    select * from shown_unlogged
),

last_of_instant as (
    select
        *,
        row_number() over (
            partition by deal_id, field, valid_from order by change_rank desc
        ) as instant_rank,
        min(valid_from) over (partition by deal_id, field) as first_valid_from
    from together
)

select
    last_of_instant.deal_id,
    last_of_instant.field,
    coalesce(aliases.seller_id, last_of_instant.value) as value,
    case
        when last_of_instant.valid_from = last_of_instant.first_valid_from
            then cast('1900-01-01' as timestamp)
        else last_of_instant.valid_from
    end as valid_from,
    lead(last_of_instant.valid_from) over (
        partition by last_of_instant.deal_id, last_of_instant.field
        order by last_of_instant.valid_from
    ) as valid_to
from last_of_instant
left join aliases
    on last_of_instant.field = 'seller_id' and last_of_instant.value = aliases.alias_id
where last_of_instant.instant_rank = 1
