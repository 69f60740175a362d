{% set columns = ['name', 'team', 'manager', 'is_active'] %}

with

run as (
    select as_of from {{ ref('stg_run') }}
),

sellers as (
    select sellers.*
    from {{ ref('stg_sellers') }} as sellers
    inner join run on coalesce(sellers.valid_from, run.as_of) <= run.as_of
),

{# Of the periods in one list the last that has begun. #}
numbered as (
    select
        *,
        {% for column in columns -%}
            {{ is_stated(column) }} as is_stated_{{ column }},
        {% endfor -%}
        row_number() over (
            partition by seller_id
            order by
                known_at asc, made_number asc, valid_from asc nulls first,
                {{ made_order(['valid_to', 'email_hash'] + columns) }}
        ) as version_number
    from sellers
),

carried as (
    select
        seller_id,
        {% for column in columns -%}
            {{ last_known(column, 'seller_id', false) }} as last_{{ column }},
        {% endfor -%}
        version_number = max(version_number) over (partition by seller_id) as is_current
    from numbered
)

select
    {% for column in columns -%}
        last_{{ column }}['v'] as {{ column }},
    {% endfor -%}
    seller_id
from carried
where is_current
