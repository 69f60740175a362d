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

accounts as (
    select
        accounts.account_id,
        accounts.segment,
        accounts.industry,
        accounts.country,
        accounts.employees,
        accounts.parent_account_id,
        coalesce(sightings.known_at, accounts.known_at) as known_at,
        coalesce(sightings.made_number, 0) as made_number,
        accounts.record_number,
        accounts.stated_columns
    from {{ source('raw', 'accounts') }} as accounts
    left join sightings on accounts.load_id = sightings.load_id
    inner join run on coalesce(sightings.known_at, accounts.known_at) <= run.as_of_at
)

select * from accounts
