"""Histories of leads and deals as hypothesis makes them up, and the files that tell of them.

Belongs here: what may happen to a deal and what sources may say of it, true or not.
Does not belong here: what the ledger should make of it (`reference`).
"""

import csv
from collections import defaultdict
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

Row = dict[str, Any]
Move = tuple[datetime, str, str]  # when, into which stage, of which pipeline

DAYS = (date(2026, 2, 28), date(2026, 3, 31), date(2026, 4, 30), date(2026, 5, 31))
COMPLETE = (DAYS[1], DAYS[3])
AS_OF = date(2026, 6, 15)
START = datetime(2026, 1, 5, 9, 0, 0)
# When an administrator edits many deals in one second.
BULK = (datetime(2026, 2, 10, 12, 0, 0), datetime(2026, 4, 10, 12, 0, 0))
STAGES = {"p": ("A", "B", "C", "D", "W", "L"), "q": ("X", "Y", "A", "W", "L")}
SELLERS = ("1", "2", "3")
GAPS = (0, 0, 20, 90, 1_800, 3_600, 7_200, 86_400, 86_400 * 9, 86_400 * 23)


@st.composite
def histories(draw: st.DrawFn) -> dict[str, list[Row]]:
    """Rows per input table of one deal or lead; `deal` and `lead` stand for their numbers."""
    rows: dict[str, list[Row]] = defaultdict(list)
    has_deal = draw(st.integers(0, 9)) > 0
    has_lead = not has_deal or draw(st.booleans())
    created = START + timedelta(seconds=draw(st.integers(0, 86_400 * 60)))
    if has_lead:
        _lead(draw, rows, created, has_deal)
    if not has_deal:
        return rows
    pipeline = draw(st.sampled_from("ppq"))
    kind = draw(st.sampled_from(["log", "log", "log", "none", "latest", "both"]))
    truth = _moves(draw, pipeline, created)
    if kind in ("log", "both"):
        _log(draw, rows, truth, created)
    if kind in ("latest", "both"):
        _latest(draw, rows, truth)
    _exports(draw, rows, truth, created, has_lead)
    for number in range(draw(st.integers(0, 3))):
        rows["activities"].append({
            "activity_id": f"{number}",
            "type": draw(st.sampled_from(["call", "call", "email", "meeting", "note", "other"])),
            "occurred_at": created + timedelta(days=draw(st.integers(0, 170))),
            "deal_id": draw(st.sampled_from(["deal", None])),
            "lead_id": draw(st.sampled_from(["lead", None])),
            "outcome": draw(st.sampled_from(["held", "canceled", "booked", None])),
            "contact_id": draw(st.sampled_from(["k1", "k2", None, None])),
            "phone": draw(st.sampled_from(["0701234567", "085550000", None])),
            "direction": draw(st.sampled_from(["outbound", "inbound", None])),
            "message": draw(st.sampled_from(["red", "blue", None])),
            "seller_id": draw(st.sampled_from([*SELLERS, "Ann"])),
            "is_deleted": draw(st.integers(0, 9)) == 0, "day": draw(st.sampled_from(DAYS)),
        })  # fmt: skip
    _invitations(rows, created)
    if draw(st.integers(0, 11)) == 0:
        merged_at = created + timedelta(days=draw(st.integers(1, 120)))
        rows["merges"].append({
            "deal_id": "deal", "merged_into_deal_id": draw(st.integers(0, 19)),
            "merged_at": draw(st.sampled_from([merged_at, None])),
            "day": draw(st.sampled_from(DAYS[2:])),
        })  # fmt: skip
    return rows


def _invitations(rows: dict[str, list[Row]], created: datetime) -> None:
    """A mail to a seminar, a reminder, and of some a sign-up: as the moment of creation has it."""
    number = created.minute
    for step, kind in enumerate(("email", "email", "signup")[: 2 + number % 2]):
        rows["activities"].append({
            "activity_id": f"invited{step}", "type": kind,
            "occurred_at": created + timedelta(days=1 + 5 * step), "deal_id": "deal",
            "outcome": "attended" if step == 2 and number % 4 == 1 else None,
            "seller_id": SELLERS[number % 3], "message": "red",
            "campaign_id": "breakfast", "reminder_no": step if kind == "email" else None,
            "is_deleted": False, "day": DAYS[-1],
        })  # fmt: skip


