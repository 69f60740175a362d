"""Which table the rows are, and which of its columns each header is.

Belongs here: matching headers with known words and cells with declared types.
Does not belong here: stages, currency and history, which columns alone do not tell (`stages`).
"""

import difflib
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from ingestion.casting.types import FALSE, TRUE
from ingestion.proposing.findings import ColumnProposal, Finding
from ingestion.proposing.numbers_and_dates import NUMBERS, Dates, Numbers
from ingestion.proposing.profiles import FITS, MAX_LABELS, Profile
from ingestion.proposing.stages import stage_kind
from ingestion.proposing.vocabulary import Vocabulary, plain_words
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
}

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
    """The columns found, and the headers that are none of them."""

    columns: list[ColumnProposal]
    unused: list[str]


def find_table(profiles: list[Profile], words: Vocabulary) -> Finding[tuple[str, str]]:
    """The table most of whose telling columns the file has, and what speaks for it."""
    plain = {plain_words(p.header) for p in profiles}
    scores: dict[str, tuple[int, list[str]]] = {}
    for name in ("deals", "leads", "activities", "contacts", "accounts", "sellers", "stages"):
        own = [c for c, known in words[name].items() if plain & known.keys()]
        telling = sum(2 for c in own if c in TELLING.get(name, ()))
        scores[name] = (len(own) + telling, own)
    table = max(scores, key=lambda name: scores[name][0])
    own = scores[table][1]
    evidence = f"has {len(own)} of its columns: {', '.join(own)}"
    close = [n for n, s in scores.items() if n != table and s[0] >= scores[table][0]]
    questions = []
    if close or not own:
        questions.append(
            f"It is not clear what the rows are: {table} is proposed; "
            f"{', '.join(close) or 'nothing'} would fit as well. Change the table if it is wrong."
        )
    return Finding((table, evidence), tuple(questions))


def find_columns(table: str, file: File) -> Finding[Columns]:
    """The columns of `table` that leave no doubt; the others are asked about."""
    used: set[str] = set()
    columns: list[ColumnProposal] = []
    questions: list[str] = []
    for column in TABLES[table].columns:
        words = file.words[table][column.name]
        unused = [p for p in file.profiles if p.header not in used]
        named = [p for p in unused if plain_words(p.header) in words]
        fitting = [p for p in named if _fit(column, p, file) >= FITS]
        if len(fitting) > 1 and column.name == "stage_id":
            fitting = [p for p in fitting if plain_words(p.header) != "status"]
        if len(fitting) > 1 and column.cell_type is CellType.ID and column.required:
            # By how well the header says it: `Deal ID` before `Nr`.
            order = list(words)
            fitting.sort(key=lambda p: order.index(plain_words(p.header)))
            others = ", ".join(repr(p.header) for p in fitting[1:])
            questions.append(
                f"{fitting[0].header!r} is taken for {column.name}. Or is it {others}?"
            )
            fitting = fitting[:1]
        if len(fitting) == 1:
            (profile,) = fitting
            used.add(profile.header)
            evidence = words[plain_words(profile.header)]
            columns.append(_column(column, profile, evidence, file.numbers))
            continue
        questions += _questions(table, column, unused, named, fitting, words)
    if not used:
        # A file without a header row would have its first record shown.
        questions.append(
            "No header is known. Is the first row one? If not, add one; if so, name the columns."
        )
    sellers = [c for c in columns if c.column == "seller_id"]
    if sellers and profile_of(file.profiles, sellers[0]).names_people:
        questions.append(
            f"{sellers[0].cell['from'][0]!r} names sellers. That works while no two share a name "
            "and nobody changes theirs; export their ids if you can."
        )
    unused_headers = [p.header for p in file.profiles if p.header not in used] if used else []
    return Finding(Columns(columns, unused_headers), tuple(questions))


def _questions(
    table: str,
    column: Column,
    unused: list[Profile],
    named: list[Profile],
    fitting: list[Profile],
    words: Mapping[str, str],
) -> list[str]:
    """What only a person can decide of a column: two candidates, unfit cells, a like header."""
    what = f"{column.name} ({column.doc.rstrip('.').lower()})"
    if len(fitting) > 1:
        return [f"Which column is {what}: {', '.join(repr(p.header) for p in fitting)}?"]
    if named:
        return [
            f"{named[0].header!r} is called like {what}, but some of its cells are not "
            f"{TYPE_WORDS.get(column.cell_type, 'such')}. Is it another thing, or written "
            "otherwise?"
        ]
    if not column.required and column.name not in TELLING.get(table, ()):
        return []
    plain = {plain_words(p.header): p.header for p in unused}
    for word in (column.name.replace("_", " "), *words):
        if like := difflib.get_close_matches(word, plain, n=1, cutoff=LIKE):
            return [f"Is {plain[like[0]]!r} {what}?"]
    return [f"No column is {what}, and there must be one. Which is it?"] if column.required else []


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
        # Labels are shown; free text, names and numbers of people must not be.
        few = len(profile.texts) <= MAX_LABELS
        plain = all(len(t) <= 40 and not re.search(r"@|\d{5}", t) for t in profile.texts)
        return 1.0 if few and plain else 0.0
    return 1.0


def _column(column: Column, profile: Profile, who: str, numbers: Numbers) -> ColumnProposal:
    cell: dict[str, Any] = {"from": [profile.header]}
    evidence = f"{who}; {profile.filled:.0%} filled, {len(profile.texts):,} different"
    values: dict[str, str | None] = {}
    if column.cell_type is CellType.FRACTION and _is_percent(profile, numbers):
        cell["unit"] = "percent"
    if column.name == "status":
        values = {t: _status(t) for t in profile.texts if _status(t) != t.lower()}
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


def _choices(column: Column, profile: Profile) -> dict[str, str | None]:
    values: dict[str, str | None] = {}
    for label in profile.texts:
        if label.lower() not in column.choices:
            found = [c for c, form in TYPES.items() if re.search(form, label, re.I)]
            values[label] = found[0] if column.name == "type" and len(found) == 1 else None
    return values


def profile_of(profiles: list[Profile], proposed: ColumnProposal) -> Profile:
    """The profile of the header that a column comes from."""
    header = proposed.cell["from"][0]
    return next(p for p in profiles if p.header == header)
