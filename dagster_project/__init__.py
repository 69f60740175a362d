"""The run: assets, checks, lease, publish, schedule, sensor, command line.

Belongs here: what happens in which order, and who may do it.
Does not belong here: arithmetic on metrics, SQL beyond handing tables over.
"""