def _moves(draw: st.DrawFn, pipeline: str, created: datetime) -> list[Move]:
    at = created
    moves = [(created, draw(st.sampled_from(STAGES[pipeline][:2])), pipeline)]
    for _ in range(draw(st.integers(0, 7))):
        at += timedelta(seconds=draw(st.sampled_from(GAPS)))
        if draw(st.integers(0, 9)) == 0:
            at = max(at, draw(st.sampled_from(BULK)))
        # Some are moved on when they are won: to onboarding, say.
        if draw(st.integers(0, 2 if moves[-1][1] == "W" else 14)) == 0:
            pipeline = "q" if pipeline == "p" else "p"
        before = moves[-1]
        bounce = len(moves) > 1 and draw(st.integers(0, 3)) == 0
        stage = draw(st.sampled_from(STAGES[pipeline]))
        if bounce:
            _, stage, pipeline = moves[-2]
        if (stage, pipeline) != before[1:] or draw(st.integers(0, 4)) == 0:
            moves.append((at, stage, pipeline))
    return moves


def _log(
    draw: st.DrawFn,
    rows: dict[str, list[Row]],
    truth: list[Move],
    created: datetime,
) -> None:
    day = draw(st.sampled_from(DAYS))
    has_old, has_sequence = draw(st.booleans()), draw(st.booleans())
    misses_first = draw(st.integers(0, 3)) == 0
    by_status = draw(st.integers(0, 4)) == 0
    names_pipeline = draw(st.booleans())
    before: str | None = None
    status = "open"
    where = truth[0][2]
    for number, (at, stage, pipeline) in enumerate(truth):
        closing = stage in ("W", "L")
        common = {
            "deal_id": "deal", "occurred_at": at, "fidelity": "event_log", "day": day,
            "recorded_at": at + timedelta(days=draw(st.sampled_from([0, 0, 0, 5]))),
            "sequence": number if has_sequence else None,
            "changed_by": "admin" if at in BULK else draw(st.sampled_from(SELLERS)),
            "change_source": draw(st.sampled_from(["ui", "ui", "api", "bulk"])),
        }  # fmt: skip
        if not (number == 0 and misses_first) and not (by_status and closing):
            old = before if has_old else None
            rows["changes"].append(
                {**common, "field": "stage_id", "old_value": old, "new_value": stage,
                 "pipeline_id": pipeline if names_pipeline else None}
            )  # fmt: skip
        if not (by_status and closing):
            before = stage
        now = {"W": "won", "L": "lost"}.get(stage, "open")
        if by_status and now != status:
            old = status if has_old else None
            rows["changes"].append(
                {**common, "field": "status", "old_value": old, "new_value": now}
            )
            status = now
        if pipeline != where and not names_pipeline:
            change = {"field": "pipeline_id", "old_value": where, "new_value": pipeline}
            rows["changes"].append({**common, **change})
            where = pipeline
    for name, values in (
        ("seller_id", SELLERS), ("amount", ("100", "250.50", "90")), ("segment", ("S", "M")),
        ("expected_close_on", ("2026-03-15", "2026-07-01", "2026-11-30")),
        ("source", ("web", "fair")), ("business_area", ("east", "west")),
    ):  # fmt: skip
        at, old = created, None
        for number in range(draw(st.integers(0, 2))):
            at += timedelta(seconds=draw(st.sampled_from((0, 30, 60, 3_600, 86_400 * 15))))
            value = draw(st.sampled_from(values))
            rows["changes"].append({
                "deal_id": "deal", "field": name, "old_value": old, "new_value": value,
                "occurred_at": at, "recorded_at": at, "fidelity": "event_log", "day": day,
                "sequence": number,
            })  # fmt: skip
            old, at = value, at + timedelta(seconds=1)


def _latest(draw: st.DrawFn, rows: dict[str, list[Row]], truth: list[Move]) -> None:
    """Date columns per stage: the latest entry, as a bare date or with its time."""
    is_bare, names_pipeline = draw(st.booleans()), draw(st.booleans())
    day = draw(st.sampled_from(DAYS))
    for (pipeline, stage), at in {
        (pipeline if names_pipeline else None, stage): at for at, stage, pipeline in truth
    }.items():
        midnight = at.replace(hour=0, minute=0, second=0)
        rows["changes"].append({
            "deal_id": "deal", "field": "stage_id", "new_value": stage, "day": day,
            "pipeline_id": pipeline,
            "occurred_at": midnight if is_bare else at, "fidelity": "latest_per_stage",
        })  # fmt: skip


