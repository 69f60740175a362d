"""From landed files to a published set: the private build, the gate, publishing.

`day` is the door: the steps of a day in their order. It knows nothing of Dagster.
Does not belong here: arithmetic on metrics (dbt, analysis), what a page shows (dashboard).
"""
