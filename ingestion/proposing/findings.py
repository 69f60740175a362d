"""What finders return, and the proposal they are put together into.

Belongs here: the forms of findings. Does not belong here: finding.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from ingestion.mappings.forms import Format

T = TypeVar("T")


@dataclass(frozen=True)
class Finding(Generic[T]):
    """What was found, what only a person can answer about it, and what the dialect must say.

    `dialect` maps a word of the dialect to its value and what speaks for it.
    """

    value: T
    questions: tuple[str, ...] = ()
    dialect: Mapping[str, tuple[Any, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class ColumnProposal:
    """One column of the table: the header it comes from, what speaks for it, values to map."""

    column: str
    cell: Mapping[str, Any]
    evidence: str
    values: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Proposal:
    """A mapping for one file. `recognised` names the one in force that already takes it.

    `history` is how rows that repeat a deal make its history, and the column that dates them:
    `steps` (a row is a stage entered), `snapshots` (a row is a deal on a day), or `moves` (a row is
    a change, which the table says itself). `unused` are headers with what their cells look like,
    `missing` columns that must be mapped and are not.
    """

    file_format: Format
    recognised: str
    table: str
    table_evidence: str
    dialect: Mapping[str, tuple[Any, str]]
    known_at: str
    columns: list[ColumnProposal]
    stages: list[dict[str, Any]]
    history: tuple[str, str] | None
    questions: list[str]
    unused: list[str]
    required: list[str]
    missing: list[str]
