with

run as (
    select as_of from {{ ref('stg_run') }}
),

attempts as (
    select
        *,
        coalesce(is_at_risk, false) and coalesce(is_followed, false) as is_mature,
        {# Numbers are told apart in a third of the time of texts. #}
        cast(dense_rank() over (order by person_id asc nulls first) as int) as person_number
    from {{ ref('fct_activities') }}
    where is_attempt
),

trials as (
    select
        type,
        message_variant,
        sender_id,
        reminder_no,
        campaign_id,
        local_hour,
        daypart,
        weekday,
        case when attempt_number > 2 then '3+' else cast(attempt_number as string) end as attempt,
        seller_id,
        segment,
        business_area,
        source,
        case when person_id is null then 1 else 0 end as n_unlinked,
        case when is_at_risk then 1 else 0 end as n_at_risk,
        case when is_mature then 1 else 0 end as n_mature,
        case when is_mature and held_meeting_id is not null then 1 else 0 end as n_held,
        case when is_mature and booked_meeting_id is not null then 1 else 0 end as n_booked,
        case when is_mature then person_number end as mature_person
    from attempts
),

counted as (
    {{ count_trials(
        'trials',
        [
            'message_variant', 'sender_id', 'reminder_no', 'campaign_id', 'local_hour', 'daypart',
            'weekday', 'attempt', 'seller_id', 'segment', 'business_area', 'source',
        ],
        ['segment', 'business_area'],
        ['n_unlinked', 'n_at_risk', 'n_mature', 'n_held', 'n_booked']
    ) }}
),

defined as (
    {% for definition in ['held', 'booked'] -%}
        select
            *,
            'meeting_{{ definition }}_14' as definition_id,
            n_{{ definition }} as n_reached
        from counted
        {{ 'union all' if not loop.last }}
    {% endfor %}
)

select
    defined.type,
    defined.definition_id,
    defined.group_dimension,
    defined.group_value,
    defined.dimension,
    defined.dimension_value,
    cast(defined.n_attempts as bigint) as n_attempts,
    cast(defined.n_unlinked as bigint) as n_unlinked,
    cast(defined.n_at_risk as bigint) as n_at_risk,
    cast(defined.n_mature as bigint) as n_mature,
    cast(defined.n_reached as bigint) as n_reached,
    cast(defined.n_people as bigint) as n_people,
    {{ rate('defined.n_reached', 'defined.n_mature') }} as reached_rate,
    {{ rate('defined.n_mature', 'defined.n_reached') }} as attempts_per_reached,
    {{ rate('defined.n_mature', 'defined.n_at_risk') }} as maturity_rate,
    run.as_of
from defined
cross join run
