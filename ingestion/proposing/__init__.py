"""Proposing: what an unknown file looks like, and the mapping that suggests.

`proposal` is the door. Finders return what they found, with evidence, and the questions that only a
person can answer; `proposal` puts them together, `writing` makes the text of a mapping file.
Does not belong here: landing anything. What is proposed takes effect once it is written.

Only what leaves no doubt is decided: a header that a shipped mapping knows by that very name, over
cells that fit the column. Likeness, two candidates, or an order of day and month that the cells do
not settle become questions. No cell is shown but the labels of stages and the like.
"""
