"""Readers: a file of a declared format into rows of text, a file for each format.

`reading` is the door. Every cell stays text; a file that cannot be trusted as a whole is rejected.
Does not belong here: mappings, types, where results go.
"""
