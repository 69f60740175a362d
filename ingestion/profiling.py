"""What an unknown file looks like, and the mapping that suggests.

Belongs here: finding out dialect, table and columns, with the evidence for each; the questions that
only a person can answer; the proposal as the text of a mapping file.
Does not belong here: landing anything. What is proposed takes effect once it is written.

Only what leaves no doubt is decided: a header that a shipped mapping knows by that very name, over
cells that fit the column. Likeness, two candidates, or an order of day and month that the cells do
not settle become questions. No cell is shown but the labels of stages and the like.
"""

import csv
import difflib
import itertools
import json
import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from ingestion import readers
from ingestion.casting import FALSE, ISO_DAY, ISO_OFFSET, ISO_TIME, SPACES, TRUE
from ingestion.errors import FileRejected
from ingestion.mappings import Dialect, Entry, Format, SystemMapping
from ingestion.readers import Sheet
from ingestion.settings import read_yaml
from ingestion.tables import TABLES, Column, Kind

SAMPLE = 20_000  # records looked at
MAX_LABELS = 40  # a column with more different texts names no stages
FITS = 0.98  # share of the filled cells that must be of the column's kind
LIKE = 0.84  # how like a known header must be for a question

# What labels say by themselves; any other that only holds such a word is asked about.
KINDS = {
    "won": ("won", "closed won", "deal won", "vunnen", "vunnet", "vann", "avtal", "gewonnen",
            "gagnée", "gagné", "ganado", "fechado ganho", "avslutad - order 100%"),
    "lost": ("lost", "closed lost", "deal lost", "förlorad", "förlorat", "avslag", "avböjd",
             "verloren", "perdue", "perdu", "perdido", "fechado perdido",
             "avslutad - ingen order 0%"),
}  # fmt: skip
LIKE_KINDS = r"\b(won|win|vunn\w*|order|avtal\w*|signed|lost|loss|förlor\w*|avslag|avb\w+|closed)\b"
TYPES = {
    "call": r"\b(calls?|samtal|telefonsamtal|ring|phone|telephone|telefon|cellular)\b",
    "meeting": r"\b(meetings?|\w*möte|\w*möten|demo|visit|besök|kundbesök|lunch)\b",
    "email": r"\b(e-?mails?|e-?post|mejl|newsletter|nyhetsbrev)\b",
    "message": r"\b(sms|messages?|chat|linkedin|meddelande|whatsapp)\b",
    "task": r"\b(tasks?|uppgift|to.?do)\b",
    "note": r"\b(notes?|anteckning|notering)\b",
}

DAYS = ("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%m.%d.%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d",
        "%Y.%m.%d", "%Y%m%d", "%d/%m/%y", "%m/%d/%y", "%y/%m/%d", "%d.%m.%y", "%m.%d.%y",
        "%y.%m.%d", "%d-%m-%y", "%m-%d-%y", "%y-%m-%d", "%d %b %Y", "%d %B %Y",
        "%b %d, %Y")  # fmt: skip
TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p")
ISO = re.compile(f"{ISO_DAY}({ISO_TIME}({ISO_OFFSET})?)?")
PERSON = re.compile(r"[^\W\d_][\w'.-]+( [^\W\d_][\w'.-]+)+")

Numbers = tuple[str, str]  # decimal sign, sign between thousands


@dataclass
class ColumnProposal:
    """One column of the table: the header it comes from, what speaks for it, values to map."""

    column: str
    cell: dict[str, Any]
    evidence: str
    values: dict[str, str | None] = field(default_factory=dict)


@dataclass
class Proposal:
    """A mapping for one file. `recognised` names the one in force that already takes it.

    `history` is how rows that repeat a deal make its history, and the column that dates them:
    `steps` (a row is a stage entered) or `snapshots` (a row is a deal on a day).
    """

    file_format: Format
    recognised: str = ""
    sheet: str | None = None
    table: str = ""
    table_evidence: str = ""
    dialect: dict[str, tuple[Any, str]] = field(default_factory=dict)
    known_at: str = ""
    columns: list[ColumnProposal] = field(default_factory=list)
    stages: list[dict[str, Any]] = field(default_factory=list)
    history: tuple[str, str] | None = None
    is_ordered: bool = False
    questions: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    required: list[str] = field(default_factory=list)


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


