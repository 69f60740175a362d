"""The gate: what must hold before a set is published, and what was found.

`checks` are results and their three outcomes, `landed_files` what is asked of landing,
`expectations` what is expected of distributions, `great_expectations` the adapter that asks.
Does not belong here: truths (keys, grain, references, identities), which are dbt tests.
"""
