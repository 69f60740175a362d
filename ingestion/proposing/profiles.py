"""The columns of a file: how many cells are filled, and the different texts in them.

Belongs here: counting. Does not belong here: what a column means (`columns`).
"""

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

import duckdb

from ingestion.readers.source import Sheet

SAMPLE = 20_000  # records looked at
MAX_LABELS = 40  # a column with more different texts names no stages
FITS = 0.98  # share of the filled cells that must be of the column's kind
SPACES_CHARS = " \t\u00a0\u202f"
PERSON = re.compile(r"[^\W\d_][\w'.-]+( [^\W\d_][\w'.-]+)+")


@dataclass(frozen=True)
class Profile:
    """One column of the file: how many cells are filled, and the different texts in them."""

    header: str
    filled: float
    texts: Counter[str]

    @property
    def is_key(self) -> bool:
        return self.filled == 1 and len(self.texts) == self.texts.total()

    @property
    def names_people(self) -> bool:
        return self.share(lambda text: bool(PERSON.fullmatch(text))) > 0.5

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
            profiles.append(Profile(header, texts.total() / total if total else 0.0, texts))
    return profiles
