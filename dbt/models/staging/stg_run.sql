select
    as_of,
    as_of_at,
    zone,
    currency
from {{ source('raw', 'run') }}
