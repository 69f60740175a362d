"""The ledger against a reference in plain Python, and the same content whatever the files."""

import csv
import gzip
import io
import random
import shutil
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import against_reference, build, build_by_dbt, build_only, hashes, mart, reference
from reference import Reference

from analysis import conversion
from analysis.entries import Entries
from analysis.intervals import wilson
from ingestion.home import Home
from simulation.company import Company
from simulation.histories import simulate
from simulation.home import write_drop, write_home

DAY = date(2026, 6, 30)
REOPEN_GRACE = timedelta(days=90)  # of the company file, where it says nothing


@pytest.fixture(scope="module")
def company() -> Company:
    return simulate(400, 3, DAY)


@pytest.fixture(scope="module")
def hubspot(company: Company, tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, Path]:
    return built_with("hubspot", company, tmp_path_factory)


@pytest.fixture(scope="module")
def salesforce(company: Company, tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, Path]:
    return built_with("salesforce", company, tmp_path_factory)


def built_with(
    crm: str, company: Company, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Home, Path]:
    root = tmp_path_factory.mktemp(crm) / "home"
    write_home(company, root, crm)
    home = Home.at(root)
    home.prepare()
    return home, build(home, DAY)


@pytest.fixture(params=["hubspot", "salesforce"])
def simulated(request: pytest.FixtureRequest) -> Path:
    """Marts of the invented company, whichever CRM it has."""
    found: tuple[Home, Path] = request.getfixturevalue(request.param)
    return found[1]


def test_every_move_equals_the_reference(simulated: Path) -> None:
    assert against_reference(simulated) == []


def test_what_people_did_to_the_crm_is_flagged(
    company: Company, hubspot: tuple[Home, Path]
) -> None:
    """Misclicks, bulk edits and moves of one second, as many as were planted."""
    planted: Counter[str] = Counter()
    for deal in company.deals:
        if deal.is_shown(company.until):
            for change in deal.known(company.until):
                planted["is_mistake"] += change.is_mistake
                planted["is_bulk"] += change.source == "bulk"
                planted["is_order_inferred"] += change.source == "workflow"
    moves = mart(hubspot[1], "fct_stage_transitions")
    assert all(planted.values())
    assert {name: int(moves[name].sum()) for name in planted} == dict(planted)


def test_visits_are_the_moves_and_end_where_the_next_begins(simulated: Path) -> None:
    moves = mart(simulated, "fct_stage_transitions")
    visits = mart(simulated, "fct_stage_visits")
    assert len(visits) == moves["to_stage_id"].notna().sum()
    followed = moves.sort_values("move_number").groupby("journey_id")["occurred_at"].shift(-1)
    moves["left_at"] = followed
    joined = visits.merge(
        moves, left_on=["journey_id", "visit_number"], right_on=["journey_id", "move_number"]
    )
    ended = ~joined["is_censored"]
    assert (joined["left_at_x"] == joined["left_at_y"])[ended].all()
    assert joined["left_at_y"][~ended].isna().all()


def test_weekly_flow_equals_a_recount_of_the_moves(simulated: Path) -> None:
    """In and out of each open stage by week, and who is there at its end, from the moves alone."""
    moves = mart(simulated, "fct_stage_transitions")
    flow = mart(simulated, "stage_flow")
    is_open = mart(simulated, "dim_stages").query("stage_kind == 'open'")["stage_id"]
    monday = pd.to_datetime(moves["occurred_on"]).dt.to_period("W-SUN").dt.start_time
    entries = moves[moves["to_stage_id"].isin(is_open)].assign(week=monday)
    exits = moves[moves["from_stage_id"].isin(is_open)].assign(week=monday)
    flow["week"] = pd.to_datetime(flow["week_on"])
    by_week = flow.groupby(["stage_id", "week"]).sum(numeric_only=True)
    entered = entries.groupby(["to_stage_id", "week"]).size()
    assert by_week["n_entered"][lambda n: n > 0].to_dict() == entered.to_dict()
    names = {
        "advance": "n_advanced", "skip": "n_skipped", "regress": "n_regressed", "won": "n_won",
        "lost": "n_lost", "pipeline_change": "n_handed_over", "delete": "n_deleted",
    }  # fmt: skip
    # A lead converted without a deal of its own has been handed over too.
    exits["move_kind"] = exits["move_kind"].replace("convert", "pipeline_change")
    for kind, column in names.items():
        left = exits[exits["move_kind"] == kind].groupby(["from_stage_id", "week"]).size()
        assert by_week[column][lambda n: n > 0].to_dict() == left.to_dict(), kind
    left = exits.groupby("from_stage_id").size()
    stays = entered.groupby(level=0).sum().sub(left, fill_value=0)
    last_week = by_week.index.get_level_values("week").max()
    at_end = by_week.xs(last_week, level="week")["n_open_at_end"][lambda n: n > 0]
    assert at_end.to_dict() == stays[stays > 0].astype(int).to_dict()


