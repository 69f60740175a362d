with

activities as (
    select * from {{ ref('int_activities') }} where type = 'other'
)

select
    {{ system_of('activity_id') }} as system_id,
    source_type,
    cast(count(*) as bigint) as n_activities
from activities
group by {{ system_of('activity_id') }}, source_type
