{#
    The facts that figures are made of: of how many deals each is known, what stays untold without
    it, and what to export.
#}
{%- set facts = [
    (
        'dates', 'true', 'has_date', 'time in stage, conversion within a time, pace',
        'when deals were created (created_at), or their history of stages',
    ),
    (
        'close dates', "status <> 'open'", 'has_close_date',
        'when deals were won or lost, and in which period', 'when deals were closed (closed_at)',
    ),
    (
        'stages', 'true', 'has_stage', 'moves and conversion between stages',
        'the stage that open deals stand in (stage_id), or the history of stages (deal_changes)',
    ),
    (
        'open deals', 'true', "status = 'open'", 'the pipeline, what is slow or idle',
        'open deals too, not only closed ones',
    ),
    (
        'lost deals', "status <> 'open'", "status = 'lost'",
        'any share won', 'lost deals too, not only won ones',
    ),
    (
        'amounts', 'true', 'amount is not null', 'money won and in the pipeline',
        'the value of deals (amount)',
    ),
    (
        'amounts in company currency', 'amount is not null', 'amount_base is not null',
        'money summed over currencies',
        'exchange rates (fx_rates), or set `currency` in company.yml',
    ),
    (
        'expected close dates', "status = 'open'", 'expected_close_on is not null',
        'which period open deals are expected in', 'the expected close (expected_close_on)',
    ),
    ('sellers', 'true', 'seller_id is not null', 'figures by seller', 'the owner (seller_id)'),
    ('segments', 'true', 'segment is not null', 'figures by segment', 'the segment (segment)'),
    ('sources', 'true', 'source is not null', 'figures by source', 'where deals came from (source)'),
    (
        'business areas', 'true', 'business_area is not null', 'figures by business area',
        'the business area (business_area)',
    ),
] -%}
with

run as (
    select as_of from {{ ref('stg_run') }}
),

outcomes as (
    select * from {{ ref('int_deal_outcomes') }}
),

counted as (
    {% for fact, is_asked, is_known, untold, remedy in facts %}
        select
            '{{ fact }}' as fact,
            '{{ untold }}' as untold,
            '{{ remedy }}' as remedy,
            sum(case when {{ is_asked }} then 1 else 0 end) as n_deals,
            sum(case when {{ is_asked }} and {{ is_known }} then 1 else 0 end) as n_known
        from outcomes
        {{ 'union all' if not loop.last }}
    {% endfor %}
)

select
    counted.fact,
    cast(coalesce(counted.n_deals, 0) as bigint) as n_deals,
    cast(coalesce(counted.n_known, 0) as bigint) as n_known,
    {{ rate('counted.n_known', 'counted.n_deals') }} as known_rate,
    counted.untold,
    counted.remedy,
    run.as_of
from counted
cross join run
