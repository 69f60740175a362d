"""Which table the rows are, and which of its columns each header is.

Belongs here: matching headers with known words and cells with declared types.
Does not belong here: stages, currency and history, which columns alone do not tell (`stages`); what
is asked of columns and headers beyond that (`doubts`).
"""

import difflib
import re
from collections import ChainMap
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from ingestion.casting.types import FALSE, TRUE
from ingestion.proposing.doubts import doubt_of, left_out, names_taken, said
from ingestion.proposing.findings import ColumnProposal, Finding
from ingestion.proposing.numbers_and_dates import NUMBERS, Dates, Numbers
from ingestion.proposing.profiles import FITS, Profile, hidden_data, is_record, profile_of
from ingestion.proposing.stages import stage_kind
from ingestion.proposing.vocabulary import Vocabulary, known_word, plain_words, unit_of
from ingestion.tables import TABLES, CellType, Column

LIKE = 0.84  # how like a known header must be for a question

TYPES = {
    "call": r"\b(calls?|samtal|telefonsamtal|ring|phone|telephone|telefon|cellular)\b",
    "meeting": r"\b(meetings?|\w*möte|\w*möten|demo|visit|besök|kundbesök|lunch)\b",
    "email": r"\b(e-?mails?|e-?post|mejl|newsletter|nyhetsbrev)\b",
    "message": r"\b(sms|messages?|chat|linkedin|meddelande|whatsapp)\b",
    "task": r"\b(tasks?|uppgift|to.?do)\b",
    "note": r"\b(notes?|anteckning|notering)\b",
}

# Columns that hardly any other table has.
TELLING = {
    "deals": ("stage_id", "amount", "expected_close_on", "closed_at", "probability"),
    "leads": ("lead_id", "converted_at", "converted_deal_id", "campaign"),
    "activities": ("activity_id", "occurred_at", "duration_s", "direction", "outcome", "type"),
    "contacts": ("contact_id", "email_hash", "phone_hash"),
    "accounts": ("employees", "industry", "parent_account_id"),
    "sellers": ("team", "manager", "is_active"),
    "stages": ("position", "kind", "probability", "label"),
    "deal_changes": ("old_value", "new_value"),
}
CANDIDATES = tuple(TELLING)
# Columns without which a file is no such table.
NEEDED = {"deal_changes": ("deal_id", "new_value", "occurred_at")}
# What a log of moves says by being one.
CONSTANTS = {
    ("deal_changes", "field"): ("stage_id", "a log of moves between stages"),
    ("deal_changes", "fidelity"): ("event_log", "each row a move"),
}
CLOSES = ("expected_close_on", "closed_at")

TYPE_WORDS = {
    CellType.MONEY: "numbers", CellType.FRACTION: "probabilities",
    CellType.INTEGER: "whole numbers", CellType.DATE: "dates", CellType.TIMESTAMP: "dates",
    CellType.BOOLEAN: "yes or no", CellType.CURRENCY: "currency codes",
}  # fmt: skip


class File(NamedTuple):
    """What is known of the file when its columns are chosen."""

    profiles: list[Profile]
    words: Vocabulary
    numbers: Numbers
    dates: Dates


class Columns(NamedTuple):
    """The columns found, and those of the file that are none of them."""

    columns: list[ColumnProposal]
    unused: list[Profile]


def find_table(profiles: list[Profile], words: Vocabulary) -> Finding[tuple[str, str]]:
    """The table most of whose telling columns the file has, and what speaks for it."""
    headers = [p.header for p in profiles]
    scores: dict[str, tuple[int, list[str]]] = {}
    for name in CANDIDATES:
        own = [
            c
            for c, known in words[name].items()
            if any(known_word(h, known, name) for h in headers)
        ]
        telling = sum(2 for c in own if c in TELLING[name])
        has_needed = set(NEEDED.get(name, ())) <= set(own)
        scores[name] = (len(own) + telling, own) if has_needed else (0, own)
    table = max(scores, key=lambda name: scores[name][0])
    own = scores[table][1]
    evidence = f"has {len(own)} of its columns: {', '.join(own)}"
    close = [n for n, s in scores.items() if n != table and s[0] >= max(scores[table][0], 1)]
    if close or not own:
        question = f"It is not clear what the rows are: {table} is proposed" + (
            f"; {', '.join(close)} would fit as well" if close else ""
        )
        return Finding((table, evidence), (f"{question}. Change the table if it is wrong.",))
    return Finding((table, evidence))


