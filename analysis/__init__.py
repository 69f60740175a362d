"""Pure statistics: tables and a numpy Generator in, tables out.

Does not belong here: files, clocks, environment, Dagster, SQL.
"""