def _exports(
    draw: st.DrawFn,
    rows: dict[str, list[Row]],
    truth: list[Move],
    created: datetime,
    has_lead: bool,
) -> None:
    lead = "lead" if has_lead and draw(st.booleans()) else None
    has_created = draw(st.integers(0, 7)) > 0
    deal_type = draw(st.sampled_from(["new", "renewal", None]))
    days = [day for day in DAYS if draw(st.integers(0, 3))] or [DAYS[3]]
    has_log = any(
        change["field"] == "stage_id" and change["occurred_at"].date() <= change["day"]
        for change in rows["changes"]
    )
    for day in days:
        end = datetime(day.year, day.month, day.day, 21, 0, 0)
        if created > end and day != days[-1]:
            continue
        done = [move for move in truth if move[0] <= end] or truth[:1]
        at, stage, pipeline = done[-1]
        if draw(st.integers(0, 5)) == 0:  # hours old, or simply wrong
            stage = draw(st.sampled_from(STAGES[pipeline]))
        if has_log and draw(st.integers(0, 11)) == 0:
            stage = None
        status, closed = None, None
        if stage in ("W", "L"):
            closed = draw(st.sampled_from([at, at, at - timedelta(days=3), None]))
            if draw(st.booleans()):
                status = "won" if stage == "W" else "lost"
                stage = draw(st.sampled_from(STAGES[pipeline][:2]))
        rows["deals"].append({
            "deal_id": "deal", "lead_id": lead,
            "account_id": draw(st.sampled_from(["a1", "a2", None])),
            "seller_id": draw(st.sampled_from([*SELLERS, "Ann", "ANN", "Bo", None])),
            "pipeline_id": pipeline, "stage_id": stage,
            "status": status, "amount": draw(st.sampled_from(["100", "250.50", None])),
            "currency": draw(st.sampled_from(["SEK", "EUR", "NOK"])),
            "source": draw(st.sampled_from(["web", None])),
            "business_area": draw(st.sampled_from(["east", None])),
            "segment": draw(st.sampled_from(["S", None])), "deal_type": deal_type,
            "created_at": created if has_created else None, "closed_at": closed,
            "expected_close_on": draw(st.sampled_from(["2026-03-15", "2026-08-01", None])),
            "is_deleted": draw(st.integers(0, 19)) == 0, "day": day,
        })  # fmt: skip


def _lead(draw: st.DrawFn, rows: dict[str, list[Row]], created: datetime, has_deal: bool) -> None:
    begun = created - timedelta(seconds=draw(st.sampled_from((-3_600, 0, 40, 86_400 * 12))))
    converts = has_deal and draw(st.integers(0, 3)) > 0
    dated = draw(st.booleans())
    # Sometimes the lead of a deal that another lead became too.
    deal = "deal" if draw(st.integers(0, 5)) else draw(st.integers(0, 19))
    for day in [day for day in DAYS if draw(st.booleans())] or [DAYS[3]]:
        rows["leads"].append({
            "lead_id": "lead", "lead_stage": draw(st.sampled_from(["N", "K", "J", None])),
            "source": draw(st.sampled_from(["web", "fair", None])),
            "seller_id": draw(st.sampled_from([*SELLERS, "Bo"])),
            "segment": draw(st.sampled_from(["S", "M", None])),
            "created_at": begun, "converted_at": created if converts and dated else None,
            "converted_deal_id": deal if converts else None,
            "is_deleted": draw(st.integers(0, 14)) == 0, "day": day,
        })  # fmt: skip


# --- files ---------------------------------------------------------------------------------------


