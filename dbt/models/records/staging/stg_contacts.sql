with

run as (
    select as_of_at from {{ ref('stg_run') }}
),

sightings as (
    select
        load_id,
        known_at,
        made_number
    from {{ source('raw', 'sightings') }}
),

contacts as (
    select
        contacts.contact_id,
        contacts.account_id,
        contacts.email_hash,
        contacts.phone_hash,
        coalesce(sightings.known_at, contacts.known_at) as known_at,
        coalesce(sightings.made_number, 0) as made_number,
        contacts.record_number,
        contacts.stated_columns
    from {{ source('raw', 'contacts') }} as contacts
    left join sightings on contacts.load_id = sightings.load_id
    inner join run on coalesce(sightings.known_at, contacts.known_at) <= run.as_of_at
)

select * from contacts
