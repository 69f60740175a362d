{% set columns = ['account_id', 'email_hash', 'phone_hash'] %}

with

contacts as (
    select * from {{ ref('stg_contacts') }}
),

numbered as (
    select
        *,
        {% for column in columns -%}
            {{ is_stated(column) }} as is_stated_{{ column }},
        {% endfor -%}
        row_number() over (
            partition by contact_id order by known_at asc, {{ made_order(columns) }}
        ) as version_number
    from contacts
),

carried as (
    select
        contact_id,
        {% for column in columns -%}
            {{ last_known(column, 'contact_id', false) }} as last_{{ column }},
        {% endfor -%}
        version_number = max(version_number) over (partition by contact_id) as is_current
    from numbered
)

select
    {% for column in columns -%}
        last_{{ column }}['v'] as {{ column }},
    {% endfor -%}
    contact_id
from carried
where is_current
