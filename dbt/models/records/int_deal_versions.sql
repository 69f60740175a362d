{#
    Owners resolved, and one stage for both kinds of CRM: where won and lost are a status beside
    the stage, a closed deal stands in its pipeline's won or lost stage.
#}
{% set columns = [
    'lead_id', 'account_id', 'seller_id', 'placed_pipeline_id', 'amount', 'currency', 'source',
    'business_area', 'segment', 'product', 'deal_type', 'partner_id', 'created_at',
    'expected_close_on', 'next_step_on', 'lost_reason', 'probability', 'is_deleted',
] %}
{% set of_beginning = ['lead_id', 'placed_pipeline_id', 'created_at'] %}

with

run as (
    select * from {{ ref('stg_run') }}
),

stages as (
    select * from {{ ref('int_stages') }}
),

named as (
    select
        *,
        {{ is_stated('pipeline_id') }} as is_pipeline_named
    from {{ ref('stg_deals') }}
),

{# A stage of one pipeline alone names its pipeline. #}
records as (
    select
        named.*,
        coalesce(
            case when named.is_pipeline_named then named.pipeline_id end,
            stages.pipeline_id,
            named.pipeline_id
        ) as placed_pipeline_id,
        named.is_pipeline_named
        or stages.pipeline_id is not null as is_stated_placed_pipeline_id,
        {# What decides which columns are stated. #}
        named.stated_columns
        || case when named.is_from_later_export then ' later' else '' end
        || case when stages.pipeline_id is not null then ' placed' else '' end as stated
    from named
    left join stages on named.stage_id = stages.stage_id and stages.is_in_one_pipeline
),

numbered as (
    select
        *,
        coalesce(
            min(stated) over (partition by deal_id) = max(stated) over (partition by deal_id), false
        ) as is_always_stated_alike,
        row_number() over (
            partition by deal_id
            order by
                known_at asc,
                is_from_later_export asc,
                {{ made_order(['closed_at', 'stage_id', 'status'] + columns) }}
        ) as version_number
    from records
),

told as (
    select
        *,
        {% for column in columns if column not in ('is_deleted', 'placed_pipeline_id') -%}
            {{ is_stated(column) }} as is_stated_{{ column }},
        {% endfor -%}
        {# A list that has no such column does not show what was deleted. #}
        not is_from_later_export as is_stated_is_deleted
    from numbered
    where not is_always_stated_alike
),

carried as (
    select
        deal_id,
        stage_id,
        status,
        closed_at,
        known_at,
        is_complete,
        is_from_later_export,
        {% for column in columns -%}
            {{ last_known(column, 'deal_id', column in of_beginning) }}
                as last_{{ column }},
        {% endfor -%}
        version_number
    from told
),

{# Of most deals every version has the same columns, and nothing to carry on. #}
deals as (
    select
        deal_id,
        stage_id,
        status,
        closed_at,
        known_at,
        is_complete,
        is_from_later_export,
        {% for column in columns -%}
            last_{{ column }}['v'] as {{ column }},
        {% endfor -%}
        version_number
    from carried
    union all
    select
        deal_id,
        stage_id,
        status,
        closed_at,
        known_at,
        is_complete,
        is_from_later_export,
        {% for column in columns -%}
            {{ column }},
        {% endfor -%}
        version_number
    from numbered
    where is_always_stated_alike
),

aliases as (
    select * from {{ ref('int_seller_aliases') }}
),

closing_stages as (
    select
        pipeline_id,
        stage_kind,
        min(stage_id) as stage_id
    from stages
    where stage_kind in ('won', 'lost')
    group by pipeline_id, stage_kind
),

resolved as (
    select
        deals.deal_id,
        deals.lead_id,
        deals.account_id,
        aliases.seller_id,
        deals.seller_id as named_seller_id,
        deals.placed_pipeline_id as pipeline_id,
        case
            {# Of where a later export shows it, only a close by then was true then. #}
            when
                deals.is_from_later_export
                and not (
                    coalesce(deals.status, stages.stage_kind) in ('won', 'lost')
                    and coalesce(deals.closed_at <= deals.known_at, false)
                )
                then null
            when
                deals.status in ('won', 'lost')
                and coalesce(stages.stage_kind, 'open') <> deals.status
                {# No such stage declared: an unknown one, so that the run says so. #}
                then coalesce(
                    closing_stages.stage_id,
                    coalesce(deals.placed_pipeline_id, '') || ':' || deals.status
                )
            else deals.stage_id
        end as stage_id,
        {# Beside won or lost: the stage that it was won or lost from. #}
        case
            when
                deals.status in ('won', 'lost')
                and stages.stage_kind = 'open'
                and not deals.is_from_later_export
                then deals.stage_id
        end as closed_from_stage_id,
        deals.amount,
        deals.currency,
        deals.source,
        deals.business_area,
        deals.segment,
        deals.product,
        deals.deal_type,
        deals.partner_id,
        deals.created_at,
        deals.expected_close_on,
        deals.closed_at,
        deals.next_step_on,
        deals.lost_reason,
        deals.probability,
        coalesce(deals.is_deleted, false) as is_deleted,
        deals.is_complete,
        deals.is_from_later_export,
        deals.known_at,
        deals.version_number,
        coalesce(
            coalesce(deals.status, stages.stage_kind) in ('won', 'lost'), false
        ) as is_closed
    from deals
    left join aliases on deals.seller_id = aliases.alias_id
    left join stages
        on deals.placed_pipeline_id = stages.pipeline_id and deals.stage_id = stages.stage_id
    left join closing_stages
        on
            deals.placed_pipeline_id = closing_stages.pipeline_id
            and deals.status = closing_stages.stage_kind
),

with_previous as (
    select
        resolved.*,
        {# Closed on an earlier day than created: entered afterwards, so that tells no beginning. #}
        coalesce(
            resolved.is_closed
            and resolved.closed_at <= resolved.known_at
            and {{ local_date('resolved.closed_at', 'run.zone') }}
            < {{ local_date('resolved.created_at', 'run.zone') }},
            false
        ) as is_created_late,
        lag(resolved.known_at) over (
            partition by resolved.deal_id order by resolved.version_number
        ) as previous_known_at,
        lag(resolved.is_closed) over (
            partition by resolved.deal_id order by resolved.version_number
        ) as was_closed
    from resolved
    cross join run
),

{# Of a deal an export had named, a later one adds a close that none of the day could tell. #}
kept as (
    select *
    from with_previous
    where
        not is_from_later_export
        or previous_known_at is null
        or (stage_id is not null and not was_closed and previous_known_at < known_at)
)

select
    deal_id,
    lead_id,
    account_id,
    seller_id,
    named_seller_id,
    pipeline_id,
    stage_id,
    closed_from_stage_id,
    amount,
    currency,
    source,
    business_area,
    segment,
    product,
    deal_type,
    partner_id,
    created_at,
    expected_close_on,
    closed_at,
    is_created_late,
    next_step_on,
    lost_reason,
    probability,
    is_deleted,
    is_complete,
    known_at,
    lead(known_at) over (partition by deal_id order by version_number) is null as is_current,
    coalesce(
        lead(known_at) over (partition by deal_id order by version_number) <> known_at, true
    ) as is_last_of_export
from kept
