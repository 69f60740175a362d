{# Invitations to seminars, and the sign-ups before and after them; seconds as in `begins_s`. #}
with

details as (
    select * from {{ ref('int_activity_details') }}
),

{# A campaign is a seminar's if a seminar or a sign-up has it. #}
seminars as (
    select
        campaign_id,
        max(case when type = 'seminar' then begins_s end) as held_s
    from details
    where type in ('seminar', 'signup') and campaign_id is not null
    group by campaign_id
),

invitations as (
    select
        details.*,
        seminars.held_s
    from details
    inner join seminars on details.campaign_id = seminars.campaign_id
    where details.is_attempt and coalesce(details.begins_s < seminars.held_s, true)
),

signups as (
    select *
    from details
    where type = 'signup' and person_id is not null and not is_planned
),

known_invitations as (
    select * from invitations where person_id is not null
),

pairs as (
    {{ with_same_people(
        'known_invitations',
        'signups',
        'known_invitations.campaign_id = signups.campaign_id',
        {
            'activity_id': 'known_invitations.activity_id',
            'begins_s': 'known_invitations.begins_s',
            'signup_id': 'signups.activity_id',
            'outcome': 'signups.outcome',
            'seconds_until': 'signups.begins_s - known_invitations.begins_s',
        }
    ) }}
),

signed_before as (
    select distinct activity_id
    from pairs
    where seconds_until <= 0
),

signed_after as (
    select
        *,
        row_number() over (
            partition by activity_id order by seconds_until, signup_id
        ) as signup_rank
    from pairs
    where seconds_until between 1 and 1209600
),

{# Of the invitations before a sign-up, whatever their types, the last one has it. #}
last_invitations as (
    select
        activity_id,
        signup_id,
        outcome,
        row_number() over (
            partition by signup_id order by begins_s desc, activity_id asc
        ) as touch_rank
    from signed_after
    where signup_rank = 1
),

{# The first of each person and seminar; of a log that begins with a reminder it is not known. #}
numbered as (
    select
        *,
        row_number() over (
            partition by campaign_id, person_id order by begins_s asc, activity_id asc
        ) as invitation_number
    from known_invitations
),

firsts as (
    select
        campaign_id,
        person_id,
        sender_id as first_sender_id,
        message_variant as first_message_variant
    from numbered
    where invitation_number = 1 and coalesce(reminder_no = 0, true)
),

followed as (
    select {{ as_seconds('until_at') }} as until_s
    from {{ ref('int_followed_until') }}
    where type = 'signup'
)

select
    invitations.activity_id,
    invitations.campaign_id,
    invitations.type,
    invitations.occurred_at,
    cast(invitations.local_hour as bigint) as local_hour,
    cast(invitations.weekday as bigint) as weekday,
    invitations.daypart,
    invitations.person_id,
    invitations.account_id,
    invitations.owner_id,
    invitations.seller_id,
    invitations.sender_id,
    invitations.message_variant,
    invitations.reminder_no,
    firsts.first_sender_id,
    firsts.first_message_variant,
    cast(numbered.invitation_number as bigint) as attempt_number,
    invitations.segment,
    invitations.business_area,
    invitations.source,
    case when invitations.person_id is not null then signed_before.activity_id is null end
        as is_at_risk,
    case
        when invitations.person_id is not null
            then coalesce(
                least(invitations.begins_s + 1209600, invitations.held_s) <= followed.until_s, false
            )
    end as is_followed,
    case when signed_before.activity_id is null then last_invitations.signup_id end as signup_id,
    case
        when signed_before.activity_id is not null then null
        when last_invitations.outcome = 'attended' then true
        when last_invitations.outcome = 'no_show' then false
    end as has_attended,
    invitations.as_of
from invitations
left join followed on true
left join numbered on invitations.activity_id = numbered.activity_id
left join firsts
    on
        invitations.campaign_id = firsts.campaign_id
        and invitations.person_id = firsts.person_id
left join signed_before on invitations.activity_id = signed_before.activity_id
left join last_invitations
    on
        invitations.activity_id = last_invitations.activity_id
        and last_invitations.touch_rank = 1
