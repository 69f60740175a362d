"""Deals as their exports tell of them, as hypothesis makes them up, and what the exports say.

Belongs here: what happens to deals, which views of them are downloaded when, and the reading of
those files from the sentences of docs/metrics.md (“Exports against each other”): a fold over files
in the order they were made, which knows nothing of the SQL.
Does not belong here: logs and their contradictions (`histories`).
"""

import csv
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

Row = dict[str, Any]

FIRST, AS_OF = date(2026, 1, 5), date(2026, 9, 30)
LABELS = {
    "Sales Pipeline": ("Appointment Scheduled", "Qualified To Buy", "Contract Sent"),
    "Partner Pipeline": ("Appointment Scheduled", "Contract Sent"),
}
CLOSED = ("Closed Won", "Closed Lost")
IDS = {
    "Appointment Scheduled": "appointmentscheduled", "Qualified To Buy": "qualifiedtobuy",
    "Contract Sent": "contractsent", "Closed Won": "closedwon", "Closed Lost": "closedlost",
    "Sales Pipeline": "default", "Partner Pipeline": "Partner Pipeline",
}  # fmt: skip
ONLY = {"Qualified To Buy": "Sales Pipeline"}  # no other pipeline has it
OPTIONAL = ("Deal owner", "Amount", "Create Date", "Original Traffic Source", "Segment")
STAGES = [
    {"pipeline_id": IDS[pipeline], "stage_id": IDS[label], "position": position, "kind": kind}
    for pipeline, labels in LABELS.items()
    for position, (label, kind) in enumerate(
        [*((label, "open") for label in labels), ("Closed Won", "won"), ("Closed Lost", "lost")], 1
    )
]


def dated(label: str, pipeline: str) -> str:
    """The header of a stage's date column."""
    return f'Date entered "{label} ({pipeline})"'


DATED = tuple(dated(s, p) for p, labels in LABELS.items() for s in (*labels, *CLOSED))


@dataclass
class Deal:
    """A deal's states, each from a time on; one imported has its create date years before."""

    deal_id: int
    created: datetime
    states: list[tuple[datetime, Row]] = field(default_factory=list)

    def at(self, moment: datetime) -> Row | None:
        """Where it stood; None before the CRM had it."""
        begun = [state for begins, state in self.states if begins <= moment]
        return begun[-1] if begun else None

    def entered(self, moment: datetime) -> Row:
        """The latest entry into each stage by then, under the header that has it."""
        begun = [(begins, state) for begins, state in self.states if begins <= moment]
        places = [(state["Deal Stage"], state["Pipeline"]) for _, state in begun]
        return {
            dated(*place): f"{begins:%Y-%m-%d %H:%M}"
            for i, ((begins, _), place) in enumerate(zip(begun, places, strict=True))
            if i == 0 or place != places[i - 1]
        }


@st.composite
def deals(draw: st.DrawFn) -> Deal:
    """One deal, of no number yet."""
    days = st.integers(0, 60)
    at = datetime.combine(FIRST + timedelta(draw(days)), time(9, draw(st.integers(0, 59))))
    years = draw(st.sampled_from([0, 0, 0, 700]))
    deal = Deal(0, at - timedelta(days=years))
    pipeline = draw(st.sampled_from(sorted(LABELS)))
    state: Row = {
        "Pipeline": pipeline, "Deal Stage": draw(st.sampled_from(LABELS[pipeline])),
        "Deal owner": draw(st.sampled_from(["Eva Lind", "Bo Lund"])),
        "Amount": draw(st.sampled_from(["1000", "250.50", ""])), "Currency": "SEK",
        "Original Traffic Source": draw(st.sampled_from(["Paid Search", "Referrals", ""])),
        "Segment": draw(st.sampled_from(["Large", ""])), "Close Date": "",
    }  # fmt: skip
    deal.states.append((at, state))
    for _ in range(draw(st.integers(0, 5))):
        at += timedelta(days=draw(st.integers(1, 50)), hours=draw(st.integers(0, 9)))
        state = dict(state)
        what = draw(st.sampled_from(["stage", "stage", "stage", "owner", "amount", "pipeline"]))
        if what == "owner":
            state["Deal owner"] = draw(st.sampled_from(["Eva Lind", "Bo Lund", "EVA  LIND", ""]))
        elif what == "amount":
            state["Amount"] = draw(st.sampled_from(["1000", "90", ""]))
        else:
            if what == "pipeline":
                state["Pipeline"] = draw(st.sampled_from(sorted(LABELS)))
            stages = LABELS[state["Pipeline"]]
            state["Deal Stage"] = draw(st.sampled_from([*stages, *stages, *CLOSED]))
            is_closed = state["Deal Stage"] in CLOSED
            state["Close Date"] = f"{at:%Y-%m-%d %H:%M}" if is_closed else ""
        deal.states.append((at, state))
    return deal


