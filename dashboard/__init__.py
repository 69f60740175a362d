"""What people look at, made only from a set about to be published, or published.

Does not belong here: metric definitions of its own.
"""