def propose(
    path: Path, name: str, entries: Mapping[str, Entry], shipped: list[SystemMapping], scratch: Path
) -> Proposal:
    """Profile a file and propose its mapping. Raises FileRejected for what cannot be read."""
    proposal = Proposal(file_format=readers.format_of(path))
    if proposal.file_format == "xlsx" and not readers.is_workbook(path):
        raise FileRejected("archive", "is an archive; unpack it and map the files in it")
    dialect = _dialect(path, proposal, scratch)
    with duckdb.connect() as connection:
        sheet = readers.read(
            path, proposal.file_format, dialect, proposal.sheet, connection, scratch
        )
        if not sheet.n_records:
            raise FileRejected("no_records", "has headers but no records; export it again")
        profiles = _profiles(connection, sheet)
        proposal.recognised = _recognised(sheet.headers, name, dialect, entries)
        numbers = _numbers(profiles, proposal)
        dates = _dates(profiles, proposal)
        known = _vocabulary(shipped)
        _choose_table(proposal, profiles, known)
        _choose_columns(proposal, profiles, known, numbers, dates)
        _per_column(proposal, dates)
        labels = _ordered_labels(proposal, connection, sheet, numbers)
        _complete(proposal, profiles, known, labels)
        _check_steps(proposal, connection, sheet)
    if re.search(r"(19|20)\d{2}-[01]\d-[0-3]\d", name):
        proposal.known_at = r"(\d{4}-\d{2}-\d{2})"
    elif re.search(r"(?<!\d)20\d{2}[01]\d[0-3]\d(?!\d)", name):
        proposal.known_at = r"(\d{8})"
    else:
        proposal.questions.append(
            "Nothing in the file's name says when it was exported, so it counts as known from its "
            "arrival. Put the day into the name (2026-03-31) or into a file beside it (known_at)."
        )
    return proposal


# --- dialect -------------------------------------------------------------------------------------


def _dialect(path: Path, proposal: Proposal, scratch: Path) -> Dialect:
    """Encoding, separator, lines above the headers: what the bytes themselves show."""
    if proposal.file_format == "xlsx":
        return _sheet_dialect(path, proposal)
    if proposal.file_format != "csv":
        return Dialect()
    encoding, why = _encoding(path, scratch)
    lines = _first_lines(path, encoding, scratch)
    separator, skip, width = _separator(lines)
    if encoding != "utf-8":
        proposal.dialect["encoding"] = (encoding, why)
    if separator != ",":
        proposal.dialect["separator"] = (separator, f"gives {width} cells a line")
    if skip:
        proposal.dialect["skip_lines"] = (skip, "lines above the headers")
    if readers.ends_open(path):
        proposal.questions.append(
            "The last line has no end, as in a file cut short. If such files are whole, set "
            "open_end: true; the last line is quarantined otherwise."
        )
    return Dialect(encoding=encoding, separator=separator, skip_lines=skip, open_end=True)


def _sheet_dialect(path: Path, proposal: Proposal) -> Dialect:
    sheets = readers.sheets_of(path, "xlsx")
    if not sheets:
        raise FileRejected("empty_file", "has no sheet with cells in it; export it again")
    widths = {s: len(readers.headers_of(path, "xlsx", Dialect(), s)) for s in sheets}
    proposal.sheet = max(sheets, key=lambda s: widths[s])
    if len(sheets) > 1:
        others = ", ".join(f"{s!r}" for s in sheets if s != proposal.sheet)
        proposal.questions.append(
            f"The workbook has several sheets; this is about {proposal.sheet!r}. Map {others} too "
            "if they hold records."
        )
    rows = readers.first_rows(path, proposal.sheet or "", 50)
    skip = _titles(rows, max(map(len, rows)))
    if skip:
        proposal.dialect["skip_lines"] = (skip, "rows above the headers")
    return Dialect(skip_lines=skip)


def _encoding(path: Path, scratch: Path) -> tuple[Any, str]:
    if marked := readers.encoding_marked(path):
        return marked, "its first bytes say so"
    if readers.decodes(path, Dialect(), scratch):
        return "utf-8", "valid throughout"
    return "cp1252", "not UTF-8; what Windows writes in Western Europe"


def _first_lines(path: Path, encoding: Any, scratch: Path) -> list[str]:
    text = readers.plain_text(path, Dialect(encoding=encoding), scratch)
    with text.open(encoding="utf-8-sig", newline="") as file:
        return list(itertools.islice(file, 200))


