"""The ways a person can be told that something is wrong with what they supplied.

Belongs here: errors whose text is shown as is, in one line, to whoever can act on it.
Does not belong here: where errors are caught.
"""

import errno
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from ingestion.reasons import Rejection
from ingestion.shown import printable


class UserError(Exception):
    """Wrong usage or configuration. The text says what was found and what to change."""


class FileRejected(UserError):
    """A file that cannot be trusted as a whole. The text never holds a value from the file."""

    def __init__(self, reason: Rejection, found: str) -> None:
        found = printable(found)
        super().__init__(f"{found}; {reason.remedy}")
        self.reason = reason
        self.found = found

    def __reduce__(self) -> tuple[Any, ...]:
        return FileRejected, (self.reason, self.found)


def fault_in_words(error: BaseException) -> str:
    """What a fault of the machine or a defect of the program is told as, in one line.

    The text of other errors may hold a cell; of those the kind is told.
    """
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return f"{place}the disk is full; free some space and run again"
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            return f"{place}may not be read or written by this user; mend its rights, run again"
        return f"{place}{error.strerror or type(error).__name__}"
    if "no space left" in str(error).lower():
        return "the disk is full; free some space and run again"
    # A process that the system killed takes its pool with it.
    is_out = isinstance(error, (MemoryError, BrokenProcessPool))
    if is_out or "out of memory" in str(error).lower():
        return "it needs more memory than this machine has; run again on one with more"
    if isinstance(error, UserError) or type(error).__module__.split(".")[0] == "dagster":
        return str(error)
    return f"a defect ({type(error).__name__}); please report it with its trace"


class FileHeld(Exception):
    """A file that may not be whole yet; nothing is kept of it, the next run asks again."""