def test_the_open_pipeline_equals_a_recount_at_any_day(simulated: Path) -> None:
    """Opening of every period by seller, from the moves and the attributes in force then."""
    known = reference(simulated)
    movement = mart(simulated, "pipeline_movement").query("movement == 'opening'")
    movement["seller_id"] = movement["seller_id"].fillna("")
    counted: Counter[tuple[date, str, str]] = Counter()
    moves = defaultdict(list)
    for row in known.moves():
        if row["record_type"] == "deal":
            moves[row["journey_id"]].append(row)
    quarters = movement.query("period == 'quarter'")
    days = sorted(set(quarters["period_start_on"]))
    for deal, rows in moves.items():
        sellers = known.history(deal, "seller_id")
        amounts = known.history(deal, "amount")
        for day in days:
            before = [r for r in rows if known.run.day(r["occurred_at"]) < day.date()]
            if not before or before[-1]["to_stage_id"] is None:
                continue
            last = before[-1]
            where = last["to_pipeline_id"], last["to_stage_id"], day.date()
            if known.book.kind(*where) != "open":
                continue
            seller = [v for at, v in sellers if at.year == 1900 or known.run.day(at) < day.date()]
            amount = [v for at, v in amounts if at.year == 1900 or known.run.day(at) < day.date()]
            counted[day, seller[-1], "n"] += 1
            counted[day, seller[-1], "amount"] += float(amount[-1] or 0) if amount else 0
    summed = quarters.groupby(["period_start_on", "seller_id"])[["n_deals", "amount"]].sum()
    found = {(day, seller, "n"): row["n_deals"] for (day, seller), row in summed.iterrows()}
    found |= {(day, seller, "amount"): row["amount"] for (day, seller), row in summed.iterrows()}
    assert found == dict(counted)


def test_the_status_of_open_deals_equals_a_recount(
    company: Company, hubspot: tuple[Home, Path]
) -> None:
    """Age, pushes, last activity, next step and overdue, from the simulated histories."""
    until = company.until
    last = {}
    for activity in company.activities:
        if activity.outcome == "NO_SHOW":
            continue
        last[activity.deal.number] = max(
            activity.occurred_at, last.get(activity.deal.number, activity.occurred_at)
        )
    expected = {}
    for deal in company.deals:
        if not deal.is_shown(until) or deal.known(until)[-1].value in ("won", "lost"):
            continue
        moves = [move for move in deal.known(until) if not move.is_mistake]
        entered = moves[-1]
        while len(moves) > 1 and moves[-1].value == moves[-2].value:
            entered = moves.pop()
        pushed, before = 0, None
        for change in deal.known(until, "close_date"):
            pushed += before is not None and change.value > before
            before = change.value
        contact = last.get(deal.number)
        silent = (until - (contact or entered.at)).total_seconds() / 86_400
        expected[f"hubspot:{100_000 + deal.number}"] = (
            round((until - entered.at).total_seconds() / 86_400, 6),
            pushed,
            contact.replace(tzinfo=None) if contact else None,
            silent >= 30,
            deal.next_step_days is None,
            before < DAY,
        )
    found = {
        row["deal_id"]: (
            round(row["days_in_stage"], 6),
            row["n_pushed"],
            None if pd.isna(row["last_activity_at"]) else row["last_activity_at"],
            row["is_idle"],
            row["is_without_next_step"],
            row["is_overdue"],
        )
        for row in mart(hubspot[1], "pipeline_status").to_dict("records")
    }
    assert len(found) > 30
    assert found == expected


def test_an_amount_changed_after_the_win_is_listed_and_changes_nothing_else(
    company: Company, hubspot: tuple[Home, Path]
) -> None:
    planted = set()
    for deal in company.deals:
        stage, amounts = deal.known(company.until)[-1], deal.known(company.until, "amount")
        if deal.is_shown(company.until) and len(amounts) > 1 and amounts[-1].at > stage.at:
            planted.add((f"hubspot:{100_000 + deal.number}", float(amounts[-1].value)))
    found = mart(hubspot[1], "amount_restatements")
    assert {(r["deal_id"], r["amount"]) for r in found.to_dict("records")} == planted != set()
    changes = mart(hubspot[1], "fct_pipeline_changes")
    joined = found.merge(changes, on=["deal_id", "occurred_at"])
    assert joined.empty


