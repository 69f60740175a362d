"""Engines that the dbt models run on, side by side: each registers, has a profile, hands over.

`register` makes `raw.*` over the inputs of a build, `profile` is what dbt connects with, and
`hand_over` writes built tables as Parquet; DuckDB, which publishes, also writes the statements that
make the views.
Does not belong here: which tables are published, what dbt does.
"""