def write(found: list[dict[str, list[Row]]], inbox: Path) -> None:
    """The files of one company whose deals and leads had these histories."""
    files: dict[str, list[Row]] = defaultdict(list)
    for number, history in enumerate(found):
        for table, rows in history.items():
            for row in rows:
                names = {k: _named(k, v, number, len(found)) for k, v in row.items() if k != "day"}
                name = table
                if table == "deals":
                    name = "all" if row["day"] in COMPLETE else "part"
                files[f"{name}-{row['day']}"].append(names)
    files[f"credits-{DAYS[3]}"] = [
        {"deal_id": "d0", "seller_id": "1", "share": "0.5"},
        {"deal_id": "d0", "seller_id": "2", "share": "0.5"},
    ]
    for day in DAYS:
        other = "M" if day == DAYS[2] else "S"
        files[f"accounts-{day}"] = [
            {"account_id": "a1", "account_segment": "L"},
            {"account_id": "a2", "account_segment": other},
        ]
    files[f"contacts-{DAYS[3]}"] = [
        {"contact_id": key, "account_id": account, "email": f"{key}@x.se", "phone": phone}
        for key, account, phone in (
            ("k1", "a1", "070-123 45 67"), ("k2", "a1", "08-555 00 00"), ("k3", "a1", "08-5550000"),
        )
    ]  # fmt: skip
    files["sellers"] = [
        {"seller_id": key, "name": name, "team": "t"}
        for key, name in zip(SELLERS, ("Ann", "Bo", "Bo"), strict=True)
    ]
    files["rates"] = [
        {
            "rate_on": START.date() + timedelta(days=i),
            "currency": "EUR",
            "rate": f"{11 + i / 100:.2f}",
        }
        for i in range(0, 160, 3)
        if not 40 < i < 60  # the bank was closed for weeks
    ]
    files["experiments"] = [{
        "experiment_id": "x", "variants": "a: 50, b: 50", "unit": "contact",
        "primary_outcome": "meeting_held", "window_days": 30, "start_on": START.date(),
        "end_on": None,
    }]  # fmt: skip
    files["assignments"] = [
        {"experiment_id": "x", "unit_id": f"crm:{key}", "variant": variant,
         "assigned_at": START + timedelta(days=60)}
        for key, variant in (("k1", "a"), ("k2", "b"), ("k9", "b"))
    ]  # fmt: skip
    quarter = {"period_start_on": START.date(), "period_end_on": START.date() + timedelta(90)}
    files["goals"] = [
        {"scope": "company", **quarter, "amount": "900000"},
        {"scope": "segment", "scope_id": "S", **quarter, "amount": "90000", "currency": "EUR"},
        {"scope": "seller", "scope_id": "Ann", **quarter, "amount": "1000"},
        {"scope": "seller", "scope_id": "Bo", **quarter, "amount": "2000"},
    ]
    files["actions"] = [
        {"action_on": START.date() + timedelta(days=30), "scope": "seller", "scope_id": "Ann",
         "kind": "skill", "metric": "forward_rate"},
    ]  # fmt: skip
    for name in ("experiments", "assignments", "goals", "actions"):
        (inbox / f"{name}.csv.known_at").write_text(f"{AS_OF - timedelta(days=1)}")
    # One list has fewer columns, and was downloaded twice that day, the second time with more.
    again = f"part-{DAYS[2]} (1)"
    files[again] = [{**row, "business_area": "north"} for row in files[f"part-{DAYS[2]}"][::2]]
    lacks = {
        f"part-{DAYS[2]}": {"amount", "currency", "seller_id", "account_id"},
        again: {"source", "amount", "currency", "segment", "lead_id", "pipeline_id"},
    }
    for name, rows in files.items():
        columns = [
            column
            for column in dict.fromkeys(column for row in rows for column in row)
            if column not in lacks.get(name, ())
        ]
        with (inbox / f"{name}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, columns, restval="", extrasaction="ignore")
            writer.writeheader()
            writer.writerows({k: _text(v) for k, v in row.items()} for row in rows)


def _named(column: str, value: Any, number: int, total: int) -> Any:
    """A number of a history stands for its deal; `deal` and `lead` are this one's."""
    if column == "activity_id":
        return f"{number}-{value}"
    if value in ("deal", "lead"):
        return f"{value[0]}{number}"
    if column in ("merged_into_deal_id", "converted_deal_id") and isinstance(value, int):
        return f"d{(number - number % 20 + value) % total}"
    return value


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    return "" if value is None else str(value)


def made_up(n: int, number: int) -> list[dict[str, list[dict[str, Any]]]]:
    """`n` histories; the same number gives the same ones where the same modules are imported."""
    found: list[dict[str, list[dict[str, Any]]]] = []

    @seed(number)
    @settings(
        max_examples=n, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(histories())
    def collect(history: dict[str, list[dict[str, Any]]]) -> None:
        found.append(history)

    collect()
    return found
