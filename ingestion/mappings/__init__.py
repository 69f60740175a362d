"""Mappings: which column of which file becomes which column of which input table.

A mapping decides only what one row of one file decides.
Does not belong here: reading cells, anything that needs a second row, another file or time.
"""
