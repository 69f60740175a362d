select
    horizons.horizon_days,
    run.as_of
from {{ source('raw', 'horizons') }} as horizons
cross join {{ ref('stg_run') }} as run