def test_what_was_won_leaves_the_pipeline_for_what_it_was_won_for(simulated: Path) -> None:
    moves = mart(simulated, "fct_stage_transitions").query("move_kind == 'won'")
    changes = mart(simulated, "fct_pipeline_changes").query("movement == 'won'")
    assert len(moves) == len(changes) > 20
    assert -changes["amount_base"].sum() == moves["amount_base"].sum()


def test_the_last_stage_of_the_ledger_is_the_exports(simulated: Path) -> None:
    deals = mart(simulated, "dim_deals").query("status not in ('deleted', 'merged')")
    visits = mart(simulated, "fct_stage_visits").query("is_censored and record_type == 'deal'")
    expected = deals.set_index("deal_id")["stage_id"].to_dict()
    assert visits.set_index("deal_id")["stage_id"].to_dict() == expected


def test_conversion_counts_equal_a_recount_of_the_reference(simulated: Path) -> None:
    """Won, lost and both next-stage definitions within 180 days, per stage, in plain Python."""
    known = reference(simulated)
    renewals = {d for d, rows in known.deals.items() if rows[-1]["deal_type"] == "renewal"}
    journeys = defaultdict(list)
    for row in known.moves():
        if not row["is_correction"]:
            journeys[row["journey_id"]].append(row)
    counts: Counter[tuple[Any, ...]] = Counter()
    for journey, moves in journeys.items():
        if journey in renewals or moves[-1]["move_kind"] == "merge":
            continue
        seen = set()
        for i, entry in enumerate(moves):
            stage = entry["to_pipeline_id"], entry["to_stage_id"]
            day = known.run.day(entry["occurred_at"])
            if None in stage or stage in seen or known.book.kind(*stage, day) != "open":
                continue
            seen.add(stage)
            reached = _reached(known, entry, moves[i + 1 :])
            assert not (reached["won"] and reached["lost"])
            followed = (known.run.as_of_at - entry["occurred_at"]).total_seconds()
            earliest = entry["occurred_at_earliest"]
            if entry["fidelity"] != "snapshot_diff" and earliest is None:
                earliest = entry["occurred_at"]
            is_timed = earliest is not None and entry["occurred_at"] - earliest <= timedelta(45)
            mature = followed >= 180 * 86_400 and is_timed
            for definition, move in reached.items():
                hit = move is not None and _days(entry, move["occurred_at"]) <= 180
                # Reached between two times, one within the horizon and one beyond it.
                since = move and move["occurred_at_earliest"]
                is_unknown = bool(
                    since
                    and not hit
                    and _days(entry, since) <= 180
                    and move["occurred_at"] - since > timedelta(45)
                )
                for cut in ("segment", "seller_id", "source"):
                    group = cut, stage[1], definition, entry[cut], day.replace(day=1)
                    counts[*group, "n_entered"] += 1
                    counts[*group, "n_unknown"] += mature and is_unknown
                    counts[*group, "n_mature"] += mature and not is_unknown
                    counts[*group, "n_reached"] += mature and hit
    for cut in ("segment", "seller_id", "source"):
        expected: Counter[tuple[str, str, str]] = Counter()
        for group in {key[:-1] for key in counts if key[0] == cut}:
            n = {name: counts[*group, name] for name in ("n_entered", "n_mature", "n_reached")}
            unknown = counts[*group, "n_unknown"]
            if unknown > 0.02 * (n["n_mature"] + unknown):
                n["n_mature"] = n["n_reached"] = 0
            for name, value in n.items():
                expected[group[1], group[2], name] += value
        table = f"conversion_by_{cut.removesuffix('_id')}"
        found = mart(simulated, table).query("horizon_days == 180")
        columns = ["n_entered", "n_mature", "n_reached"]
        summed = found.groupby(["stage_id", "definition_id"])[columns].sum()
        got = {
            (stage, definition, column): value
            for (stage, definition), row in summed.iterrows()
            for column, value in row.items()
        }
        assert got == dict(expected)


def _days(entry: dict[str, Any], at: datetime) -> float:
    return (at - entry["occurred_at"]).total_seconds() / 86_400


