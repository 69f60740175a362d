with

run as (
    select as_of from {{ ref('stg_run') }}
),

invitations as (
    select
        *,
        coalesce(is_at_risk, false) and coalesce(is_followed, false) as is_mature,
        cast(dense_rank() over (order by person_id asc nulls first) as int) as person_number
    from {{ ref('fct_invitations') }}
),

trials as (
    select
        type,
        campaign_id,
        message_variant,
        sender_id,
        first_message_variant as first_message,
        first_sender_id,
        reminder_no,
        daypart,
        weekday,
        seller_id,
        segment,
        business_area,
        source,
        case when person_id is null then 1 else 0 end as n_unlinked,
        case when is_at_risk then 1 else 0 end as n_at_risk,
        case when is_mature then 1 else 0 end as n_mature,
        case when is_mature and signup_id is not null then 1 else 0 end as n_reached,
        case when is_mature and has_attended then 1 else 0 end as n_attended,
        case when is_mature and not has_attended then 1 else 0 end as n_no_show,
        case when is_mature then person_number end as mature_person
    from invitations
),

counted as (
    {{ count_trials(
        'trials',
        [
            'message_variant', 'sender_id', 'first_message', 'first_sender_id', 'reminder_no',
            'campaign_id', 'daypart', 'weekday', 'seller_id', 'segment', 'business_area', 'source',
        ],
        ['campaign_id', 'segment'],
        ['n_unlinked', 'n_at_risk', 'n_mature', 'n_reached', 'n_attended', 'n_no_show']
    ) }}
)

select
    counted.type,
    'signup_14' as definition_id,
    counted.group_dimension,
    counted.group_value,
    counted.dimension,
    counted.dimension_value,
    cast(counted.n_attempts as bigint) as n_attempts,
    cast(counted.n_unlinked as bigint) as n_unlinked,
    cast(counted.n_at_risk as bigint) as n_at_risk,
    cast(counted.n_mature as bigint) as n_mature,
    cast(counted.n_reached as bigint) as n_reached,
    cast(counted.n_attended as bigint) as n_attended,
    cast(counted.n_no_show as bigint) as n_no_show,
    cast(counted.n_people as bigint) as n_people,
    {{ rate('counted.n_reached', 'counted.n_mature') }} as reached_rate,
    {{ rate('counted.n_mature', 'counted.n_reached') }} as attempts_per_reached,
    {{ rate('counted.n_attended', 'counted.n_attended + counted.n_no_show') }} as attended_rate,
    run.as_of
from counted
cross join run