def _separator(lines: list[str]) -> tuple[str, int, int]:
    """(separator, lines above the headers, cells a line) that split most lines alike."""
    best = (0.0, 0, ",", 0)
    for separator in (",", ";", "\t", "|"):
        try:
            rows = list(csv.reader(lines, delimiter=separator))
        except csv.Error:
            continue
        widths = [len(row) for row in rows if row]
        if not widths:
            continue
        width, n = Counter(widths).most_common(1)[0]
        if width > 1:
            skip = _titles(rows, width)
            best = max(best, (n / len(widths), width, separator, skip))
    share, width, separator, skip = best
    return (separator, skip, width) if share >= 0.5 else (",", 0, 1)


def _titles(rows: list[list[str]], width: int) -> int:
    """How many rows stand above the headers: the first row as full as the ones below it."""
    counts = [sum(1 for cell in row if cell.strip()) for row in rows]
    usual = Counter(n for n in counts if n).most_common(1)[0][0]
    return next(
        (i for i, row in enumerate(rows) if len(row) == width and counts[i] >= 0.6 * usual), 0
    )


# --- columns of the file -------------------------------------------------------------------------


def _profiles(connection: duckdb.DuckDBPyConnection, sheet: Sheet) -> list[Profile]:
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


SPACES_CHARS = " \t\u00a0\u202f"


def _number_forms() -> dict[Numbers, re.Pattern[str]]:
    forms = {}
    for decimal, thousands in ((".", ""), (",", ""), (".", ","), (",", ".")):
        group = f"[{SPACES}{re.escape(thousands)}]"
        # Without three decimals: 1.000 is a thousand or one.
        forms[decimal, thousands] = re.compile(
            rf"[+-]?(\d+|\d{{1,3}}({group}\d{{3}})+)({re.escape(decimal)}(\d{{1,2}}|\d{{4,}}))?\s?%?"
        )
    return forms


NUMBERS = _number_forms()
DIGITS = re.compile(rf"[+-]?\d[\d{SPACES}.,]*\s?%?")


def _numbers(profiles: list[Profile], proposal: Proposal) -> Numbers:
    """The signs under which all columns of numbers read; undecided ones become a question."""
    columns = [p for p in profiles if p.texts and p.share(DIGITS.fullmatch) >= FITS]
    numeric = [p for p in columns if p.share(lambda t: bool(_parsed_day(t))) < FITS]
    marked = [p for p in numeric if p.share(lambda t: "," in t or "." in t) > 0]
    fitting = [
        style
        for style, form in NUMBERS.items()
        if all(p.share(form.fullmatch) >= FITS for p in marked)
    ]
    if not marked or (".", "") in fitting:
        return ".", ""
    if not fitting:
        headers = ", ".join(repr(p.header) for p in marked)
        proposal.questions.append(
            f"The numbers in {headers} fit no one way of writing them. Say which with "
            "dialect.decimal and dialect.thousands."
        )
        return ".", ""
    decimal, thousands = fitting[0]
    if all(p.share(lambda t: bool(re.fullmatch(r"\d{1,3}[.,]\d{3}", t)) or t.isdigit()) == 1
           for p in marked):  # fmt: skip
        proposal.questions.append(
            "Numbers like 1,234 may be thousands or decimals. They are read as thousands; if they "
            "are not, change dialect.decimal and dialect.thousands."
        )
    proposal.dialect["decimal"] = (decimal, f"{len(marked)} columns of numbers read with it")
    if thousands:
        proposal.dialect["thousands"] = (thousands, "between groups of three digits")
    return decimal, thousands


def _dates(profiles: list[Profile], proposal: Proposal) -> dict[str, tuple[str, ...]]:
    """Per header of dates the forms that read them all; undecided order becomes a question."""
    found: dict[str, tuple[str, ...]] = {}
    orders: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for profile in profiles:
        forms = _date_forms(profile)
        if forms:
            found[profile.header] = forms
        if len(forms) > 1:
            orders[forms].append(profile.header)
    settled = sorted({forms[0] for forms in found.values() if len(forms) == 1})
    for forms, headers in orders.items():
        known = [form for form in forms if form in settled]
        if len(known) == 1:
            # Another column of the file, written alike, settles the order for both.
            found |= dict.fromkeys(headers, (known[0],))
            listed = ", ".join(map(repr, headers))
            proposal.questions.append(
                f"The dates of {listed} are read as {known[0]}, as other columns must be. Right?"
            )
            continue
        listed = ", ".join(map(repr, headers))
        proposal.questions.append(
            f"In the dates of {listed} either part may be the day. Which comes first? Set "
            f"dialect.dates to {' or to '.join(json.dumps([form]) for form in forms)}."
        )
    if len(settled) == 1 and settled != ["iso"]:
        proposal.dialect["dates"] = (settled, "read every date there is")
    return found