def _reached(
    known: Reference, entry: dict[str, Any], later: list[dict[str, Any]]
) -> dict[str, dict[str, Any] | None]:
    """The move after an entry by which each target was reached."""
    targets = ("next_any", "next_direct", "won", "lost")
    found: dict[str, dict[str, Any] | None] = dict.fromkeys(targets)
    pipeline = entry["to_pipeline_id"]
    kinds = [
        known.book.kind(m["to_pipeline_id"], m["to_stage_id"], known.run.day(m["occurred_at"]))
        for m in later
    ]
    for i, move in enumerate(later):
        day, at = known.run.day(move["occurred_at"]), move["occurred_at"]
        kind = known.book.kind(move["to_pipeline_id"], move["to_stage_id"], day)
        further = kind == "won"
        further = further or (move["is_conversion"] and entry["record_type"] == "lead")
        if move["to_pipeline_id"] == pipeline:
            there, here = _place(known, entry, day), _place(known, move, day)
            is_open = known.book.kind(pipeline, move["to_stage_id"], day) == "open"
            further = further or (is_open and here > there)
        if further:
            found["next_any"] = found["next_any"] or move
        if i == 0 and move["move_kind"] in ("advance", "won") and move["stages_moved"] == 1:
            found["next_direct"] = move
        if kind == "won" and not found["won"]:
            found["won"] = move
        if kind == "lost" and not found["won"]:
            back = [
                m["occurred_at"]
                for m, k in zip(later[i + 1 :], kinds[i + 1 :], strict=True)
                if k in ("open", "won")
            ]
            if not back or back[0] - at > REOPEN_GRACE:
                found["lost"] = move
                break
    return found


def test_outcomes_are_the_same_deals_by_every_dimension(simulated: Path) -> None:
    (counts,) = mart(simulated, "deal_counts").to_dict("records")
    for name in ("segment", "seller", "source", "business_area"):
        found = mart(simulated, f"outcomes_by_{name}")
        for status in ("open", "won", "lost"):
            assert found[f"n_{status}"].sum() == counts[f"n_{status}"], (name, status)
    moves = mart(simulated, "fct_stage_transitions")
    won = moves[(moves["move_kind"] == "won") & ~moves["is_after_win"]]
    last = won.sort_values("move_number").drop_duplicates("deal_id", keep="last")
    deals = mart(simulated, "dim_deals").query("status == 'won'")
    last = last[last["deal_id"].isin(deals["deal_id"])]
    expected = last.groupby("seller_id", dropna=False).size()
    found = mart(simulated, "outcomes_by_seller").set_index("seller_id")["n_won"]
    assert expected.to_dict() == found[found > 0].to_dict()


def test_estimates_of_finished_cohorts_equal_their_counts(simulated: Path) -> None:
    """Of deals entered a year ago and earlier nothing is left to estimate."""
    frame = mart(simulated, "fct_stage_entries").query("record_type == 'deal'")
    months = frame["entered_month"] <= pd.Timestamp("2025-05-01")
    found = conversion.conversion_tables(Entries(frame[months]))[0].query("dimension == 'segment'")
    counts = mart(simulated, "conversion_by_segment")
    assert set(counts["horizon_days"]) == set(conversion.HORIZONS)
    counts = counts[counts["entered_month"] <= pd.Timestamp("2025-05-01")]
    bounds = wilson(counts["reached_rate"], counts["n_mature"])
    for column, bound in zip(("low_rate", "high_rate"), bounds, strict=True):
        assert (counts[column] - bound).abs().max() < 1e-9
    keys = ["pipeline_id", "stage_id", "segment", "definition_id", "horizon_days"]
    columns = ["n_entered", "n_mature", "n_reached"]
    counted = counts.groupby(keys, dropna=False)[columns].sum().reset_index()
    joined = counted.merge(found.rename(columns={"dimension_value": "segment"}), on=keys)
    assert len(joined) == len(found) > 200
    assert (joined["n_entered_x"] == joined["n_entered_y"]).all()
    assert (joined["n_mature_x"] == joined["n_entered_x"]).all()
    assert (joined["n_reached"] == joined["n_events"]).all()
    rate = joined["n_reached"] / joined["n_mature_x"]
    assert (joined["estimated_rate"] - rate).abs().max() <= 0.5e-6 + 1e-12


def _place(known: Reference, move: dict[str, Any], day: date) -> tuple[int, float]:
    """Rank on a day; a stage out of use comes before the one in use that has its rank."""
    stage = move["to_pipeline_id"], move["to_stage_id"]
    row, rank = known.book.on(*stage, day), known.book.rank(*stage, day)
    if row is None or rank is None:
        return 0, 0.0
    ends = row["valid_to"]
    return rank, -1.0 if ends is not None and ends < day else 0.0


