"""The horizons of conversion: part of the definition of every conversion figure.

Belongs here: the days themselves, for dbt (`raw.horizons`) and the estimates alike.
Does not belong here: a run's settings.
"""

HORIZONS = (30, 90, 180, 365)
