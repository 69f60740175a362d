{% set columns = [
    'pipeline_id', 'source', 'campaign', 'seller_id', 'created_at', 'converted_at',
    'converted_deal_id', 'segment', 'is_deleted',
] %}

with

leads as (
    select * from {{ ref('stg_leads') }}
),

aliases as (
    select * from {{ ref('int_seller_aliases') }}
),

numbered as (
    select
        *,
        {% for column in columns if column != 'is_deleted' -%}
            {{ is_stated(column) }} as is_stated_{{ column }},
        {% endfor -%}
        {# A list that has no such column does not show what was deleted. #}
        not is_from_later_export as is_stated_is_deleted,
        row_number() over (
            partition by lead_id
            order by
                known_at asc,
                is_from_later_export asc,
                {{ made_order(['stage_id', 'status'] + columns) }}
        ) as version_number
    from leads
),

carried as (
    select
        lead_id,
        stage_id,
        known_at,
        is_complete,
        is_from_later_export,
        {% for column in columns -%}
            {{ last_known(column, 'lead_id', column in ('pipeline_id', 'created_at')) }}
                as last_{{ column }},
        {% endfor -%}
        version_number
    from numbered
),

versions as (
    select
        carried.lead_id,
        carried.stage_id,
        carried.known_at,
        carried.is_complete,
        carried.is_from_later_export,
        {% for column in columns if column not in ('seller_id', 'is_deleted') -%}
            carried.last_{{ column }}['v'] as {{ column }},
        {% endfor -%}
        coalesce(carried.last_is_deleted['v'], false) as is_deleted,
        aliases.seller_id,
        carried.last_seller_id['v'] as named_seller_id,
        carried.version_number
    from carried
    left join aliases on carried.last_seller_id['v'] = aliases.alias_id
),

with_previous as (
    select
        *,
        lag(known_at) over (partition by lead_id order by version_number) as previous_known_at,
        lag(converted_at) over (partition by lead_id order by version_number) as was_converted_at
    from versions
),

{# Of a lead an export had named, a later one adds a conversion that none of the day could tell. #}
kept as (
    select *
    from with_previous
    where
        not is_from_later_export
        or previous_known_at is null
        or (
            converted_at is not null
            and was_converted_at is null
            and previous_known_at < known_at
        )
)

select
    lead_id,
    pipeline_id,
    stage_id,
    source,
    campaign,
    seller_id,
    named_seller_id,
    created_at,
    converted_at,
    converted_deal_id,
    segment,
    is_deleted,
    is_complete,
    known_at,
    lead(known_at) over (partition by lead_id order by version_number) is null as is_current,
    coalesce(
        lead(known_at) over (partition by lead_id order by version_number) <> known_at, true
    ) as is_last_of_export
from kept