def _date_forms(profile: Profile) -> tuple[str, ...]:
    if not profile.texts or profile.share(lambda t: any(c.isdigit() for c in t)) < FITS:
        return ()
    if profile.share(ISO.fullmatch) == 1:
        return ("iso",)
    texts = list(itertools.islice(profile.texts, 500))
    forms = [
        day + time
        for day in DAYS
        for time in TIMES
        if all(_reads(text, day + time) for text in texts)
    ]
    if not forms and all(re.fullmatch(r"[2-7]\d{4}(\.\d+)?", text) for text in texts):
        # Serial numbers of days look like any number; only a header tells them apart.
        is_date = re.search(
            r"date|datum|time|tid|created|closed|skapad|\bon$", profile.header, re.I
        )
        return ("excel_serial",) if is_date else ()
    return tuple(forms)


def _per_column(proposal: Proposal, dates: Mapping[str, tuple[str, ...]]) -> None:
    """Columns of one file that write dates differently each say how."""
    settled = {forms[0] for forms in dates.values() if len(forms) == 1}
    for column in proposal.columns:
        forms = dates.get(column.cell.get("from", [""])[0], ())
        if len(settled) > 1 and len(forms) == 1 and forms != ("iso",):
            column.cell["dates"] = list(forms)


def _reads(text: str, form: str) -> bool:
    try:
        return 1990 <= datetime.strptime(text, form).year <= 2100  # noqa: DTZ007
    except ValueError:
        return False


def _parsed_day(text: str) -> bool:
    return bool(ISO.fullmatch(text)) or any(_reads(text, form) for form in DAYS)


# --- table and columns ---------------------------------------------------------------------------

Vocabulary = dict[str, dict[str, dict[str, str]]]  # table, column, plain header: who calls it so


def _plain(header: str) -> str:
    """A header by its words: without case, marks, and the prefix some systems put before all."""
    words = re.sub(r"^(deal|affaire|negocio|activity|opportunity)(_| - )", "", header, flags=re.I)
    return " ".join(re.findall(r"[^\W_]+", words.casefold()))


def _vocabulary(shipped: list[SystemMapping]) -> Vocabulary:
    known: Vocabulary = {
        name: {c.name: {} for c in table.columns} for name, table in TABLES.items()
    }
    for system in shipped:
        tables = (item for file in system.files.values() for item in file.tables.items())
        for name, mapping in tables:
            for column, cell in mapping.columns.items():
                for header in (*cell.headers, *cell.first_filled):
                    known[name][column].setdefault(_plain(header), f"what {system.doc} calls it")
    words = read_yaml(Path(__file__).with_name("words.yml"))
    for name, columns in words.items():
        for column, listed in columns.items():
            for word in listed:
                found = known.setdefault(name, {}).setdefault(column, {})
                found.setdefault(str(word), "what sheets call it")
    for name, table in TABLES.items():
        for c in table.columns:
            known[name][c.name].setdefault(_plain(c.name), "the declared name")
    return known


def _recognised(
    headers: list[str], name: str, dialect: Dialect, entries: Mapping[str, Entry]
) -> str:
    fits = [
        e
        for e in entries.values()
        if not e.missing_headers(headers) and e.mapping.dialect.separator == dialect.separator
    ]
    best = max(fits, key=lambda e: (e.matches_name(name), len(e.mapping.headers)), default=None)
    return best.label if best else ""


