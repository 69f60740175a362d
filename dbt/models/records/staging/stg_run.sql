select
    as_of,
    as_of_at,
    knowledge_basis,
    zone,
    currency,
    correction_grace_seconds,
    reopen_grace_seconds,
    bulk_deals,
    idle_days,
    dayparts
from {{ source('raw', 'run') }}
