{{ config(materialized="table") }}
{#
    Of a later export the reconstructed basis knows what it tells of that day: that the deal had been
    created, out of which lead, in which pipeline and currency (without it the amounts of its log are
    no money), and (`int_deal_versions`) a close by then.
#}
with

run as (
    select * from {{ ref('stg_run') }}
),

sightings as (
    select
        load_id,
        known_at,
        made_number,
        series
    from {{ source('raw', 'sightings') }}
),

{# Of a history the rows know their own times, and the file all that was until the last of them. #}
files as (
    select
        load_id,
        max(known_at) as known_at
    from {{ source('raw', 'deals') }}
    group by load_id
),

deals as (
    select
        deals.deal_id,
        deals.lead_id,
        deals.account_id,
        deals.seller_id,
        deals.pipeline_id,
        deals.stage_id,
        deals.status,
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
        deals.is_deleted,
        coalesce(sightings.known_at, deals.known_at) as known_at,
        coalesce(sightings.known_at, files.known_at) as file_known_at,
        coalesce(sightings.made_number, 0) as made_number,
        coalesce(sightings.series, '') as series,
        deals.record_number,
        deals.stated_columns,
        deals.is_complete,
        run.as_of_at
    from {{ source('raw', 'deals') }} as deals
    inner join files on deals.load_id = files.load_id
    left join sightings on deals.load_id = sightings.load_id
    inner join run
        on
            coalesce(sightings.known_at, deals.known_at) <= run.as_of_at
            or (run.knowledge_basis = 'as_reconstructed' and deals.created_at <= run.as_of_at)
),

later as (
    select
        deal_id,
        min(known_at) as first_later_at
    from deals
    where known_at > as_of_at
    group by deal_id
),

with_later as (
    select
        deals.*,
        later.first_later_at
    from deals
    left join later on deals.deal_id = later.deal_id
)

select
    deal_id,
    lead_id,
    case when known_at <= as_of_at then account_id end as account_id,
    case when known_at <= as_of_at then seller_id end as seller_id,
    pipeline_id,
    stage_id,
    status,
    case when known_at <= as_of_at then amount end as amount,
    currency,
    case when known_at <= as_of_at then source end as source,
    case when known_at <= as_of_at then business_area end as business_area,
    case when known_at <= as_of_at then segment end as segment,
    case when known_at <= as_of_at then product end as product,
    case when known_at <= as_of_at then deal_type end as deal_type,
    case when known_at <= as_of_at then partner_id end as partner_id,
    created_at,
    case when known_at <= as_of_at then expected_close_on end as expected_close_on,
    case when known_at <= as_of_at or closed_at <= as_of_at then closed_at end as closed_at,
    case when known_at <= as_of_at then next_step_on end as next_step_on,
    case when known_at <= as_of_at then lost_reason end as lost_reason,
    case when known_at <= as_of_at then probability end as probability,
    case when known_at <= as_of_at then is_deleted end as is_deleted,
    least(known_at, as_of_at) as known_at,
    least(file_known_at, as_of_at) as file_known_at,
    is_complete and known_at <= as_of_at as is_complete,
    made_number,
    series,
    record_number,
    case
        when known_at <= as_of_at then stated_columns
        else
            ' lead_id pipeline_id stage_id status created_at closed_at '
            || case when {{ is_stated('currency') }} then 'currency ' else '' end
    end as stated_columns,
    known_at > as_of_at as is_from_later_export
from with_later
where known_at <= as_of_at or known_at = first_later_at
