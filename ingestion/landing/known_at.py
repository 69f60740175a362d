"""When an export knew what it says: by its mapping, its name or a file beside it.

Belongs here: finding the declared day. Does not belong here: fixing it (`deciding`).
"""

import re
from datetime import date, datetime
from pathlib import Path

from ingestion.company import Company
from ingestion.errors import FileRejected
from ingestion.landing.receipts import Receipt
from ingestion.mappings.loading import FileKind
from ingestion.reasons import Rejection


def declared_known_at(file_kind: FileKind, receipt: Receipt, company: Company) -> datetime | None:
    """The end of the declared day, as naive UTC; None if nothing says.

    Raises FileRejected for a date that is none.
    """
    known_at = file_kind.mapping.known_at
    if known_at.constant:
        return company.end_of(known_at.constant, known_at.zone)
    for seen in receipt.names:
        if day := known_by_name(file_kind, seen.name, company):
            return day
    if receipt.sidecar:
        return company.end_of(_day(receipt.sidecar), known_at.zone)
    return None


def known_by_name(file_kind: FileKind, name: str, company: Company) -> datetime | None:
    """The end of the day that a name declares, as naive UTC; None if it declares none.

    Raises FileRejected for a date that is none.
    """
    known_at = file_kind.mapping.known_at
    match = None if known_at.constant else day_in(known_at.file_name, name)
    return company.end_of(_day(match.group(1)), known_at.zone) if match else None


def day_in(pattern: str | None, name: str) -> re.Match[str] | None:
    """Where a name tells its day: the file's own before the archive or folder it came in.

    Of several days the latest: 2026-01-01_2026-09-30 is a report of a period, made at its end.
    """
    for part in reversed(Path(name).parts):
        if found := list(re.finditer(pattern, part)) if pattern else []:
            return max(found, key=lambda match: re.sub(r"\D", "", match.group(1)))
    return None


def _day(text: str) -> date:
    digits = re.sub(r"\D", "", text)[:8]
    try:
        day = date.fromisoformat(digits)
        if not 1990 <= day.year <= 2100:
            raise ValueError(day)
        return day
    except ValueError as error:
        raise FileRejected(
            Rejection.KNOWN_AT_UNREADABLE,
            "has a date in its name or beside it that is none",
        ) from error