def find_columns(table: str, file: File) -> Finding[Columns]:
    """The columns of `table` that leave no doubt; the others are asked about."""
    every_word = ChainMap(*file.words[table].values())
    known = {p.header for p in file.profiles if known_word(p.header, every_word, table)}
    used: set[str] = set()
    asked: set[str] = set()
    columns: list[ColumnProposal] = []
    questions: list[str] = []
    for column in TABLES[table].columns:
        words = file.words[table][column.name]
        unused = [p for p in file.profiles if p.header not in used]
        named = [p for p in unused if known_word(p.header, words, table)]
        if (table, column.name) == ("deals", "stage_id"):
            named = _without_status(named, file.words[table]["status"])
        fitting = [p for p in named if _fit(column, p, file) >= FITS]
        if len(fitting) > 1 and column.cell_type is CellType.ID and column.required:
            # By how well the header says it: `Deal ID` before `Nr`.
            order = list(words)
            fitting.sort(key=lambda p: order.index(known_word(p.header, words, table) or ""))
            others = ", ".join(p.shown for p in fitting[1:])
            questions.append(f"{fitting[0].shown} is taken for {column.name}. Or is it {others}?")
            fitting = fitting[:1]
        if len(fitting) == 1 and (doubt := doubt_of(column, fitting[0])):
            questions.append(doubt)
            asked.add(fitting[0].header)
        elif len(fitting) == 1:
            (profile,) = fitting
            used.add(profile.header)
            evidence = words[known_word(profile.header, words, table) or ""]
            columns.append(_column(column, profile, evidence, file))
        elif constant := CONSTANTS.get((table, column.name)):
            columns.append(ColumnProposal(column.name, {"constant": constant[0]}, constant[1]))
        else:
            strange = [p for p in unused if p.header not in known]
            question, of = _question(table, column, strange, named, fitting, words)
            asked |= of
            questions += question
    if len(used) <= 1 and is_record(file.profiles):
        used, columns, questions = set(), [], []
    closing = _shared_close(columns, file)
    unused = [p for p in file.profiles if p.header not in used]
    left = [p for p in unused if p.header not in asked]
    questions += [*closing.questions, *names_taken(columns, file.profiles)]
    questions += left_out(table, closing.value, left, file.dates, file.numbers) if used else ()
    if not used:
        unused = hidden_data(unused)
        questions.append(
            "No header is known. Is the first row one? If not, add one; if so, name the columns."
        )
    return Finding(Columns(closing.value, unused), tuple(questions))


def _shared_close(columns: list[ColumnProposal], file: File) -> Finding[list[ColumnProposal]]:
    """One header of close dates is when closed deals closed and when open ones are expected to.

    Which of the two a record says is decided by its stage or status, once it has landed.
    """
    taken = {c.column: c for c in columns}
    found = [name for name in CLOSES if name in taken]
    if len(found) != 1 or not {"stage_id", "status"} & set(taken):
        return Finding(columns)
    profile = profile_of(file.profiles, taken[found[0]])
    (other,) = set(CLOSES) - set(found)
    if known_word(profile.header, file.words["deals"][other], "deals") is None:
        return Finding(columns)
    evidence = "the same column: of closed deals when they closed, of open ones what is expected"
    shared = replace(taken[found[0]], column=other, evidence=evidence)
    question = (
        f"{profile.shown} is taken for when a won or lost deal closed and for when an open one is "
        "expected to close. Is it both?"
    )
    return Finding([*columns, shared], (question,))


def _question(
    table: str,
    column: Column,
    strange: list[Profile],
    named: list[Profile],
    fitting: list[Profile],
    words: Mapping[str, str],
) -> tuple[list[str], set[str]]:
    """What only a person can decide of a column, and of which headers that is asked.

    Two candidates, unfit cells, a like header among those that no column is known by.
    """
    what = said(column)
    if len(fitting) > 1:
        listed = ", ".join(p.shown for p in fitting)
        return [f"Which column is {what}: {listed}?"], {p.header for p in fitting}
    if named:
        question = (
            f"{named[0].shown} is called like {what}, but some of its cells are not "
            f"{TYPE_WORDS.get(column.cell_type, 'such')}. Is it another thing, or written "
            "otherwise?"
        )
        return [question], {named[0].header}
    plain = {plain_words(p.header): p for p in strange}
    for word in (column.name.replace("_", " "), *words):
        if like := difflib.get_close_matches(word, plain, n=1, cutoff=LIKE):
            profile = plain[like[0]]
            return [f"Is {profile.shown} {what}?"], {profile.header}
    if column.required and table != "deal_changes":
        rows = (
            " If the rows have none, write {row_number: true}." if column.name == "deal_id" else ""
        )
        return [f"No column is {what}, and there must be one. Which is it?{rows}"], set()
    return [], set()


