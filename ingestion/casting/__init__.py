"""Casting: rows of text into rows of one input table, or into rejects with a reason.

`plan` is the door: one statement a table. A file for each task below it.
Does not belong here: opening files, deciding where results go.
"""
