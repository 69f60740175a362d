"""The proposal for a file: what the finders found, put together.

Belongs here: the order of finding, what the table needs to be whole.
Does not belong here: finding, the text of a mapping (`writing`).
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb

from ingestion.errors import FileRejected
from ingestion.mappings.forms import Dialect, SystemMapping
from ingestion.mappings.loading import FileKind
from ingestion.proposing.columns import Columns, File, find_columns, find_table
from ingestion.proposing.dialects import find_dialect
from ingestion.proposing.doubts import looks_like, said
from ingestion.proposing.findings import ColumnProposal, Finding, Proposal
from ingestion.proposing.numbers_and_dates import find_dates, find_numbers, with_own_dates
from ingestion.proposing.profiles import column_profiles, profile_of
from ingestion.proposing.stages import find_history, find_labels, find_stages
from ingestion.proposing.vocabulary import currency_of, vocabulary
from ingestion.readers import archive, reading
from ingestion.readers.source import Sheet
from ingestion.reasons import Rejection
from ingestion.tables import TABLES

OTHER_LIST = (
    "Does another file list the deals? If so, delete the table `deals` here, so that moves of "
    "deals which that list does not know are seen."
)
EVERY_MOVE = (
    "Does the log hold every move of a deal? If it holds only the latest into each stage, write "
    "fidelity: {constant: latest_per_stage}."
)


def propose(
    path: Path,
    name: str,
    file_kinds: Mapping[str, FileKind],
    shipped: list[SystemMapping],
    scratch: Path,
) -> Proposal:
    """Profile a file and propose its mapping. Raises FileRejected for what cannot be read."""
    file_format = reading.format_of(path)
    if file_format == "xlsx" and not archive.is_workbook(path):
        raise FileRejected(Rejection.NESTED_ARCHIVE, "is an archive")
    written = find_dialect(path, file_format, scratch)
    dialect, sheet_name = written.value
    with duckdb.connect() as connection:
        sheet = reading.read(path, file_format, dialect, sheet_name, connection, scratch)
        if not sheet.n_records:
            raise FileRejected(Rejection.NO_RECORDS, "has headers but no records")
        profiles = column_profiles(connection, sheet)
        numbers, dates = find_numbers(profiles), find_dates(profiles)
        file = File(profiles, vocabulary(shipped), numbers.value, dates.value)
        table = find_table(profiles, file.words)
        found = find_columns(table.value[0], file)
        columns = with_own_dates(found.value.columns, dates.value)
        history: Finding[tuple[str, str] | None] = Finding(None)
        stages: Finding[list[dict[str, Any]]] = Finding([])
        if table.value[0] in ("deals", "leads", "deal_changes"):
            labels = find_labels(columns, connection, sheet, numbers.value)
            stages = find_stages(labels, columns)
        if table.value[0] == "deal_changes":
            history = Finding(("moves", ""), (OTHER_LIST, EVERY_MOVE))
        elif table.value[0] in ("deals", "leads"):
            history = _history(table.value[0], columns, file, connection, sheet)
            columns = _with_pipeline(columns)
    known_at = _known_at(name)
    money = _with_currency(columns)
    findings = (written, numbers, dates, table, found, stages, history, money)
    questions = [q for finding in findings for q in finding.questions]
    dated_by = history.value[1] if history.value else None
    return Proposal(
        file_format=file_format,
        recognised=_recognised(sheet.headers, name, dialect, file_kinds),
        table=table.value[0],
        table_evidence=table.value[1],
        dialect={**written.dialect, **numbers.dialect, **dates.dialect},
        known_at=known_at.value,
        columns=money.value,
        stages=stages.value,
        history=history.value,
        questions=[*questions, *_unmapped_values(table.value[0], columns), *known_at.questions],
        unused=[
            f"{p.shown}: {looks_like(p, dates.value, numbers.value)}"
            for p in found.value.unused
            if p.header != dated_by
        ],
        required=_required(table.value[0], found.value),
        missing=_missing(table.value[0], columns),
    )


def _known_at(name: str) -> Finding[str]:
    """The pattern that finds the day of the export in the file's name, if there is one."""
    if re.search(r"(19|20)\d{2}-[01]\d-[0-3]\d", name):
        return Finding(r"(\d{4}-\d{2}-\d{2})")
    if re.search(r"(?<!\d)20\d{2}[01]\d[0-3]\d(?!\d)", name):
        return Finding(r"(\d{8})")
    question = (
        "Nothing in the file's name says when it was exported, so it counts as known from its "
        "arrival. Put the day into the name (2026-03-31) or into a file beside it (known_at)."
    )
    # For the day that is put there: without the pattern it would not be looked for.
    return Finding(r"(\d{4}-\d{2}-\d{2})", (question,))


