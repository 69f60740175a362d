"""Files in, typed immutable Parquet out.

Belongs here: the declaration of every input table, mappings, readers, casts, landing.
Does not belong here: Dagster, dbt, metrics.
"""