def _choose_table(proposal: Proposal, profiles: list[Profile], known: Vocabulary) -> None:
    """The table most of whose telling columns the file has."""
    plain = {_plain(p.header) for p in profiles}
    scores: dict[str, tuple[int, list[str]]] = {}
    for name in ("deals", "leads", "activities", "contacts", "accounts", "sellers", "stages"):
        own = [c for c, words in known[name].items() if plain & words.keys()]
        telling = sum(2 for c in own if c in TELLING.get(name, ()))
        scores[name] = (len(own) + telling, own)
    proposal.table = max(scores, key=lambda name: scores[name][0])
    own = scores[proposal.table][1]
    proposal.table_evidence = f"has {len(own)} of its columns: {', '.join(own)}"
    close = [
        n for n, s in scores.items() if n != proposal.table and s[0] >= scores[proposal.table][0]
    ]
    if close or not own:
        proposal.questions.append(
            f"It is not clear what the rows are: {proposal.table} is proposed; "
            f"{', '.join(close) or 'nothing'} would fit as well. Change the table if it is wrong."
        )


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


def _choose_columns(
    proposal: Proposal,
    profiles: list[Profile],
    known: Vocabulary,
    numbers: Numbers,
    dates: dict[str, tuple[str, ...]],
) -> None:
    used: set[str] = set()
    for column in TABLES[proposal.table].columns:
        words = known[proposal.table][column.name]
        named = [p for p in profiles if _plain(p.header) in words and p.header not in used]
        fitting = [p for p in named if _fit(column, p, numbers, dates) >= FITS]
        if len(fitting) > 1 and column.name == "stage_id":
            fitting = [p for p in fitting if _plain(p.header) != "status"]
        if len(fitting) > 1 and column.kind is Kind.ID and column.required:
            # By how well the header says it: `Deal ID` before `Nr`.
            order = list(words)
            fitting.sort(key=lambda p: order.index(_plain(p.header)))
            others = ", ".join(repr(p.header) for p in fitting[1:])
            proposal.questions.append(
                f"{fitting[0].header!r} is taken for {column.name}. Or is it {others}?"
            )
            fitting = fitting[:1]
        if len(fitting) == 1:
            (profile,) = fitting
            used.add(profile.header)
            proposal.columns.append(
                _column(column, profile, words[_plain(profile.header)], numbers)
            )
            continue
        _ask_about(proposal, column, profiles, named, fitting, words, used)
    proposal.unused = [p.header for p in profiles if p.header not in used]
    if not used:
        # A file without a header row would have its first record shown.
        proposal.unused = []
        proposal.questions.append(
            "No header is known. Is the first row one? If not, add one; if so, name the columns."
        )
    names = {c.column: c for c in proposal.columns}
    if (seller := names.get("seller_id")) and _profile(profiles, seller).names_people:
        proposal.questions.append(
            f"{seller.cell['from'][0]!r} names sellers. That works while no two share a name and "
            "nobody changes theirs; export their ids if you can."
        )


def _ask_about(
    proposal: Proposal,
    column: Column,
    profiles: list[Profile],
    named: list[Profile],
    fitting: list[Profile],
    words: Mapping[str, str],
    used: set[str],
) -> None:
    """What only a person can decide of a column: two candidates, unfit cells, a like header."""
    what = f"{column.name} ({column.doc.rstrip('.').lower()})"
    if len(fitting) > 1:
        listed = ", ".join(repr(p.header) for p in fitting)
        proposal.questions.append(f"Which column is {what}: {listed}?")
    elif named:
        proposal.questions.append(
            f"{named[0].header!r} is called like {what}, but some of its cells are not "
            f"{KIND_WORDS.get(column.kind, 'such')}. Is it another thing, or written otherwise?"
        )
    elif column.required or column.name in TELLING.get(proposal.table, ()):
        plain = {_plain(p.header): p.header for p in profiles if p.header not in used}
        like = difflib.get_close_matches(
            column.name.replace("_", " "), plain, n=1, cutoff=LIKE
        ) or [
            match
            for word in words
            for match in difflib.get_close_matches(word, plain, n=1, cutoff=LIKE)
        ]
        if like:
            proposal.questions.append(f"Is {plain[like[0]]!r} {what}?")
        elif column.required:
            proposal.questions.append(f"No column is {what}, and there must be one. Which is it?")


KIND_WORDS = {
    Kind.MONEY: "numbers", Kind.FRACTION: "probabilities", Kind.INTEGER: "whole numbers",
    Kind.DATE: "dates", Kind.TIMESTAMP: "dates", Kind.BOOLEAN: "yes or no",
    Kind.CURRENCY: "currency codes",
}  # fmt: skip


