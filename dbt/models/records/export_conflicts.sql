{% set records = {
    'deal': [
        'stage_id', 'status', 'pipeline_id', 'seller_id', 'account_id', 'amount', 'currency', 'source',
        'segment', 'business_area', 'deal_type', 'created_at', 'closed_at', 'expected_close_on',
    ],
    'lead': [
        'stage_id', 'pipeline_id', 'seller_id', 'source', 'segment', 'created_at', 'converted_at',
    ],
} %}

with

{# Only what stands twice in the exports of one moment can be told in two ways. #}
counted_deals as (
    select
        *,
        count(*) over (partition by deal_id, known_at) as n_lines
    from {{ ref('stg_deals') }}
    where not is_from_later_export
),

deals as (
    select * from counted_deals where n_lines > 1
),

counted_leads as (
    select
        *,
        count(*) over (partition by lead_id, known_at) as n_lines
    from {{ ref('stg_leads') }}
    where not is_from_later_export
),

leads as (
    select * from counted_leads where n_lines > 1
),

stated as (
    {% for record_type, columns in records.items() -%}
        {% set outer_loop = loop -%}
        {% for column in columns -%}
            select
                '{{ record_type }}' as record_type,
                {{ record_type }}_id as record_id,
                '{{ column }}' as column_name,
                known_at,
                cast({{ column }} as string) as value
            from {{ record_type }}s
            where {{ column }} is not null
            {% if not (loop.last and outer_loop.last) -%} union all {% endif %}
        {% endfor -%}
    {% endfor %}
)

select
    record_type,
    record_id,
    column_name,
    known_at,
    cast(count(distinct value) as bigint) as n_values
from stated
group by record_type, record_id, column_name, known_at
having count(distinct value) > 1