@dataclass(frozen=True)
class View:
    """A download: when, which columns and deals; `again` is a day on which its bytes came too."""

    at: datetime
    columns: tuple[str, ...]
    only: str
    is_copy: bool
    again: date | None


@st.composite
def views(draw: st.DrawFn) -> View:
    """One download."""
    day = FIRST + timedelta(days=draw(st.integers(10, 240)))
    columns = tuple(c for c in OPTIONAL if draw(st.integers(0, 3)))
    later = day + timedelta(days=draw(st.integers(1, 30)))
    return View(
        datetime.combine(day, time(draw(st.sampled_from([8, 12, 17])), 30)),
        ("Pipeline", "Close Date", *columns) if draw(st.integers(0, 3)) else ("Close Date",),
        draw(st.sampled_from(["all", "all", "open", "half"])),
        draw(st.integers(0, 4)) == 0,
        later if draw(st.integers(0, 4)) == 0 else None,
    )


def drawn(strategy: st.SearchStrategy[Any], n: int, number: int) -> list[Any]:
    """`n` examples of a strategy; the same number gives the same ones."""
    found: list[Any] = []

    @seed(number)
    @settings(
        max_examples=n, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(strategy)
    def collect(example: Any) -> None:
        found.append(example)

    collect()
    return found


def made_up(n_deals: int, n_views: int, number: int) -> tuple[list[Deal], list[View]]:
    """Deals and downloads of one company; the same number gives the same ones."""
    some = drawn(deals(), n_deals, number)
    for deal_id, deal in enumerate(some, start=1):
        deal.deal_id = deal_id
    return some, drawn(views(), n_views, number)


@dataclass(frozen=True)
class File:
    """A written file: the day it tells of, its place within it, its header and rows."""

    day: date
    place: tuple[str, int]
    header: tuple[str, ...]
    rows: list[Row]


def write(some: list[Deal], downloads: list[View], inbox: Path, has_dates: bool) -> list[File]:
    """The files, in the order they were made; with a date column a stage, or without."""
    files = []
    for number, view in enumerate(downloads):
        header = ("Record ID", "Deal Name", "Deal Stage", *view.columns)
        header += ("Currency",) if "Amount" in header else ()
        header += DATED if has_dates else ()
        rows = []
        for deal in some:
            state = deal.at(view.at)
            is_left_out = view.only == "half" and deal.deal_id % 2 == number % 2
            is_closed = state is not None and state["Deal Stage"] in CLOSED
            if state and not is_left_out and not (view.only == "open" and is_closed):
                shown = {**state, "Create Date": f"{deal.created:%Y-%m-%d %H:%M}"}
                shown |= dict.fromkeys(DATED, "") | deal.entered(view.at)
                rows.append({"Record ID": deal.deal_id, "Deal Name": f"N{number}", **shown})
        if not rows:
            continue
        copy = (number + 1) if view.is_copy else 0
        for day in filter(None, (view.at.date(), view.again)):
            name = f"hubspot-crm-exports-v{number}-deals-{day}T{view.at:%H%M}"
            with (inbox / f"{name}{f' ({copy})' if copy else ''}.csv").open("w", newline="") as out:
                writer = csv.DictWriter(out, header, extrasaction="ignore")
                writer.writeheader()
                writer.writerows(rows)
            files.append(File(day, (f"{view.at:%H%M}", copy), header, rows))
    return sorted(files, key=lambda f: (f.day, f.place))


@dataclass
class Told:
    """What the files tell of one deal: day by day where it stood, and its last known values."""

    stands: dict[date, tuple[str, str, str]] = field(default_factory=dict)
    values: Row = field(default_factory=dict)
    last_seen: date = FIRST


def told(files: list[File]) -> dict[int, Told]:
    """Column by column, in the order the files were made: only what is there says something.

    `stands` are (pipeline, stage, close date): the pipeline as named or the only one with that
    stage, else the one before, else the first one later, else the account's default.
    """
    found: dict[int, Told] = defaultdict(Told)
    pipelines: dict[int, list[tuple[date, str | None]]] = defaultdict(list)
    for file in files:
        for row in file.rows:
            deal = found[row["Record ID"]]
            for column in file.header:
                deal.values[column] = row[column]
            named = row["Pipeline"] if "Pipeline" in file.header else ONLY.get(row["Deal Stage"])
            pipelines[row["Record ID"]].append((file.day, named))
            deal.stands[file.day] = ("", row["Deal Stage"], row["Close Date"])
            deal.last_seen = file.day
    for deal_id, deal in found.items():
        for day, (_, stage, closed) in deal.stands.items():
            before = [name for at, name in pipelines[deal_id] if at <= day and name]
            later = [name for at, name in pipelines[deal_id] if at > day and name]
            pipeline = (before[-1:] or later[:1] or ["Sales Pipeline"])[0]
            deal.stands[day] = (IDS[pipeline], IDS[stage], closed)
    return found
