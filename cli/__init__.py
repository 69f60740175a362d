"""The command line: arguments, messages, exit codes; a file for each group of commands.

Does not belong here: what a command does.
"""
