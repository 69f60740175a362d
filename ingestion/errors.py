"""The ways a person can be told that something is wrong with what they supplied.

Belongs here: errors whose text is shown as is, in one line, to whoever can act on it.
Does not belong here: defects of the program; those keep their traceback.
"""

from typing import Any

from ingestion.reasons import Rejection


class UserError(Exception):
    """Wrong usage or configuration. The text says what was found and what to change."""


class FileRejected(UserError):
    """A file that cannot be trusted as a whole. The text never holds a value from the file."""

    def __init__(self, reason: Rejection, found: str) -> None:
        super().__init__(f"{found}; {reason.remedy}")
        self.reason = reason
        self.found = found

    def __reduce__(self) -> tuple[Any, ...]:
        return FileRejected, (self.reason, self.found)


class FileHeld(Exception):
    """A file that may not be whole yet; nothing is kept of it, the next run asks again."""
