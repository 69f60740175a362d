{# Every day from the first move to `as_of`. #}
with

run as (
    select * from {{ ref('stg_run') }}
),

first_days as (
    select min(occurred_on) as first_on
    from {{ ref('int_moves') }}
),

digits as (
    {% for digit in range(10) -%}
        select cast({{ digit }} as bigint) as digit
        {% if not loop.last -%} union all {%- endif %}
    {% endfor %}
),

{# 100,000 days are 273 years. #}
numbers as (
    select
        ones.digit
        + 10 * tens.digit
        + 100 * hundreds.digit
        + 1000 * thousands.digit
        + 10000 * ten_thousands.digit as number
    from digits as ones
    cross join digits as tens
    cross join digits as hundreds
    cross join digits as thousands
    cross join digits as ten_thousands
),

days as (
    select {{ add_days('first_days.first_on', 'numbers.number') }} as day_on
    from numbers
    cross join first_days
    where first_days.first_on is not null
)

select days.day_on
from days
cross join run
where days.day_on <= run.as_of
