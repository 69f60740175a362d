{% set columns = ['segment', 'industry', 'country', 'employees', 'parent_account_id'] %}

with

accounts as (
    select * from {{ ref('stg_accounts') }}
),

numbered as (
    select
        *,
        {% for column in columns -%}
            {{ is_stated(column) }} as is_stated_{{ column }},
        {% endfor -%}
        row_number() over (
            partition by account_id order by known_at asc, {{ made_order(columns) }}
        ) as version_number
    from accounts
),

carried as (
    select
        account_id,
        known_at,
        {% for column in columns -%}
            {{ last_known(column, 'account_id', false) }} as last_{{ column }},
        {% endfor -%}
        version_number
    from numbered
)

select
    account_id,
    {% for column in columns -%}
        last_{{ column }}['v'] as {{ column }},
    {% endfor -%}
    known_at,
    lead(known_at) over (partition by account_id order by version_number) is null as is_current,
    coalesce(
        lead(known_at) over (partition by account_id order by version_number) <> known_at, true
    ) as is_last_of_export
from carried
