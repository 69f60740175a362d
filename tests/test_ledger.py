"""The ledger against a reference in plain Python, and the same content whatever the files."""

import csv
import gzip
import io
import random
import shutil
from collections import Counter
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import build, hashes, mart

from ingestion.home import Home
from simulation.company import Company, simulate
from simulation.hubspot import write_home

DAY = date(2026, 6, 30)


@pytest.fixture(scope="module")
def company() -> Company:
    return simulate(400, 3, DAY)


@pytest.fixture(scope="module")
def simulated(company: Company, tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, Path]:
    root = tmp_path_factory.mktemp("simulated") / "home"
    write_home(company, root)
    home = Home.at(root)
    home.prepare()
    return home, build(home, DAY)


def reference(company: Company) -> list[tuple[Any, ...]]:
    """Every move of every deal, from the simulated histories and the written definitions alone."""
    ranks = {stage.key: i for i, stage in enumerate(company.parameters.stages, start=1)}
    ranks["won"] = len(ranks) + 1
    found = []
    for deal in company.deals:
        before: tuple[datetime, str] | None = None
        for number, (at, stage) in enumerate(deal.known(company.until), start=1):
            moved = None
            if before is None:
                kind = "create"
            elif stage == "lost":
                kind = "lost"
            elif before[1] == "lost":
                kind = "won" if stage == "won" else "reopen_after_lost"
            else:
                moved = ranks[stage] - ranks[before[1]]
                kind = "skip" if moved > 1 else "advance" if moved == 1 else "regress"
                kind = "won" if stage == "won" else kind
            later = deal.later_seller and number > 1
            seller = deal.later_seller if later else deal.seller
            seconds = int((at - before[0]).total_seconds()) if before else None
            amount = None if deal.amount is None else float(deal.amount)
            found.append(
                (
                    f"hubspot:{100_000 + deal.number}",
                    number,
                    kind,
                    moved,
                    at.replace(tzinfo=None),
                    seconds,
                    f"hubspot:{7_000 + company.parameters.sellers.index(seller)}",
                    deal.segment,
                    deal.source,
                    deal.business_area,
                    amount,
                )
            )
            before = (at, stage)
    return sorted(found, key=lambda row: (row[0], row[1]))


def test_every_move_equals_the_reference(company: Company, simulated: tuple[Home, Path]) -> None:
    columns = ["deal_id", "move_number", "kind", "stages_moved", "occurred_at",
               "seconds_in_from_stage", "seller_id", "segment", "source", "business_area",
               "amount"]  # fmt: skip
    found = mart(simulated[1], "fct_stage_transitions")[columns]
    expected = pd.DataFrame(reference(company), columns=columns)
    kinds = Counter(expected["kind"])
    assert set(kinds) == {
        "create", "advance", "skip", "regress", "won", "lost", "reopen_after_lost"
    }  # fmt: skip
    found = found.sort_values(["deal_id", "move_number"]).reset_index(drop=True)
    pd.testing.assert_frame_equal(
        found.astype(object).where(found.notna(), None),
        expected.astype(object).where(expected.notna(), None),
        check_dtype=False,
    )


def test_visits_are_the_moves_and_end_where_the_next_begins(simulated: tuple[Home, Path]) -> None:
    moves = mart(simulated[1], "fct_stage_transitions")
    visits = mart(simulated[1], "fct_stage_visits")
    assert len(visits) == len(moves)
    per_deal = visits.sort_values("visit_number").groupby("journey_id")
    assert (per_deal["is_censored"].sum() == 1).all()
    followed = per_deal["entered_at"].shift(-1)
    assert (visits["left_at"] == followed.reindex(visits.index))[~visits["is_censored"]].all()


def test_entries_are_exits_and_what_is_still_there(simulated: tuple[Home, Path]) -> None:
    """entered = advanced + skipped + regressed + won + lost + reopened + still there, per stage."""
    moves = mart(simulated[1], "fct_stage_transitions")
    visits = mart(simulated[1], "fct_stage_visits")
    entered = moves.groupby("to_stage_id").size()
    left = moves.groupby("from_stage_id").size()
    open_now = visits[visits["is_censored"]].groupby("stage_id").size()
    total = left.add(open_now, fill_value=0).astype(int)
    assert total.to_dict() == entered.to_dict()


def test_the_last_stage_of_the_ledger_is_the_exports(simulated: tuple[Home, Path]) -> None:
    deals = mart(simulated[1], "dim_deals").set_index("deal_id")["stage_id"]
    visits = mart(simulated[1], "fct_stage_visits").query("is_censored")
    assert visits.set_index("deal_id")["stage_id"].to_dict() == deals.to_dict()


