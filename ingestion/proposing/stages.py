"""What a table of deals needs beside its columns: stages, their order and kind, its history.

Belongs here: labels of stages, rows that repeat a deal.
Does not belong here: which header is the stage (`columns`).
"""

import re
from typing import Any, NamedTuple

import duckdb

from ingestion.proposing.findings import ColumnProposal, Finding
from ingestion.proposing.numbers_and_dates import Numbers
from ingestion.proposing.profiles import MAX_LABELS, SPACES_CHARS, Profile
from ingestion.proposing.vocabulary import Vocabulary, plain_words
from ingestion.readers.source import Sheet
from ingestion.shown import is_personal
from ingestion.sql import literal

# What labels say by themselves; any other that only holds such a word is asked about.
KINDS = {
    "won": ("won", "win", "closed won", "deal won", "vunnen", "vunnet", "vann", "avtal", "gewonnen",
            "gagnée", "gagné", "ganado", "fechado ganho", "avslutad - order 100%"),
    "lost": ("lost", "loss", "closed lost", "deal lost", "förlorad", "förlorat", "avslag", "avböjd",
             "verloren", "perdue", "perdu", "perdido", "fechado perdido",
             "avslutad - ingen order 0%"),
}  # fmt: skip
LIKE_KINDS = r"\b(won|win|vunn\w*|order|avtal\w*|signed|lost|loss|förlor\w*|avslag|avb\w+|closed)\b"


class Labels(NamedTuple):
    """The stages' labels, and whether the file says their order."""

    labels: list[str]
    is_ordered: bool


def find_labels(
    columns: list[ColumnProposal],
    connection: duckdb.DuckDBPyConnection,
    sheet: Sheet,
    numbers: Numbers,
) -> Labels:
    """The stages' labels, by the CRM's own probability if the file has one, else as they come.

    Of a log of moves those that deals moved to.
    """
    places = {
        c.column: f"trim(c{sheet.headers.index(c.cell['from'][0])}, '{SPACES_CHARS}')"
        for c in columns
        if c.column in ("stage_id", "new_value", "probability", "field") and "from" in c.cell
    }
    stage = places.get("stage_id") or places.get("new_value")
    if stage is None:
        return Labels([], False)
    order = "min(record_number)"
    of_stages = "true"
    if "field" in places:
        (field,) = (c for c in columns if c.column == "field")
        names = ", ".join(literal(label) for label, of in field.values.items() if of == "stage_id")
        of_stages = f"{places['field']} in ({names or 'null'})"
    if "probability" in places:
        digits = f"rtrim(replace({places['probability']}, '{numbers[0]}', '.'), ' %')"
        order = f"avg(try_cast({digits} as double)), {order}"
    rows = connection.execute(
        f"select {stage} as label from source "
        f"where nullif({stage}, '') is not null and {of_stages} "
        f"group by label order by {order} limit {MAX_LABELS}"
    ).fetchall()
    labels = [label for (label,) in rows if not is_personal(label)]
    return Labels(labels, "probability" in places)


def find_stages(labels: Labels, columns: list[ColumnProposal]) -> Finding[list[dict[str, Any]]]:
    """The stages in order, each with its kind; what labels leave open is asked."""
    names = {c.column for c in columns}
    if not {"stage_id", "new_value"} & names:
        ends = [_stage("Won", 1, "won"), _stage("Lost", 2, "lost")] if "status" in names else []
        told = "outcomes are told" if ends else "nothing is told"
        question = f"No column tells the stage: {told}, moves between stages are not. Is there one?"
        return Finding(ends, (question,))
    kinds = {label: stage_kind(label) for label in labels.labels}
    ordered = sorted(labels.labels, key=lambda label: kinds[label] != "open")
    stages = [_stage(label, n, kinds[label]) for n, label in enumerate(ordered, start=1)]
    if "status" in names:
        for kind in sorted({"won", "lost"} - set(kinds.values()), reverse=True):
            stages.append(_stage(kind.capitalize(), len(stages) + 1, kind))
    missing = [kind for kind in ("won", "lost") if kind not in {s["kind"] for s in stages}]
    unclear = [t for t in labels.labels if kinds[t] == "open" and re.search(LIKE_KINDS, t, re.I)]
    questions = [f"Does {t!r} mean that a deal is open, won or lost?" for t in unclear]
    unsure = f" None of them says that a deal is {' or '.join(missing)}." if missing else ""
    order = (
        "They stand in the order of the file's probabilities."
        if labels.is_ordered
        else "The file does not say their order; they stand as they come in it."
    )
    questions.append(
        f"Are the stages in the order of your process, and each of its kind? {order}{unsure}"
    )
    questions.append(
        "Do deals always start in the same stage? If so, write `is_start: true` on it; else the "
        "stages of a deal count from where the file first shows it."
    )
    if "pipeline_id" in names:
        questions.append(
            "The stages are listed under one pipeline; list those of each pipeline under its name."
        )
    return Finding(stages, tuple(questions))


def stage_kind(label: str) -> str:
    """What a label says by itself: won, lost, or else open."""
    return next((k for k, labels in KINDS.items() if label.casefold() in labels), "open")


def _stage(label: str, position: int, kind: str) -> dict[str, Any]:
    return {"pipeline_id": "default", "stage_id": label, "position": position, "kind": kind}


def find_history(
    identity: ColumnProposal,
    profiles: list[Profile],
    words: Vocabulary,
    connection: duckdb.DuckDBPyConnection,
    sheet: Sheet,
) -> Finding[tuple[str, str] | None]:
    """Rows that repeat a deal are steps of it or days of the list; the column's name says which."""
    header = identity.cell["from"][0]
    plain = {plain_words(p.header): p.header for p in profiles}
    for history, known in (
        ("snapshots", words["snapshots"]["known_at"]),
        ("steps", words["deal_changes"]["occurred_at"]),
    ):
        found = [dated_by for word, dated_by in plain.items() if word in known]
        if len(found) == 1:
            return _unless_repeated((history, found[0]), header, connection, sheet)
    question = (
        f"{header!r} repeats. If a row is a deal on a day, add known_at: "
        "{column: ...} with that day; if it is a stage entered, see `sheet/long` in the shipped "
        "sheet mapping."
    )
    return Finding(None, (question,))


def _unless_repeated(
    history: tuple[str, str], identity: str, connection: duckdb.DuckDBPyConnection, sheet: Sheet
) -> Finding[tuple[str, str] | None]:
    """Rows that share deal and day are no steps of it; they may be lines of an order."""
    pair = ", ".join(f"c{sheet.headers.index(h)}" for h in (identity, history[1]))
    row = connection.execute(f"select count(*) - count(distinct ({pair})) from source").fetchone()
    if not row or not row[0]:
        return Finding(history)
    question = (
        f"{row[0]} rows share {identity!r} and {history[1]!r} with another, as lines "
        "of an order do. A row must be a deal, or one step or day of it; export it so."
    )
    return Finding(None, (question,))