def _fit(
    column: Column, profile: Profile, numbers: Numbers, dates: Mapping[str, tuple[str, ...]]
) -> float:
    """The share of a column's cells that are of the kind asked for; 1 if it is empty."""
    if not profile.texts:
        return 1.0 if not column.required else 0.0
    if column.kind in (Kind.DATE, Kind.TIMESTAMP):
        return 1.0 if profile.header in dates else 0.0
    if column.kind in (Kind.MONEY, Kind.INTEGER, Kind.FRACTION, Kind.RATE):
        return profile.share(NUMBERS[numbers].fullmatch)
    if column.kind is Kind.BOOLEAN:
        return profile.share(lambda text: text.lower() in TRUE + FALSE)
    if column.kind is Kind.CURRENCY:
        return profile.share(lambda text: bool(re.fullmatch("[A-Za-z]{3}", text)))
    if column.kind is Kind.EMAIL_HASH:
        return profile.share(lambda text: "@" in text)
    if column.kind is Kind.PHONE_HASH:
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
    if column.kind is Kind.FRACTION and _is_percent(profile, numbers):
        cell["unit"] = "percent"
    if column.name == "status":
        values = {t: _status_of(t) for t in profile.texts if _status_of(t) != t.lower()}
    elif column.choices:
        values = _choices(column, profile)
    elif column.kind is Kind.CURRENCY and profile.filled < 1:
        cell["default"] = "company_currency"
    return ColumnProposal(column.name, cell, evidence, values)


def _is_percent(profile: Profile, numbers: Numbers) -> bool:
    plain = (t.rstrip("% ").replace(numbers[0], ".") for t in profile.texts)
    return any(float(t) > 1 for t in plain if re.fullmatch(r"\d+(\.\d+)?", t))


def _kind_of(label: str) -> str:
    return next((k for k, labels in KINDS.items() if label.casefold() in labels), "open")


def _status_of(label: str) -> str | None:
    if label.casefold() in ("open", "öppen", "pågående", "in progress", "offen", "en cours"):
        return "open"
    kind = _kind_of(label)
    return kind if kind != "open" else None


def _choices(column: Column, profile: Profile) -> dict[str, str | None]:
    values: dict[str, str | None] = {}
    for label in profile.texts:
        if label.lower() not in column.choices:
            found = [c for c, form in TYPES.items() if re.search(form, label, re.I)]
            values[label] = found[0] if column.name == "type" and len(found) == 1 else None
    return values


def _profile(profiles: list[Profile], proposed: ColumnProposal) -> Profile:
    header = proposed.cell["from"][0]
    return next(p for p in profiles if p.header == header)


# --- what a table needs beside its columns -------------------------------------------------------


def _ordered_labels(
    proposal: Proposal, connection: duckdb.DuckDBPyConnection, sheet: Sheet, numbers: Numbers
) -> list[str]:
    """The stages' labels, by the CRM's own probability if the file has one, else as they come."""
    columns = {
        c.column: f"trim(c{sheet.headers.index(c.cell['from'][0])}, '{SPACES_CHARS}')"
        for c in proposal.columns
        if c.column in ("stage_id", "probability")
    }
    if "stage_id" not in columns:
        return []
    order = "min(record_number)"
    if "probability" in columns:
        digits = f"rtrim(replace({columns['probability']}, '{numbers[0]}', '.'), ' %')"
        order = f"avg(try_cast({digits} as double)), {order}"
        proposal.is_ordered = True
    rows = connection.execute(
        f"select {columns['stage_id']} as label from source "
        f"where nullif({columns['stage_id']}, '') is not null "
        f"group by label order by {order} limit {MAX_LABELS}"
    ).fetchall()
    return [label for (label,) in rows]


def _check_steps(proposal: Proposal, connection: duckdb.DuckDBPyConnection, sheet: Sheet) -> None:
    """Rows that share deal and day are no steps of it; they may be lines of an order."""
    if proposal.history is None:
        return
    identity = next(c.cell["from"][0] for c in proposal.columns if c.column == "deal_id")
    pair = ", ".join(f"c{sheet.headers.index(h)}" for h in (identity, proposal.history[1]))
    row = connection.execute(f"select count(*) - count(distinct ({pair})) from source").fetchone()
    if row and row[0]:
        proposal.questions.append(
            f"{row[0]} rows share {identity!r} and {proposal.history[1]!r} with another, as lines "
            "of an order do. A row must be a deal, or one step or day of it; export it so."
        )
        proposal.history = None


