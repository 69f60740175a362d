"""An invented company whose true rates we know: demo, oracle and load generator.

Belongs here: how its deals really behave, and the exports its CRM would write.
Does not belong here: anything the pipeline imports; the pipeline never reads the truth file.
"""
