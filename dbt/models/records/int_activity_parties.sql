{#
    Who was at the other end of an activity, one person and one company at most. Named by an id, of
    itself or in the last export of links; else found by mail address or phone number, as keyed
    hashes, where only one contact has it. A number that several share, a switchboard, tells the
    company alone, if they are of one.
#}
with

activities as (
    select * from {{ ref('int_activities') }}
),

contacts as (
    select * from {{ ref('int_contacts') }}
),

links as (
    select * from {{ ref('stg_activity_links') }} where record_type in ('contact', 'account')
),

last_links as (
    select
        activity_id,
        record_type,
        max(known_at) as known_at
    from links
    group by activity_id, record_type
),

linked as (
    select
        links.activity_id,
        links.record_type,
        min(links.record_id) as record_id,
        count(distinct links.record_id) as n_records
    from links
    inner join last_links
        on
            links.activity_id = last_links.activity_id
            and links.record_type = last_links.record_type
            and links.known_at = last_links.known_at
    group by links.activity_id, links.record_type
),

addresses as (
    select
        'email' as kind,
        email_hash as keyed_hash,
        contact_id,
        account_id
    from contacts
    where email_hash is not null
    union all
    select
        'phone' as kind,
        phone_hash as keyed_hash,
        contact_id,
        account_id
    from contacts
    where phone_hash is not null
),

known_addresses as (
    select
        kind,
        keyed_hash,
        case when count(*) = 1 then min(contact_id) end as contact_id,
        case
            when count(account_id) = count(*) and count(distinct account_id) = 1
                then min(account_id)
        end as account_id
    from addresses
    group by kind, keyed_hash
),

{# Several people at once are no one person, and are of a company if they all are. #}
companies_of_people as (
    select
        links.activity_id,
        case
            when count(contacts.account_id) = count(*) and count(distinct contacts.account_id) = 1
                then min(contacts.account_id)
        end as account_id
    from links
    inner join last_links
        on
            links.activity_id = last_links.activity_id
            and links.record_type = last_links.record_type
            and links.known_at = last_links.known_at
    left join contacts on links.record_id = contacts.contact_id
    where links.record_type = 'contact'
    group by links.activity_id
),

found as (
    select
        activities.activity_id,
        activities.contact_id is null and coalesce(people.n_records, 0) = 0 as is_unnamed,
        case
            when activities.contact_id is not null and coalesce(people.n_records, 0) <= 1
                then coalesce(activities.contact_id, people.record_id)
            when people.n_records = 1 then people.record_id
        end as named_contact_id,
        coalesce(
            activities.account_id,
            case when companies.n_records = 1 then companies.record_id end
        ) as named_account_id,
        companies_of_people.account_id as account_of_people_id,
        by_email.contact_id as email_contact_id,
        by_email.account_id as email_account_id,
        by_phone.contact_id as phone_contact_id,
        by_phone.account_id as phone_account_id
    from activities
    left join linked as people
        on activities.activity_id = people.activity_id and people.record_type = 'contact'
    left join linked as companies
        on activities.activity_id = companies.activity_id and companies.record_type = 'account'
    left join companies_of_people on activities.activity_id = companies_of_people.activity_id
    left join known_addresses as by_email
        on by_email.kind = 'email' and activities.email_hash = by_email.keyed_hash
    left join known_addresses as by_phone
        on by_phone.kind = 'phone' and activities.phone_hash = by_phone.keyed_hash
),

matched as (
    select
        activity_id,
        named_account_id,
        account_of_people_id,
        case
            when not is_unnamed then named_contact_id
            else coalesce(email_contact_id, phone_contact_id)
        end as contact_id,
        case
            when not is_unnamed then 'id'
            when email_contact_id is not null then 'email'
            when phone_contact_id is not null then 'phone'
            when named_account_id is not null then 'id'
            when email_account_id is not null then 'email'
            when phone_account_id is not null then 'phone'
        end as matched_by,
        case when is_unnamed then coalesce(email_account_id, phone_account_id) end
            as found_account_id
    from found
)

select
    matched.activity_id,
    matched.contact_id,
    {# A company by the name that another system's log gives it is the contact's own. #}
    coalesce(
        case
            when
                matched.contact_id is null
                or {{ system_of('matched.named_account_id') }}
                = {{ system_of('matched.contact_id') }}
                then matched.named_account_id
        end,
        contacts.account_id,
        matched.named_account_id,
        matched.account_of_people_id,
        matched.found_account_id
    ) as account_id,
    matched.named_account_id,
    matched.matched_by
from matched
left join contacts on matched.contact_id = contacts.contact_id