def _recognised(
    headers: list[str], name: str, dialect: Dialect, file_kinds: Mapping[str, FileKind]
) -> str:
    fits = [
        e
        for e in file_kinds.values()
        if not e.missing_headers(headers) and e.mapping.dialect.separator == dialect.separator
    ]
    best = max(fits, key=lambda e: (e.matches_name(name), len(e.mapping.headers)), default=None)
    return best.label if best else ""


def _history(
    table: str,
    columns: list[ColumnProposal],
    file: File,
    connection: duckdb.DuckDBPyConnection,
    sheet: Sheet,
) -> Finding[tuple[str, str] | None]:
    """How rows that repeat a deal make its history; None where each row is a deal."""
    names = {c.column: c for c in columns}
    identity = names.get(f"{table[:-1]}_id")
    if "stage_id" not in names or identity is None or profile_of(file.profiles, identity).is_key:
        return Finding(None)
    return find_history(identity, file.profiles, file.words, connection, sheet)


def _with_pipeline(columns: list[ColumnProposal]) -> list[ColumnProposal]:
    if "pipeline_id" in {c.column for c in columns}:
        return columns
    evidence = "one pipeline, as no column says"
    return [*columns, ColumnProposal("pipeline_id", {"constant": "default"}, evidence)]


def _with_currency(columns: list[ColumnProposal]) -> Finding[list[ColumnProposal]]:
    names = {c.column: c for c in columns}
    if "amount" not in names:
        return Finding(columns)
    header = names["amount"].cell["from"][0]
    if code := currency_of(header):
        stated = ColumnProposal("currency", {"constant": code}, "the header of the amounts says so")
        others = [c for c in columns if c.column != "currency"]
        question = (
            f"The amounts are taken to be in {code}, as {header!r} says. Are they? Unless that is "
            "`currency` in company.yml, sums need exchange rates (fx_rates)."
        )
        return Finding([*others, stated], (question,))
    if "currency" in names:
        return Finding(columns)
    cell = {"from": ["Currency"], "default": "company_currency"}
    evidence = "no such column: all in the company's currency"
    question = "No column names the currency; amounts are taken to be in the company's own."
    return Finding([*columns, ColumnProposal("currency", cell, evidence)], (question,))


def _unmapped_values(table: str, columns: list[ColumnProposal]) -> list[str]:
    """A question for each column with texts that say by themselves none of its values."""
    questions = []
    for column in columns:
        if None in column.values.values():
            unknown = ", ".join(repr(k) for k, v in column.values.items() if v is None)
            choices = ", ".join(TABLES[table].by_name[column.column].choices)
            questions.append(
                f"What are {unknown} in {column.cell['from'][0]!r}? Map each to one of {choices}."
            )
    return questions


def _required(table: str, found: Columns) -> list[str]:
    """The headers that a file of this kind is recognised by; all of them if none is known."""
    required = {c.name for c in TABLES[table].columns if c.required}
    wanted = required | {"stage_id", "amount", "new_value"}
    telling = [c for c in found.columns if c.column in wanted and "from" in c.cell]
    if not telling:
        return [p.header for p in found.unused if not p.is_hidden]
    return [c.cell["from"][0] for c in telling]


def _missing(table: str, columns: list[ColumnProposal]) -> list[str]:
    """The columns that must be mapped and are not yet, each with what it is."""
    mapped = {c.column for c in columns}
    return [said(c) for c in TABLES[table].columns if c.required and c.name not in mapped]
