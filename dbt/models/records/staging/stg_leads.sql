{#
    Of a later export the reconstructed basis knows what it tells of that day: that the lead had been
    created, and (`int_lead_versions`) a conversion by then.
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
    from {{ source('raw', 'leads') }}
    group by load_id
),

leads as (
    select
        leads.lead_id,
        leads.pipeline_id,
        leads.stage_id,
        leads.source,
        leads.campaign,
        leads.seller_id,
        leads.status,
        leads.created_at,
        leads.converted_at,
        leads.converted_deal_id,
        leads.segment,
        leads.is_deleted,
        coalesce(sightings.known_at, leads.known_at) as known_at,
        coalesce(sightings.known_at, files.known_at) as file_known_at,
        coalesce(sightings.made_number, 0) as made_number,
        coalesce(sightings.series, '') as series,
        leads.record_number,
        leads.stated_columns,
        leads.is_complete,
        run.as_of_at
    from {{ source('raw', 'leads') }} as leads
    inner join files on leads.load_id = files.load_id
    left join sightings on leads.load_id = sightings.load_id
    inner join run
        on
            coalesce(sightings.known_at, leads.known_at) <= run.as_of_at
            or (run.knowledge_basis = 'as_reconstructed' and leads.created_at <= run.as_of_at)
),

later as (
    select
        lead_id,
        min(known_at) as first_later_at
    from leads
    where known_at > as_of_at
    group by lead_id
),

with_later as (
    select
        leads.*,
        later.first_later_at
    from leads
    left join later on leads.lead_id = later.lead_id
)

select
    lead_id,
    pipeline_id,
    case when known_at <= as_of_at then stage_id end as stage_id,
    case when known_at <= as_of_at then source end as source,
    case when known_at <= as_of_at then campaign end as campaign,
    case when known_at <= as_of_at then seller_id end as seller_id,
    case when known_at <= as_of_at then status end as status,
    created_at,
    case when known_at <= as_of_at or converted_at <= as_of_at then converted_at end
        as converted_at,
    case when known_at <= as_of_at or converted_at <= as_of_at then converted_deal_id end
        as converted_deal_id,
    case when known_at <= as_of_at then segment end as segment,
    case when known_at <= as_of_at then is_deleted end as is_deleted,
    least(known_at, as_of_at) as known_at,
    least(file_known_at, as_of_at) as file_known_at,
    is_complete and known_at <= as_of_at as is_complete,
    made_number,
    series,
    record_number,
    case
        when known_at <= as_of_at then stated_columns
        else ' pipeline_id created_at converted_at converted_deal_id '
    end as stated_columns,
    known_at > as_of_at as is_from_later_export
from with_later
where known_at <= as_of_at or known_at = first_later_at
