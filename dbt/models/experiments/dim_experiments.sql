{# As first declared: what is changed afterwards may be changed by what was seen. #}
{% set fixed = ['variants', 'unit', 'primary_outcome', 'window_days', 'start_on'] %}

with

run as (
    select * from {{ ref('stg_run') }}
),

declared as (
    select
        *,
        row_number() over (
            partition by experiment_id
            order by known_at asc, made_number asc, record_number asc
        ) as declared_rank,
        row_number() over (
            partition by experiment_id
            order by known_at desc, made_number desc, record_number desc
        ) as last_rank
    from {{ ref('stg_experiments') }}
),

firsts as (
    select * from declared where declared_rank = 1
),

lasts as (
    select * from declared where last_rank = 1
)

select
    firsts.experiment_id,
    {% for column in fixed -%}
        firsts.{{ column }},
    {% endfor -%}
    lasts.end_on,
    {{ local_date('firsts.known_at', 'run.zone') }} > firsts.start_on as is_declared_late,
    (
        {% for column in fixed -%}
            firsts.{{ column }} is distinct from lasts.{{ column }}
            {{ 'or ' if not loop.last }}
        {%- endfor %}
    ) as is_changed,
    run.as_of
from firsts
inner join lasts on firsts.experiment_id = lasts.experiment_id
cross join run
