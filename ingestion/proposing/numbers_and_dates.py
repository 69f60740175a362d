"""How a file writes numbers and dates, as far as its cells settle it.

Belongs here: the signs and forms under which whole columns read.
Does not belong here: which column is what (`columns`).
"""

import itertools
import json
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from ingestion.casting.context import SPACES
from ingestion.casting.times import ISO_DAY, ISO_OFFSET, ISO_TIME
from ingestion.proposing.findings import ColumnProposal, Finding
from ingestion.proposing.profiles import FITS, Profile

DAYS = ("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%m.%d.%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d",
        "%Y.%m.%d", "%Y%m%d", "%d/%m/%y", "%m/%d/%y", "%y/%m/%d", "%d.%m.%y", "%m.%d.%y",
        "%y.%m.%d", "%d-%m-%y", "%m-%d-%y", "%y-%m-%d", "%d %b %Y", "%d %B %Y",
        "%b %d, %Y")  # fmt: skip
TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p")
COMPACT = ("%Y%m%d%H%M%S", "%Y%m%d%H%M")
ISO = re.compile(f"{ISO_DAY}({ISO_TIME}({ISO_OFFSET})?)?")

Numbers = tuple[str, str]  # decimal sign, sign between thousands
Dates = dict[str, tuple[str, ...]]  # header: the forms that read all of its cells


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


def find_numbers(profiles: list[Profile]) -> Finding[Numbers]:
    """The signs under which all columns of numbers read; undecided ones become a question."""
    columns = [p for p in profiles if p.texts and p.share(DIGITS.fullmatch) >= FITS]
    numeric = [p for p in columns if p.share(lambda t: bool(parsed_day(t))) < FITS]
    marked = [p for p in numeric if p.share(lambda t: "," in t or "." in t) > 0]
    fitting = [
        style
        for style, form in NUMBERS.items()
        if all(p.share(form.fullmatch) >= FITS for p in marked)
    ]
    if not marked or (".", "") in fitting:
        return Finding((".", ""))
    if not fitting:
        headers = ", ".join(repr(p.header) for p in marked)
        question = (
            f"The numbers in {headers} fit no one way of writing them. Say which with "
            "dialect.decimal and dialect.thousands."
        )
        return Finding((".", ""), (question,))
    decimal, thousands = fitting[0]
    words = {"decimal": (decimal, f"{len(marked)} columns of numbers read with it")}
    if thousands:
        words["thousands"] = (thousands, "between groups of three digits")
    are_groups = all(
        p.share(lambda t: bool(re.fullmatch(r"\d{1,3}[.,]\d{3}", t)) or t.isdigit()) == 1
        for p in marked
    )
    question = (
        "Numbers like 1,234 may be thousands or decimals. They are read as thousands; if they "
        "are not, change dialect.decimal and dialect.thousands."
    )
    return Finding((decimal, thousands), (question,) if are_groups else (), words)


def find_dates(profiles: list[Profile]) -> Finding[Dates]:
    """Per header of dates the forms that read them all; undecided order becomes a question."""
    found: Dates = {}
    questions: list[str] = []
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
        listed = ", ".join(map(repr, headers))
        if len(known) == 1:
            # Another column of the file, written alike, settles the order for both.
            found |= dict.fromkeys(headers, (known[0],))
            questions.append(
                f"The dates of {listed} are read as {known[0]}, as other columns must be. Right?"
            )
            continue
        questions.append(
            f"In the dates of {listed} either part may be the day. Which comes first? Set "
            f"dialect.dates to {' or to '.join(json.dumps([form]) for form in forms)}."
        )
    words = {}
    if len(settled) == 1 and settled != ["iso"]:
        words["dates"] = (settled, "read every date there is")
    return Finding(found, tuple(questions), words)


def _date_forms(profile: Profile) -> tuple[str, ...]:
    if not profile.texts or profile.share(lambda t: any(c.isdigit() for c in t)) < FITS:
        return ()
    if profile.share(ISO.fullmatch) == 1:
        return ("iso",)
    texts = list(itertools.islice(profile.texts, 500))
    known = (*(day + time for day in DAYS for time in TIMES), *COMPACT)
    forms = [form for form in known if all(_reads(text, form) for text in texts)]
    # Serial numbers of days, and seconds since 1970, look like any number; only a header tells.
    is_date = re.search(r"date|datum|time|tid|created|closed|skapad|\bon$", profile.header, re.I)
    if not forms and all(re.fullmatch(r"[2-7]\d{4}(\.\d+)?", text) for text in texts):
        return ("excel_serial",) if is_date else ()
    if not forms and all(re.fullmatch(r"1\d{9}(\d{3})?", text) for text in texts):
        seconds = all(len(text) == 10 for text in texts)
        return (("epoch",) if seconds else ("epoch_ms",)) if is_date else ()
    return tuple(forms)


def with_own_dates(
    columns: list[ColumnProposal], dates: Mapping[str, tuple[str, ...]]
) -> list[ColumnProposal]:
    """The columns; those of one file that write dates differently each say how."""
    settled = {forms[0] for forms in dates.values() if len(forms) == 1}
    if len(settled) < 2:
        return columns
    found = []
    for column in columns:
        forms = dates.get(column.cell.get("from", [""])[0], ())
        has_own = len(forms) == 1 and forms != ("iso",)
        cell = {**column.cell, "dates": list(forms)} if has_own else column.cell
        found.append(replace(column, cell=cell))
    return found


def _reads(text: str, form: str) -> bool:
    try:
        return 1990 <= datetime.strptime(text, form).year <= 2100  # noqa: DTZ007
    except ValueError:
        return False


def parsed_day(text: str) -> bool:
    return bool(ISO.fullmatch(text)) or any(_reads(text, form) for form in DAYS)