# --- the same content, whatever the files --------------------------------------------------------


def _read(path: Path) -> list[list[str]]:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", newline="") as file:
        return list(csv.reader(file))


def _write(path: Path, rows: list[list[str]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    data = text.getvalue().encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def test_content_is_independent_of_file_split_order_and_columns(
    hubspot: tuple[Home, Path], tmp_path: Path
) -> None:
    home, marts = hubspot
    other = Home.at(tmp_path / "home")
    other.prepare()
    shutil.copytree(home.mappings, other.mappings, dirs_exist_ok=True)
    shuffle = random.Random(1)
    for path in home.inbox.iterdir():
        header, *rows = _read(path)
        shuffle.shuffle(rows)
        order = shuffle.sample(range(len(header)), len(header))
        rows = [[row[i] for i in order] + ["more"] for row in rows]
        header = [header[i] for i in order] + ["A column nobody asked for"]
        for part, cut in (("b", rows[::2]), ("a", rows[1::2] + rows[:5])):
            _write(other.inbox / f"{part}-{path.name}", [header, *cut])
    assert hashes(build(other, DAY)) == hashes(marts)


def test_an_earlier_day_knows_only_the_exports_of_that_day(
    hubspot: tuple[Home, Path], company: Company, tmp_path: Path
) -> None:
    """Yesterday's figures come out again after today's exports have arrived."""
    _, marts = hubspot
    root = tmp_path / "home"
    write_home(company, root)
    home = Home.at(root)
    home.prepare()
    write_home(simulate(450, 3, date(2026, 7, 31)), tmp_path / "later")
    for path in (tmp_path / "later" / "inbox").iterdir():
        if not path.name.startswith(("goals", "actions")):  # the other's, stated on the same day
            shutil.copy(path, home.inbox)
    assert hashes(build(home, DAY)) == hashes(marts)
    later = mart(build_only(home, date(2026, 7, 31)), "dim_deals")
    assert len(later) == 450


def test_content_is_the_same_by_dbt_in_four_threads_and_with_stages_renamed(
    hubspot: tuple[Home, Path], company: Company, tmp_path: Path
) -> None:
    home, marts = hubspot
    expected = hashes(marts)
    folder = shutil.move(marts, tmp_path / "kept")
    assert hashes(build_by_dbt(home, DAY, threads=4)) == expected == hashes(folder)
    areas = tuple(
        replace(
            area,
            stages=tuple(replace(s, label=f"New {s.label}", old_label=None) for s in area.stages),
        )
        for area in company.parameters.areas
    )
    renamed = simulate(400, 3, DAY, replace(company.parameters, areas=areas))
    write_home(renamed, tmp_path / "home")
    other = Home.at(tmp_path / "home")
    other.prepare()
    found = hashes(build(other, DAY))
    assert {name for name in found if found[name] != expected[name]} == {"dim_stages"}


@pytest.fixture(scope="module")
def dropped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, Company]:
    """A drop of exports every ten days for two months."""
    root = tmp_path_factory.mktemp("dropped") / "home"
    company = simulate(150, 9, DAY)
    write_home(company, root, "salesforce", drops=1)
    for ago in range(10, 61, 10):
        write_drop(company, root / "inbox", "salesforce", DAY - timedelta(ago))
    home = Home.at(root)
    home.prepare()
    return home, company


EARLIER = DAY - timedelta(30)


def test_replayed_drops_equal_the_reference(dropped: tuple[Home, Company]) -> None:
    assert against_reference(build(dropped[0], DAY)) == []


def test_a_past_day_reconstructed_is_what_was_known_then(
    dropped: tuple[Home, Company], tmp_path: Path
) -> None:
    """With that day's exports at hand the two cuts agree; without them, in all that is logged."""
    home, company = dropped
    known = build(home, EARLIER)
    assert hashes(build(home, EARLIER, "as_reconstructed")) == hashes(known)
    other = Home.at(tmp_path / "later")
    write_home(company, other.root, "salesforce")
    other.prepare()
    assert mart(build_only(other, EARLIER), "fct_stage_transitions").empty
    later = build(other, EARLIER, "as_reconstructed")
    columns = [
        "journey_id",
        "to_stage_id",
        "move_kind",
        "stages_moved",
        "occurred_at",
        "is_correction",
    ]
    before, after = (
        mart(marts, "fct_stage_transitions").query(
            "record_type == 'deal' and move_kind != 'delete'"
        )
        for marts in (known, later)
    )
    # Salesforce logs an owner only when it changes: the others are known from later exports alone.
    assert after["segment"].isna().all() and before["segment"].notna().all()
    told = after.merge(before, on=["journey_id", "occurred_at", "to_stage_id"])
    told = told[told["seller_id_x"].notna()]
    assert len(told) and (told["seller_id_x"] == told["seller_id_y"]).all()
    moved = [frame.sort_values(["journey_id", "move_number"])[columns] for frame in (before, after)]
    assert len(moved[0]) > 300
    pd.testing.assert_frame_equal(*(frame.reset_index(drop=True) for frame in moved))


def test_snapshots_keep_both_bounds_of_what_happened_between_them(home: Home) -> None:
    (home.mappings / "sheet.yml").write_text(
        "stages:\n"
        "  - {pipeline_id: default, stage_id: A, position: 1, kind: open}\n"
        "  - {pipeline_id: default, stage_id: B, position: 2, kind: open}\n"
        "  - {pipeline_id: default, stage_id: Won, position: 3, kind: won}\n"
    )
    (home.inbox / "list.csv").write_text(
        "Deal,Snapshot date,Stage,Created,Closed\n"
        "d,2026-01-31,A,2026-01-10,\n"
        "d,2026-02-28,B,2026-01-10,\n"
        "d,2026-03-31,Won,2026-01-10,2026-03-20 12:00\n"
        "e,2026-02-28,B,,\n"
    )
    moves = mart(build_only(home, date(2026, 4, 1)), "fct_stage_transitions")
    found = moves.sort_values(["deal_id", "move_number"])[
        ["deal_id", "move_kind", "fidelity", "occurred_at_earliest", "occurred_at"]
    ].map(str)
    assert found.to_numpy().tolist() == [
        ["sheet:d", "create", "created_closed", "NaT", "2026-01-09 23:00:00"],
        ["sheet:d", "first_seen", "snapshot_diff", "2026-01-09 23:00:00", "2026-01-31 22:59:59"],
        ["sheet:d", "advance", "snapshot_diff", "2026-01-31 22:59:59", "2026-02-28 22:59:59"],
        ["sheet:d", "won", "created_closed", "NaT", "2026-03-20 11:00:00"],
        ["sheet:e", "create", "snapshot_diff", "NaT", "2026-02-28 22:59:59"],
    ]


def test_a_wide_sheet_has_the_latest_entry_per_stage(home: Home) -> None:
    (home.mappings / "sheet.yml").write_text(
        "stages:\n"
        "  - {pipeline_id: default, stage_id: A, position: 1, kind: open}\n"
        "  - {pipeline_id: default, stage_id: B, position: 2, kind: open}\n"
        "  - {pipeline_id: default, stage_id: Lost, position: 3, kind: lost}\n"
    )
    (home.inbox / "wide.csv").write_text(
        "Deal,Entered A,Entered B,Entered Lost,Stage,Closed\n"
        "d,2026-01-10,2026-02-01,2026-03-01,Lost,2026-03-01\n"
        "e,2026-01-10,,,A,\n"
    )
    moves = mart(build_only(home, date(2030, 1, 1)), "fct_stage_transitions")
    found = moves.sort_values(["deal_id", "move_number"])[["deal_id", "move_kind", "fidelity"]]
    assert found.to_numpy().tolist() == [
        ["sheet:d", "create", "latest_per_stage"],
        ["sheet:d", "advance", "latest_per_stage"],
        ["sheet:d", "lost", "latest_per_stage"],
        ["sheet:e", "create", "latest_per_stage"],
    ]


def test_a_long_sheet_is_a_log_and_places_the_deal_where_it_last_was(home: Home) -> None:
    (home.mappings / "sheet.yml").write_text(
        "stages:\n"
        "  - {pipeline_id: default, stage_id: A, position: 1, kind: open}\n"
        "  - {pipeline_id: default, stage_id: B, position: 2, kind: open}\n"
    )
    (home.inbox / "long.csv").write_text(
        "Deal,Stage,Entered at,Owner,Amount\n"
        "d,A,2026-01-10,Ann,100\n"
        "d,B,2026-02-01,Bo,120\n"
        "d,A,2026-03-01,Bo,120\n"
    )
    marts = build(home, date(2030, 1, 1))
    moves = mart(marts, "fct_stage_transitions").sort_values("move_number")
    assert moves[["move_kind", "seller_id", "amount"]].to_numpy().tolist() == [
        ["create", "sheet:Ann", 100.0],
        ["advance", "sheet:Bo", 120.0],
        ["regress", "sheet:Bo", 120.0],
    ]
    deal = mart(marts, "dim_deals").iloc[0]
    assert (deal["stage_id"], deal["status"]) == ("sheet:A", "open")


PIPELINE = """stages:
  - {pipeline_id: default, stage_id: A, position: 1, kind: open}
  - {pipeline_id: default, stage_id: B, position: 2, kind: open}
  - {pipeline_id: default, stage_id: C, position: 3, kind: open}
  - {pipeline_id: default, stage_id: Won, position: 4, kind: won}
  - {pipeline_id: default, stage_id: Lost, position: 5, kind: lost}
  - {pipeline_id: other, stage_id: A, position: 1, kind: open}
  - {pipeline_id: other, stage_id: D, position: 2, kind: open}
"""
SNAPSHOTS = "Deal,Snapshot date,Stage,Created,Closed,Pipeline,Owner,Amount\n"
LOG = "dealId,property,value,timestamp\n"


def kinds(moves: pd.DataFrame) -> dict[str, list[str]]:
    """Per deal, its moves as `kind stage`."""
    moves = moves.sort_values(["deal_id", "move_number"])
    stages = moves["to_stage_id"].str.partition(":")[2].fillna("-")
    moves["move"] = moves["move_kind"] + " " + stages
    return moves.groupby("deal_id")["move"].agg(list).to_dict()


def test_dates_that_contradict_each_other_leave_the_deal_where_the_export_has_it(
    home: Home,
) -> None:
    (home.mappings / "sheet.yml").write_text(PIPELINE)
    (home.inbox / "list.csv").write_text(
        SNAPSHOTS
        # Closed by its bare date on the day it was created.
        + "sameday,2026-03-31,Won,2026-03-20 09:00,2026-03-20,,,\n"
        # A close dated back before a stage that an export has shown since.
        + "back,2026-01-31,A,2026-01-10,,,,\nback,2026-02-28,B,2026-01-10,,,,\n"
        + "back,2026-03-31,Won,2026-01-10,2026-02-10,,,\n"
        # Lost, reopened, lost again with the first loss's date.
        + "twice,2026-01-31,Lost,2026-01-10,2026-01-20,,,\ntwice,2026-02-28,B,2026-01-10,,,,\n"
        + "twice,2026-03-31,Lost,2026-01-10,2026-01-20,,,\n"
        # From one pipeline to another whose stage has the same name.
        + "moved,2026-01-31,A,,,default,,\nmoved,2026-02-28,A,,,other,,\n"
        + "moved,2026-03-31,D,,,other,,\n"
        # Two shown stages with an export between them that names none.
        + "gap,2026-01-31,A,,,,,\ngap,2026-02-28,,,,,,\ngap,2026-03-31,B,,,,,\n"
    )
    marts = build(home, date(2026, 4, 2))
    moves = mart(marts, "fct_stage_transitions")
    assert kinds(moves) == {
        "sheet:back": ["create -", "first_seen A", "advance B", "won Won"],
        "sheet:gap": ["create A", "advance B"],
        "sheet:moved": ["create A", "pipeline_change A", "advance D"],
        "sheet:sameday": ["create -", "won Won"],
        "sheet:twice": ["create -", "lost Lost", "reopen_after_lost B", "lost Lost"],
    }
    gap = moves.query("deal_id == 'sheet:gap' and move_kind == 'advance'").iloc[0]
    assert str(gap["occurred_at_earliest"]) == "2026-01-31 22:59:59"
    won = moves.query("move_kind == 'won'").set_index("deal_id")
    assert won["is_time_inferred"].to_dict() == {"sheet:back": True, "sheet:sameday": True}
    last = mart(marts, "fct_stage_visits").query("is_censored").set_index("deal_id")["stage_id"]
    assert last.to_dict() == mart(marts, "dim_deals").set_index("deal_id")["stage_id"].to_dict()
    assert mart(marts, "ledger_disagreements").empty


def test_an_export_older_than_the_log_adds_nothing_and_a_newer_one_does(home: Home) -> None:
    (home.inbox / "deal-property-history-2026-03-31.csv").write_text(
        LOG
        + "1,dealstage,appointmentscheduled,2026-01-10T10:00:00Z\n"
        + "1,hubspot_owner_id,7,2026-01-10T10:00:00Z\n"
        + "1,dealstage,qualifiedtobuy,2026-02-01T10:00:00Z\n"
        + "1,dealstage,presentationscheduled,2026-02-28T15:00:00Z\n"
        # First known only when the deal was all but won.
        + "1,segment,Large,2026-02-28T15:00:00Z\n"
    )
    header = "Record ID,Deal Stage,Create Date,Deal owner\n"
    for day, stage, owner, more in (
        ("2026-02-28", "Qualified To Buy", "7", ""),
        ("2026-03-31", "Qualified To Buy", "7", "2,Contract Sent,2026-03-01 11:00,7\n"),
        ("2026-04-30", "Contract Sent", "8", ""),
    ):
        (home.inbox / f"hubspot-crm-exports-all-deals-{day}.csv").write_text(
            header + f"1,{stage},2026-01-10 11:00,{owner}\n" + more
        )
    # On the log's own day the two disagree, and that is listed.
    (listed,) = mart(build_only(home, date(2026, 4, 1)), "ledger_disagreements").to_dict("records")
    assert (listed["claimed_stage_id"], listed["ledger_stage_id"], listed["reason"]) == (
        "hubspot:qualifiedtobuy",
        "hubspot:presentationscheduled",
        "log_is_as_new_as_the_export",
    )
    marts = build(home, date(2026, 5, 1))
    (listed,) = mart(marts, "ledger_disagreements").to_dict("records")
    assert (listed["is_current"], listed["reason"]) == (False, "export_contradicts_the_ledger")
    moves = mart(marts, "fct_stage_transitions")
    assert kinds(moves)["hubspot:1"] == [
        "create appointmentscheduled",
        "advance qualifiedtobuy",
        "advance presentationscheduled",
        "skip contractsent",
    ]
    moves = moves[moves["deal_id"] == "hubspot:1"].sort_values("move_number")
    assert moves["seller_id"].tolist() == ["hubspot:7", "hubspot:7", "hubspot:7", "hubspot:8"]
    assert moves["segment"].map(str).tolist() == ["nan", "nan", "Large", "Large"]


def test_a_deal_grown_out_of_a_lead_is_not_created_again_and_has_what_was_in_force(
    home: Home,
) -> None:
    (home.mappings / "crm.yml").write_text(
        PIPELINE
        + """
system: crm
doc: leads, deals and companies
files:
  leads:
    doc: leads
    headers: [[Lead], [Status]]
    known_at: {file_name: '(\\d{4}-\\d\\d-\\d\\d)'}
    tables:
      leads:
        columns: {lead_id: Lead, pipeline_id: {constant: default}, stage_id: Status,
                  seller_id: Owner, created_at: Created}
  deals:
    doc: deals
    headers: [[Deal], [From lead]]
    known_at: {file_name: '(\\d{4}-\\d\\d-\\d\\d)'}
    tables:
      deals:
        columns: {deal_id: Deal, lead_id: From lead, pipeline_id: {constant: default},
                  stage_id: Stage, created_at: Created, account_id: Company}
  companies:
    doc: companies
    headers: [[Company], [Size]]
    known_at: {file_name: '(\\d{4}-\\d\\d-\\d\\d)'}
    tables:
      accounts:
        columns: {account_id: Company, segment: Size}
""".replace("\\\\", "\\")
    )
    for name, text in {
        "leads-2026-01-31.csv": "Lead,Status,Owner,Created\nl,B,Ann,2026-01-10\n",
        "leads-2026-02-28.csv": "Lead,Status,Owner,Created\nl,B,Bo,2026-01-10\n",
        "companies-2026-01-31.csv": "Company,Size\nc,Small\n",
        "companies-2026-04-30.csv": "Company,Size\nc,Large\n",
        "deals-2026-03-31.csv": "Deal,From lead,Stage,Created,Company\nd,l,C,2026-02-05,c\n",
        "deals-2026-05-31.csv": "Deal,From lead,Stage,Created,Company\nd,l,Won,2026-02-05,c\n",
    }.items():
        (home.inbox / name).write_text(text)
    moves = mart(build_only(home, date(2026, 6, 1)), "fct_stage_transitions")
    assert kinds(moves) == {"crm:d": ["create -", "first_seen B", "advance C", "won Won"]}
    moves = moves.sort_values("move_number")
    assert moves["seller_id"].map(str).tolist() == ["crm:Ann", "crm:Ann", "nan", "nan"]
    assert moves["segment"].map(str).tolist() == ["nan", "nan", "Small", "Large"]
