{#
    Which deal a merged one lives on in, through chains of statements. A cycle has no survivor: such
    merges are put aside, the deals go on as they were, and `ledger_disagreements` lists them.
#}
with

statements as (
    select * from {{ ref('stg_deal_merges') }}
),

ranked as (
    select
        deal_id,
        merged_into_deal_id,
        merged_at,
        min(known_at) over (partition by deal_id) as known_at,
        row_number() over (
            partition by deal_id
            order by
                {{ total_order([
                    'known_at', 'made_number', 'record_number', 'merged_at', 'merged_into_deal_id'
                ]) }}
        ) as version_rank
    from statements
),

{# Each step doubles the length of chain followed; six follow 64 statements. #}
hops_0 as (
    select
        deal_id,
        merged_into_deal_id,
        merged_at,
        known_at
    from ranked
    where version_rank = 1
),
{% for step in range(1, 7) %}
    hops_{{ step }} as (
        select
            hops.deal_id,
            coalesce(onwards.merged_into_deal_id, hops.merged_into_deal_id) as merged_into_deal_id,
            hops.merged_at,
            hops.known_at
        from hops_{{ step - 1 }} as hops
        left join hops_{{ step - 1 }} as onwards on hops.merged_into_deal_id = onwards.deal_id
    ),
{% endfor %}
followed as (
    select
        hops.*,
        onwards.deal_id is not null as is_cycle
    from hops_6 as hops
    left join hops_0 as onwards on hops.merged_into_deal_id = onwards.deal_id
)

select
    deal_id,
    merged_into_deal_id,
    merged_at,
    known_at,
    is_cycle
from followed
