with

run as (
    select as_of_at from {{ ref('stg_run') }}
),

sellers as (
    select distinct
        sellers.seller_id,
        sellers.name,
        sellers.email_hash,
        sellers.team,
        sellers.manager,
        sellers.is_active,
        sellers.valid_from,
        sellers.valid_to,
        sellers.known_at
    from {{ source('raw', 'sellers') }} as sellers
    inner join run on sellers.known_at <= run.as_of_at
)

select * from sellers
