"""The columns of a file: how many cells are filled, and the different texts in them.

Belongs here: counting. Does not belong here: what a column means (`columns`).
"""

import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import duckdb

from ingestion.proposing.findings import ColumnProposal
from ingestion.readers.source import Sheet
from ingestion.shown import is_personal, printable

SAMPLE = 20_000  # records looked at
MAX_LABELS = 40  # a column with more different texts names no stages
FITS = 0.98  # share of the filled cells that must be of the column's kind
SPACES_CHARS = " \t\u00a0\u202f"
PERSON = re.compile(r"[^\W\d_][\w'.-]+( [^\W\d_][\w'.-]+)+")


@dataclass(frozen=True)
class Profile:
    """One column of the file: how many cells are filled, and the different texts in them.

    `number` is its place in the file; `is_hidden` says that its header may be a person's data.
    """

    header: str
    number: int
    is_hidden: bool
    filled: float
    texts: Counter[str]

    @property
    def shown(self) -> str:
        """The header as it may be printed."""
        return f"column {self.number}" if self.is_hidden else f"'{printable(self.header)}'"

    @property
    def is_key(self) -> bool:
        return self.filled == 1 and len(self.texts) == self.texts.total()

    @property
    def names_people(self) -> bool:
        return self.share(lambda text: bool(PERSON.fullmatch(text))) > 0.5

    @property
    def holds_labels(self) -> bool:
        """Few short texts that reach nobody: they may be shown, free text and numbers may not."""
        few = 0 < len(self.texts) <= MAX_LABELS
        return few and all(
            len(text) <= 40 and not is_personal(text) and not re.search(r"\d{5}", text)
            for text in self.texts
        )

    def share(self, holds: Any) -> float:
        total = self.texts.total()
        return sum(n for text, n in self.texts.items() if holds(text)) / total if total else 0.0


def column_profiles(connection: duckdb.DuckDBPyConnection, sheet: Sheet) -> list[Profile]:
    """A profile of every column that has a header, from the first records of `source`."""
    profiles = []
    for i, header in enumerate(sheet.headers):
        rows = connection.execute(
            f"select trim(c{i}, '{SPACES_CHARS}'), count(*) from "
            f"(select c{i} from source order by record_number limit {SAMPLE}) "
            "group by 1 order by 2 desc, 1"
        ).fetchall()
        total = sum(n for _, n in rows)
        texts = Counter({text: n for text, n in rows if text})
        if header:
            profiles.append(
                Profile(
                    header,
                    i + 1,
                    is_personal(header),
                    texts.total() / total if total else 0.0,
                    texts,
                )
            )
    return profiles


def hidden_data(profiles: list[Profile]) -> list[Profile]:
    """The profiles of a file no header of which is known: its first row may be a record.

    If one header is a number or reaches a person, all are hidden; else names above names.
    """
    hides_all = is_record(profiles)
    return [
        replace(p, is_hidden=hides_all or (p.names_people and bool(PERSON.fullmatch(p.header))))
        for p in profiles
    ]


def is_record(profiles: list[Profile]) -> bool:
    """Whether a header is a date, a number or what reaches a person, as in a first record."""
    return any(p.is_hidden or re.fullmatch(r"[\d.,: -]{3,}", p.header) for p in profiles)


def profile_of(profiles: list[Profile], proposed: ColumnProposal) -> Profile:
    """The profile of the header that a column comes from."""
    header = proposed.cell["from"][0]
    return next(p for p in profiles if p.header == header)