def test_conversion_counts_equal_a_recount_from_the_histories(
    company: Company, simulated: tuple[Home, Path]
) -> None:
    """Won, lost and both next-stage definitions within 180 days, per stage, in plain Python."""
    keys = [stage.key for stage in company.parameters.stages]
    counts: Counter[tuple[str, str, str]] = Counter()
    for deal in company.deals:
        moves = deal.known(company.until)
        for i, stage in enumerate(keys):
            entries = [n for n, (_, s) in enumerate(moves) if s == stage]
            if not entries:
                continue
            at = moves[entries[0]][0]
            later = moves[entries[0] + 1 :]
            beyond = {*keys[i + 1 :], "won"}
            nearest = {keys[i + 1]} if i + 1 < len(keys) else {"won"}
            reached = {
                "next_any": [t for t, s in later if s in beyond],
                "next_direct": [t for t, s in later[:1] if s in nearest],
                "won": [t for t, s in later if s == "won"],
                "lost": [t for t, s in later if s == "lost"],
            }
            mature = (company.until - at).total_seconds() >= 180 * 86_400
            for definition, times in reached.items():
                hit = bool(times) and (times[0] - at).total_seconds() <= 180 * 86_400
                counts[stage, definition, "n_entered"] += 1
                counts[stage, definition, "n_mature"] += mature
                counts[stage, definition, "n_reached"] += mature and hit
    for cut in ("segment", "seller", "source"):
        found = mart(simulated[1], f"conversion_by_{cut}").query("horizon_days == 180")
        summed = found.groupby(["stage_id", "definition_id"])[
            ["n_entered", "n_mature", "n_reached"]
        ].sum()
        got = {
            (stage.removeprefix("hubspot:"), definition, column): value
            for (stage, definition), row in summed.iterrows()
            for column, value in row.items()
        }
        assert got == dict(counts)


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
    simulated: tuple[Home, Path], tmp_path: Path
) -> None:
    home, marts = simulated
    other = Home.at(tmp_path / "home")
    other.prepare()
    shutil.copy(home.mappings / "hubspot.yml", other.mappings)
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
    simulated: tuple[Home, Path], company: Company, tmp_path: Path
) -> None:
    """Yesterday's figures come out again after today's exports have arrived."""
    _, marts = simulated
    root = tmp_path / "home"
    write_home(company, root)
    home = Home.at(root)
    home.prepare()
    write_home(simulate(450, 3, date(2026, 7, 31)), tmp_path / "later")
    for path in (tmp_path / "later" / "inbox").iterdir():
        shutil.copy(path, home.inbox)
    assert hashes(build(home, DAY)) == hashes(marts)
    later = mart(build(home, date(2026, 7, 31)), "dim_deals")
    assert len(later) == 450


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
    moves = mart(build(home, date(2026, 4, 1)), "fct_stage_transitions")
    found = moves.sort_values(["deal_id", "move_number"])[
        ["deal_id", "kind", "fidelity", "occurred_at_earliest", "occurred_at"]
    ].map(str)
    assert found.to_numpy().tolist() == [
        ["sheet:d", "create", "created_closed", "NaT", "2026-01-09 23:00:00"],
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
    moves = mart(build(home, date(2030, 1, 1)), "fct_stage_transitions")
    found = moves.sort_values(["deal_id", "move_number"])[["deal_id", "kind", "fidelity"]]
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
    assert moves[["kind", "seller_id", "amount"]].to_numpy().tolist() == [
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
    moves["move"] = moves["kind"] + " " + moves["to_stage_id"].str.partition(":")[2]
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
        # Created, it says, long after the export.
        + "typo,2026-03-31,A,2062-01-10,,,,\n"
        # From one pipeline to another whose stage has the same name.
        + "moved,2026-01-31,A,,,default,,\nmoved,2026-02-28,A,,,other,,\n"
        + "moved,2026-03-31,D,,,other,,\n"
        # Two shown stages with an export between them that names none.
        + "gap,2026-01-31,A,,,,,\ngap,2026-02-28,,,,,,\ngap,2026-03-31,B,,,,,\n"
    )
    marts = build(home, date(2026, 4, 2))
    moves = mart(marts, "fct_stage_transitions")
    assert kinds(moves) == {
        "sheet:back": ["create A", "advance B", "won Won"],
        "sheet:gap": ["create A", "advance B"],
        "sheet:moved": ["create A", "pipeline_change A", "advance D"],
        "sheet:sameday": ["create A", "won Won"],
        "sheet:twice": ["create A", "lost Lost", "reopen_after_lost B", "lost Lost"],
        "sheet:typo": ["create A"],
    }
    gap = moves.query("deal_id == 'sheet:gap' and kind == 'advance'").iloc[0]
    assert str(gap["occurred_at_earliest"]) == "2026-01-31 22:59:59"
    won = moves.query("kind == 'won'").set_index("deal_id")
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
    for day, stage, owner in (
        ("2026-02-28", "Qualified To Buy", "7"),
        ("2026-03-31", "Qualified To Buy", "7"),
        ("2026-04-30", "Contract Sent", "8"),
    ):
        (home.inbox / f"hubspot-crm-exports-all-deals-{day}.csv").write_text(
            header + f"1,{stage},2026-01-10 11:00,{owner}\n"
        )
    # On the log's own day the two disagree, and that is listed.
    (listed,) = mart(build(home, date(2026, 4, 1)), "ledger_disagreements").to_dict("records")
    assert (listed["export_stage_id"], listed["ledger_stage_id"], listed["reason"]) == (
        "hubspot:qualifiedtobuy",
        "hubspot:presentationscheduled",
        "log_is_as_new_as_the_export",
    )
    marts = build(home, date(2026, 5, 1))
    assert mart(marts, "ledger_disagreements").empty
    moves = mart(marts, "fct_stage_transitions")
    assert kinds(moves)["hubspot:1"] == [
        "create appointmentscheduled",
        "advance qualifiedtobuy",
        "advance presentationscheduled",
        "skip contractsent",
    ]
    moves = moves.sort_values("move_number")
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
    moves = mart(build(home, date(2026, 6, 1)), "fct_stage_transitions")
    assert kinds(moves) == {"crm:d": ["create A", "advance B", "advance C", "won Won"]}
    moves = moves.sort_values("move_number")
    assert moves["seller_id"].map(str).tolist() == ["crm:Ann", "crm:Ann", "nan", "nan"]
    assert moves["segment"].map(str).tolist() == ["nan", "nan", "Small", "Large"]
