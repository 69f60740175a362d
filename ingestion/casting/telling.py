"""Which of several mappings for the same headers a file's dates were written for.

Belongs here: asking a mapping whether it can read every date of a file.
Does not belong here: matching headers and names (`recognition`), landing what is read.
"""

from datetime import datetime
from pathlib import Path

from ingestion.casting.context import Context, casting_database
from ingestion.casting.plan import cast_table
from ingestion.mappings.loading import FileKind
from ingestion.readers import reading
from ingestion.reasons import Quarantine
from ingestion.sql import literal

LATE = datetime.fromisoformat("2100-01-01")
NO_DATES = (Quarantine.NOT_A_DATE, Quarantine.DATE_OUT_OF_RANGE)


def reads_every_date(path: Path, sheet: str | None, file_kind: FileKind, scratch: Path) -> bool:
    """Whether no cell that the mapping takes for a date is none. Raises FileRejected."""
    mapping, name = file_kind.mapping, file_kind.label.replace("/", "-")
    with casting_database(scratch, f"{path.name}-{name}") as connection:
        source = reading.read(
            path, reading.format_of(path), mapping.dialect, sheet, connection, scratch
        )
        context = Context(file_kind, source, LATE, bytes(32), connection)
        is_none = " or ".join(f"ends_with(reason, {literal(f': {rule}')})" for rule in NO_DATES)
        for table in (cast_table(context, name, m).name for name, m in mapping.tables.items()):
            found = connection.execute(
                f"select 1 from typed.{table} "
                f"where len(list_filter(reasons, lambda reason: {is_none})) > 0 limit 1"
            ).fetchall()
            if found:
                return False
    return True