def _complete(
    proposal: Proposal, profiles: list[Profile], known: Vocabulary, labels: list[str]
) -> None:
    """Stages, currency, pipeline, history: what the columns alone do not say."""
    columns = {c.column: c for c in proposal.columns}
    if proposal.table in ("deals", "leads"):
        _complete_stages(proposal, profiles, known, columns, labels)
    if "amount" in columns and "currency" not in columns:
        cell = {"from": ["Currency"], "default": "company_currency"}
        proposal.columns.append(
            ColumnProposal("currency", cell, "no such column: all in the company's currency")
        )
        proposal.questions.append(
            "No column names the currency; amounts are taken to be in the company's own."
        )
    for column in proposal.columns:
        if None in column.values.values():
            unknown = ", ".join(repr(k) for k, v in column.values.items() if v is None)
            choices = ", ".join(TABLES[proposal.table].by_name[column.column].choices)
            proposal.questions.append(
                f"What are {unknown} in {column.cell['from'][0]!r}? Map each to one of {choices}."
            )
    required = [c.name for c in TABLES[proposal.table].columns if c.required]
    kept = [
        c for c in proposal.columns if c.column in required or c.column in ("stage_id", "amount")
    ]
    proposal.required = [c.cell["from"][0] for c in kept if c.evidence[:2] != "no"]


def _complete_stages(
    proposal: Proposal,
    profiles: list[Profile],
    known: Vocabulary,
    columns: dict[str, ColumnProposal],
    labels: list[str],
) -> None:
    identity = columns.get(f"{proposal.table[:-1]}_id")
    if "pipeline_id" not in columns:
        proposal.columns.append(
            ColumnProposal(
                "pipeline_id", {"constant": "default"}, "one pipeline, as no column says"
            )
        )
    stage = columns.get("stage_id")
    if stage is None:
        proposal.questions.append("No column tells the stage; without one nothing can move.")
        return
    kinds = {label: _kind_of(label) for label in labels}
    ordered = sorted(labels, key=lambda label: kinds[label] != "open")
    for position, label in enumerate(ordered, start=1):
        proposal.stages.append(_stage(label, position, kinds[label]))
    if "status" in columns:
        for kind in sorted({"won", "lost"} - set(kinds.values()), reverse=True):
            proposal.stages.append(_stage(kind.capitalize(), len(proposal.stages) + 1, kind))
    found = {stage["kind"] for stage in proposal.stages}
    missing = [kind for kind in ("won", "lost") if kind not in found]
    unclear = [t for t in labels if kinds[t] == "open" and re.search(LIKE_KINDS, t, re.I)]
    for label in unclear:
        proposal.questions.append(f"Does {label!r} mean that a deal is open, won or lost?")
    unsure = f" None of them says that a deal is {' or '.join(missing)}." if missing else ""
    order = (
        "They stand in the order of the file's probabilities."
        if proposal.is_ordered
        else "The file does not say their order; they stand as they come in it."
    )
    proposal.questions.append(
        f"Are the stages in the order of your process, and each of its kind? {order}{unsure}"
    )
    if "pipeline_id" in columns:
        proposal.questions.append(
            "The stages are listed under one pipeline; list those of each pipeline under its name."
        )
    if identity is not None and not _profile(profiles, identity).is_key:
        _complete_history(proposal, profiles, known, identity)


def _stage(label: str, position: int, kind: str) -> dict[str, Any]:
    return {"pipeline_id": "default", "stage_id": label, "position": position, "kind": kind}


def _complete_history(
    proposal: Proposal, profiles: list[Profile], known: Vocabulary, identity: ColumnProposal
) -> None:
    """Rows that repeat a deal are steps of it or days of the list; the column's name says which."""
    plain = {_plain(p.header): p.header for p in profiles}
    for history, words in (
        ("snapshots", known["snapshots"]["known_at"]),
        ("steps", known["deal_changes"]["occurred_at"]),
    ):
        found = [header for word, header in plain.items() if word in words]
        if len(found) == 1:
            proposal.history = (history, found[0])
            proposal.unused = [h for h in proposal.unused if h != found[0]]
            return
    proposal.questions.append(
        f"{identity.cell['from'][0]!r} repeats. If a row is a deal on a day, add known_at: "
        "{column: ...} with that day; if it is a stage entered, see `sheet/long` in the shipped "
        "sheet mapping."
    )
