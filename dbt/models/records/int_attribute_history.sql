{#
    What the seller, segment, source, amount … of a deal, lead or account were, and when. A deal's
    change log is asked for the time it covers, the exports before any log and after it. What was
    first shown by an export holds from the beginning; what a log first wrote later than at the
    creation was not known before.
#}
with

changes as (
    select *
    from {{ ref('int_deal_changes') }}
    where
        fidelity = 'event_log'
        and field in (
            {% for attribute in tracked_attributes().split() if attribute.startswith('deal.') %}
                '{{ attribute.split('.')[1] }}'{{ "," if not loop.last }}
            {% endfor %}
        )
),

logs as (
    select
        deal_id,
        field,
        max(log_known_until) as log_known_until
    from changes
    group by deal_id, field
),

log_ends as (
    select
        deal_id,
        min(log_known_until) as first_known_until,
        max(log_known_until) as last_known_until
    from logs
    group by deal_id
),

deals as (
    {{ versions_with_news('deal', log_ends='log_ends') }}
),

leads as (
    {{ versions_with_news('lead') }}
),

accounts as (
    {{ versions_with_news('account') }}
),

aliases as (
    select * from {{ ref('int_seller_aliases') }}
),

namesakes as (
    select
        seller_id,
        lower({{ system_of('seller_id') }} || ':' || trim(name)) as folded_id
    from {{ ref('int_sellers') }}
),

created as (
    select
        deal_id,
        created_at
    from {{ ref('int_deal_versions') }}
    where is_current
),

{# Exports give creation to the minute. Logged within it, a value was there from the beginning. #}
logged as (
    select
        'deal' as entity_type,
        changes.deal_id as entity_id,
        changes.field,
        changes.new_value as value,
        case
            when
                changes.change_number = 1
                and changes.old_value is null
                and (
                    created.created_at is null
                    or {{ seconds_between('created.created_at', 'changes.occurred_at') }} < 60
                )
                then cast('1900-01-01' as timestamp)
            else changes.occurred_at
        end as valid_from,
        changes.change_number
    from changes
    left join created on changes.deal_id = created.deal_id
    union all
    select
        'deal' as entity_type,
        deal_id as entity_id,
        field,
        old_value as value,
        cast('1900-01-01' as timestamp) as valid_from,
        cast(0 as bigint) as change_number
    from changes
    where change_number = 1 and old_value is not null
),

shown as (
    {% for attribute in tracked_attributes().split() %}
        {% set entity, field = attribute.split('.') %}
        select
            '{{ entity }}' as entity_type,
            {{ entity }}_id as entity_id,
            '{{ field }}' as field,
            {# Who is meant by a name is asked below: a name that two share is told, and nobody. #}
            cast({{ shown_column(field) }} as string) as value,
            known_at,
            {{ shown_column(field) }}_known_since as known_since
        from {{ entity }}s
        {# An empty cell before the first value tells nothing; after it, that it was cleared. #}
        where {{ shown_column(field) }}_known_since is not null
        {% if not loop.last -%} union all {%- endif %}
    {% endfor %}
),

shown_where_asked as (
    select
        shown.entity_type,
        shown.entity_id,
        shown.field,
        shown.value,
        case
            when logs.deal_id is null and shown.known_at = shown.known_since
                then cast('1900-01-01' as timestamp)
            else shown.known_at
        end as valid_from,
        cast(null as bigint) as change_number
    from shown
    left join logs
        on
            shown.entity_type = 'deal'
            and shown.entity_id = logs.deal_id
            and shown.field = logs.field
    where logs.deal_id is null or shown.known_at > logs.log_known_until
),

all_values as (
    select * from logged
    union all
    select * from shown_where_asked
),

last_of_instant as (
    select
        all_values.entity_type,
        all_values.entity_id,
        all_values.field,
        case
            when all_values.field = 'seller_id' then aliases.seller_id else all_values.value
        end as value,
        case
            when all_values.field = 'seller_id' and aliases.reason = 'shared_name'
                then lower(all_values.value)
        end as shared_name,
        all_values.valid_from,
        row_number() over (
            partition by
                all_values.entity_type,
                all_values.entity_id,
                all_values.field,
                all_values.valid_from
            order by all_values.change_number desc nulls first
        ) as instant_rank
    from all_values
    left join aliases on all_values.field = 'seller_id' and all_values.value = aliases.alias_id
),

shared as (
    select distinct
        entity_type,
        entity_id,
        field
    from last_of_instant
    where shared_name is not null
),

{# A name that two share leaves a deal with the one who has it. #}
counted as (
    select
        last_of_instant.*,
        sum(case when last_of_instant.shared_name is null then 1 else 0 end) over (
            partition by
                last_of_instant.entity_type, last_of_instant.entity_id, last_of_instant.field
            order by last_of_instant.valid_from rows between unbounded preceding and current row
        ) as stretch
    from last_of_instant
    inner join shared
        on
            last_of_instant.entity_type = shared.entity_type
            and last_of_instant.entity_id = shared.entity_id
            and last_of_instant.field = shared.field
    where last_of_instant.instant_rank = 1
),

in_stretch as (
    select
        *,
        max(case when shared_name is null then value end) over (
            partition by entity_type, entity_id, field, stretch
        ) as stretch_value
    from counted
),

told as (
    select
        in_stretch.entity_type,
        in_stretch.entity_id,
        in_stretch.field,
        case
            when in_stretch.shared_name is null then in_stretch.value else namesakes.seller_id
        end as value,
        in_stretch.valid_from
    from in_stretch
    left join namesakes
        on
            in_stretch.stretch_value = namesakes.seller_id
            and in_stretch.shared_name = namesakes.folded_id
    union all
    select
        last_of_instant.entity_type,
        last_of_instant.entity_id,
        last_of_instant.field,
        last_of_instant.value,
        last_of_instant.valid_from
    from last_of_instant
    left join shared
        on
            last_of_instant.entity_type = shared.entity_type
            and last_of_instant.entity_id = shared.entity_id
            and last_of_instant.field = shared.field
    where last_of_instant.instant_rank = 1 and shared.entity_id is null
),

{# Exports say the same every day: only a change begins a period. #}
with_previous as (
    select
        *,
        lag(value) over (
            partition by entity_type, entity_id, field order by valid_from
        ) as previous_value,
        row_number() over (
            partition by entity_type, entity_id, field order by valid_from
        ) as period_number
    from told
)

select
    entity_type,
    entity_id,
    field,
    value,
    valid_from,
    lead(valid_from) over (
        partition by entity_type, entity_id, field order by valid_from
    ) as valid_to
from with_previous
where period_number = 1 or {{ is_distinct('value', 'previous_value') }}
