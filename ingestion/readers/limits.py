"""What a file may hold, and what a parser's failure means for it.

Belongs here: maxima, the guards that turn a failure into a rejection, the check of packed sizes.
Does not belong here: reading a format.
"""

import csv
import gzip
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import duckdb

from ingestion.errors import FileRejected
from ingestion.reasons import Rejection

MAX_COLUMNS = 2_000

# A cell of a workbook holds 32,767 characters, a note in a CRM twice that.
MAX_FIELD_BYTES = 1_000_000
MAX_INFLATED_BYTES = 4_000_000_000

# The simulated exports pack 4 to 10 times; nothing but zeros about 1,000 times.
MAX_RATIO = 100
MAX_MEMBERS = 1_000
csv.field_size_limit(MAX_FIELD_BYTES)


@contextmanager
def reject_on_failure() -> Iterator[None]:
    """A parser's own failure on a hostile file rejects that file and stops no other.

    Rust parsers panic with a class that is no Exception.
    """
    try:
        yield
    except (FileRejected, KeyboardInterrupt, SystemExit, MemoryError, duckdb.OutOfMemoryException):
        raise
    except BaseException as error:
        raise FileRejected(
            Rejection.UNREADABLE, f"cannot be read ({type(error).__name__})"
        ) from error


@contextmanager
def reject_if_damaged() -> Iterator[None]:
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise FileRejected(Rejection.TRUNCATED, "is a gzip file cut short or damaged") from error


def check_inflation(entries: Iterable[zipfile.ZipInfo]) -> None:
    size = packed = 0
    for entry in entries:
        size, packed = size + entry.file_size, packed + entry.compress_size
    if size > MAX_INFLATED_BYTES or (size > packed * MAX_RATIO and size > 1 << 26):
        raise FileRejected(Rejection.TOO_LARGE, "unpacks to far more than an export can hold")


@contextmanager
def reject_broken_workbook(*errors: type[Exception]) -> Iterator[None]:
    """Such an error on opening a workbook rejects the file."""
    try:
        yield
    except errors as error:
        raise FileRejected(Rejection.BROKEN_WORKBOOK, "cannot be opened as a workbook") from error
