"""What a cast knows and gives.

Belongs here: the context of a file, the database it is cast in, one column as SQL, what the typed
pass made of a table; the words and forms that several casts share.
Does not belong here: building statements (`plan`).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path

import duckdb

from ingestion.casting.macros import create_macros
from ingestion.mappings.forms import Cell, Dialect
from ingestion.mappings.headers import place_of
from ingestion.mappings.loading import FileKind
from ingestion.readers.source import Sheet
from ingestion.sql import literal

# Spaces that people and spreadsheets put around words and inside numbers.
SPACES = "\\s\u00a0\u202f"

# What DuckDB may hold in memory; beyond it spills to disk, so that memory is flat in file size.
DUCKDB_MEMORY = "160MB"


@cache
def _database() -> duckdb.DuckDBPyConnection:
    """The one of this process: one opened for each file took a fifth of a small file's time."""
    database = duckdb.connect()
    database.execute(f"set memory_limit = '{DUCKDB_MEMORY}'")
    # Scratch; what lands is written to the disk by `loads`.
    database.execute("set fsync_mode = 'NONE'")
    database.execute("set autoinstall_known_extensions = false")
    # It makes a hash join of each list of words: 25 of them held 230 MB.
    database.execute("set disabled_optimizers = 'in_clause'")
    create_macros(database)
    return database


@contextmanager
def casting_database(scratch: Path, name: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to cast one file in; its typed tables lie in `scratch`.

    What it makes is of the catalogues `file` and `typed`, and gone with them: no file sees what is
    of another. One file at a time.
    """
    spill = scratch / f"{name}-spill"
    with _database().cursor() as connection:
        try:
            connection.execute("attach ':memory:' as file")
            connection.execute("set search_path = 'file,memory'")
            # On disk: a table being written in memory cannot be put aside when that is full.
            connection.execute(f"attach {literal(str(scratch / f'{name}.duckdb'))} as typed")
            connection.execute("set timezone = 'UTC'")
            connection.execute(f"set temp_directory = {literal(str(spill))}")
            yield connection
            connection.execute("use memory")
            connection.execute("detach typed")
            connection.execute("detach file")
        except BaseException:
            _database.cache_clear()
            raise
    if spill.exists():
        # Once used, it cannot be told of another.
        _database.cache_clear()


@dataclass(frozen=True)
class Context:
    """What a cast needs to know beyond its own column."""

    file_kind: FileKind
    sheet: Sheet
    known_at: datetime
    key: bytes
    connection: duckdb.DuckDBPyConnection
    sha256: str = ""

    def holds_numbers(self, cell: Cell) -> bool:
        """Whether a cell comes from columns in which the file itself holds numbers, not text."""
        places = [place_of(header, self.sheet.headers) for header in cell.plain_headers]
        known = [i for i in places if i is not None]
        return bool(known) and all(i in self.sheet.numbers for i in known)

    def is_fraction(self, cell: Cell) -> bool:
        """Whether a cell comes from a workbook's column of fractions shown in per cent."""
        places = (place_of(header, self.sheet.headers) for header in cell.plain_headers)
        return any(i in self.sheet.fractions for i in places)

    @property
    def dialect(self) -> Dialect:
        return self.file_kind.mapping.dialect

    @property
    def zone(self) -> str:
        zone = self.dialect.zone
        return self.file_kind.company.zone if zone == "company" else zone


@dataclass(frozen=True)
class TypedTable:
    """What the typed pass made of one input table.

    The rows lie in the DuckDB table `typed_<name>`: record_number, the declared columns, known_at,
    `reasons` and `is_record_broken`, false where only the cell that makes the row is. `absent` are
    mapped headers the file lacks, `stated` the columns it has; `mapped` counts, per column, the
    cells whose text a value map changed, `unified` the ids that were written in another form than
    the one kept; `ambiguous_times` local times that occur twice, `repeated` records whose id and
    moment another record has.
    """

    name: str
    absent: list[str]
    stated: list[str]
    mapped: dict[str, int]
    ambiguous_times: int
    repeated: int
    unified: dict[str, int]


@dataclass(frozen=True)
class Part:
    """The rows of a table mapping: all of the file, or those of one unpivoted header."""

    header: str | None = None
    column: str | None = None
    captured: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Cast:
    """One column as SQL over its text `t_<column>`.

    `parsed` are steps on the way, by alias; `value` may use them; `broken` are (rule, condition)
    over all of them and the value `v_<column>`; `is_ambiguous` is a condition of the same kind.
    """

    value: str
    broken: list[tuple[str, str]] = field(default_factory=list)
    parsed: dict[str, str] = field(default_factory=dict)
    is_ambiguous: str = "false"


def projected(query: str, columns: dict[str, str]) -> str:
    """The query with these columns beside its own: alias to SQL."""
    if not columns:
        return query
    return f"select *, {', '.join(f'{sql} as {k}' for k, sql in columns.items())} from ({query})"