def _fit(column: Column, profile: Profile, file: File) -> float:
    """The share of a column's cells that are of the kind asked for; 1 if it is empty."""
    if not profile.texts:
        return 1.0 if not column.required else 0.0
    if column.cell_type in (CellType.DATE, CellType.TIMESTAMP):
        return 1.0 if profile.header in file.dates else 0.0
    if column.cell_type in (CellType.MONEY, CellType.INTEGER, CellType.FRACTION, CellType.RATE):
        return profile.share(NUMBERS[file.numbers].fullmatch)
    if column.cell_type is CellType.BOOLEAN:
        return profile.share(lambda text: text.lower() in TRUE + FALSE)
    if column.cell_type is CellType.CURRENCY:
        return profile.share(lambda text: bool(re.fullmatch("[A-Za-z]{3}", text)))
    if column.cell_type is CellType.EMAIL_HASH:
        return profile.share(lambda text: "@" in text)
    if column.cell_type is CellType.PHONE_HASH:
        return profile.share(lambda text: bool(re.fullmatch(r"[+\d() /.-]{6,}", text)))
    if column.choices or column.name in ("stage_id", "pipeline_id"):
        return 1.0 if profile.holds_labels else 0.0
    return 1.0


def _without_status(named: list[Profile], words: Mapping[str, str]) -> list[Profile]:
    """Candidates for the stage: no `Status` beside another, nor one that tells outcomes alone."""
    stages = [p for p in named if not known_word(p.header, words, "deals")]
    told = [p for p in named if not all(_status(text) for text in p.texts)]
    return stages or told


def _column(column: Column, profile: Profile, who: str, file: File) -> ColumnProposal:
    cell: dict[str, Any] = {"from": [profile.header]}
    evidence = f"{who}; {profile.filled:.0%} filled, {len(profile.texts):,} different"
    values: dict[str, str | None] = {}
    if column.cell_type is CellType.FRACTION and _is_percent(profile, file.numbers):
        cell["unit"] = "percent"
    if column.cell_type is CellType.MONEY and (unit := unit_of(profile.header)):
        cell["unit"] = unit
    if column.name == "status":
        values = {t: _status(t) for t in profile.texts if _status(t) != t.lower()}
    elif column.name == "field":
        values = _fields(profile, file.words["deals"])
    elif column.choices:
        values = _choices(column, profile)
    elif column.cell_type is CellType.CURRENCY and profile.filled < 1:
        cell["default"] = "company_currency"
    return ColumnProposal(column.name, cell, evidence, values)


def _is_percent(profile: Profile, numbers: Numbers) -> bool:
    plain = (t.rstrip("% ").replace(numbers[0], ".") for t in profile.texts)
    return any(float(t) > 1 for t in plain if re.fullmatch(r"\d+(\.\d+)?", t))


def _status(label: str) -> str | None:
    if label.casefold() in ("open", "öppen", "pågående", "in progress", "offen", "en cours"):
        return "open"
    kind = stage_kind(label)
    return kind if kind != "open" else None


def _fields(profile: Profile, words: Mapping[str, Mapping[str, str]]) -> dict[str, str | None]:
    """The columns of `deals` that a log of changes names; others keep the CRM's name."""
    known = {
        label: next((c for c, known in words.items() if known_word(label, known, "deals")), None)
        for label in profile.texts
        if profile.holds_labels
    }
    return {label: column for label, column in known.items() if column and column != label}


def _choices(column: Column, profile: Profile) -> dict[str, str | None]:
    values: dict[str, str | None] = {}
    for label in profile.texts:
        if label.lower() not in column.choices:
            found = [c for c, form in TYPES.items() if re.search(form, label, re.I)]
            values[label] = found[0] if column.name == "type" and len(found) == 1 else None
    return values
