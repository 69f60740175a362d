"""Dagster's window on the run: assets, checks, triggers.

Belongs here: what depends on what, and when it runs; every asset hands over to a plain function.
Does not belong here: work of its own.
"""
