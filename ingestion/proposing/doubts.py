"""What only a person can settle: columns whose cells deny their name, headers that are left out.

Belongs here: questions about whole columns, from what their cells look like.
Does not belong here: matching headers with words (`columns`).
"""

import re
from collections.abc import Sequence

from ingestion.proposing.findings import ColumnProposal
from ingestion.proposing.numbers_and_dates import NUMBERS, Dates, Numbers
from ingestion.proposing.profiles import FITS, Profile, profile_of
from ingestion.proposing.vocabulary import plain_words, unit_of
from ingestion.shown import is_personal
from ingestion.tables import TABLES, CellType, Column

GROUPS = ("stage_id", "status", "source", "segment", "business_area", "product")
PEOPLE = ("seller_id", "account_id")
DAYS = (CellType.DATE, CellType.TIMESTAMP)
AMOUNTS = (CellType.MONEY, CellType.FRACTION)
MIN_ROWS = 5  # with fewer any column may be anything


def said(column: Column) -> str:
    """A column by its name and what it is."""
    return f"{column.name} ({column.doc.rstrip('.').lower()})"


def doubt_of(column: Column, profile: Profile) -> str | None:
    """Why cells under a known header are hardly what it says; such a column is not asserted."""
    rows, different = profile.texts.total(), len(profile.texts)
    why = ""
    if rows < MIN_ROWS:
        return None
    if column.name == "seller_id" and different == rows:
        why = "it differs on every row, as a seller does not"
    elif column.name == "account_id" and different <= 5 and rows >= 8 * different:
        why = f"it has {different} values in {rows:,} rows, as groups of customers have"
    elif column.name in GROUPS[2:] and different > rows / 2 and rows >= 2 * MIN_ROWS:
        why = "it differs on most rows, as a group does not"
    if not why:
        return None
    return (
        f"{profile.shown} is called like {said(column)}, but {why}; it is left out. If it is, add "
        f"`{column.name}: {profile.shown}`."
    )


def names_taken(columns: Sequence[ColumnProposal], profiles: list[Profile]) -> list[str]:
    """Questions about ids that are names: two of one name become one, a renamed one two."""
    questions = []
    for column in columns:
        if column.column not in ("deal_id", "lead_id", "seller_id") or "from" not in column.cell:
            continue
        profile, what = profile_of(profiles, column), column.column.removesuffix("_id")
        if column.column == "seller_id":
            are_names = profile.names_people
        else:
            are_names = profile.share(lambda text: any(map(str.isdigit, text))) < 0.5
        if are_names:
            questions.append(
                f"{profile.shown} names {what}s. That works while no two share a name and none is "
                "renamed; export their ids if you can."
            )
    return questions


def left_out(
    table: str,
    columns: Sequence[ColumnProposal],
    profiles: list[Profile],
    dates: Dates,
    numbers: Numbers,
) -> list[str]:
    """A question for each kind of column that is left out: days, numbers, names, groups."""
    kinds = {
        "days": [c for c in TABLES[table].columns if c.cell_type in DAYS],
        "numbers": [c for c in TABLES[table].columns if c.cell_type in AMOUNTS],
        "names": [c for c in TABLES[table].columns if c.name in PEOPLE],
        "mail addresses": [c for c in TABLES[table].columns if c.name in PEOPLE],
        "few different words": [c for c in TABLES[table].columns if c.name in GROUPS],
    }
    found: dict[str, list[str]] = {kind: [] for kind in kinds}
    for profile in profiles:
        if kind := _kind(profile, dates, numbers):
            unit = unit_of(profile.header) if kind == "numbers" else None
            found[kind].append(profile.shown + (f" (unit: {unit})" if unit else ""))
    taken = {c.column for c in columns}
    questions = []
    for kind, headers in found.items():
        if headers and kinds[kind]:
            free = [c for c in kinds[kind] if c.name not in taken]
            options = ", ".join(said(c) for c in free or kinds[kind])
            rather = "" if free else ", rather than the one taken,"
            questions.append(
                f"Nothing asks for {', '.join(headers)}; there are {kind} in it. "
                f"Is it{rather} {options}?"
                if len(headers) == 1
                else f"Nothing asks for {', '.join(headers)}; there are {kind} in them. "
                f"Is any of them{rather} {options}?"
            )
    return questions


def looks_like(profile: Profile, dates: Dates, numbers: Numbers) -> str:
    """What the cells of a column look like, in words."""
    if not profile.texts:
        return "empty"
    kind = _kind(profile, dates, numbers) or ("an id" if profile.is_key else "text")
    return f"{kind}, {profile.filled:.0%} filled, {len(profile.texts):,} different"


def _kind(profile: Profile, dates: Dates, numbers: Numbers) -> str | None:
    if profile.header in dates:
        return "days"
    if profile.share(NUMBERS[numbers].fullmatch) >= FITS:
        return (
            None if re.search(r"\b(id|nr|no|number)$", plain_words(profile.header)) else "numbers"
        )
    if profile.share(is_personal) > 0.5:
        return "mail addresses"
    if profile.names_people and len(profile.texts) > 1:
        return "names"
    repeats = len(profile.texts) <= profile.texts.total() / 2
    return "few different words" if profile.holds_labels and repeats else None
