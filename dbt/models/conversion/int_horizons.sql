select horizon_days from {{ source('raw', 'horizons') }}
