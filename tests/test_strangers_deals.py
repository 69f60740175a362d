"""What the ledger and the pipeline make of files as strangers have them.

The cases are those of tests/cases. test_strangers_files asks how their cells are read.
"""

import shutil
from datetime import date
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from conftest import CASES, build, build_only, mart

from ingestion.home import Home
from ingestion.landing.deciding import Landing
from publishing.gate.asking import Sets
from publishing.gate.expectations import EXPECTATIONS
from publishing.marts import attach


def built(home: Home, case: str, as_of: date) -> Path:
    """Marts of a case, whose folder lies over the home."""
    (folder,) = CASES.glob(f"{case}-*")
    shutil.copytree(folder, home.root, dirs_exist_ok=True)
    return build_only(home, as_of)


def status(marts: Path, columns: list[str]) -> pd.DataFrame:
    """Columns of `pipeline_status` by the deal's id without its system."""
    frame = mart(marts, "pipeline_status")
    return frame.set_index(frame["deal_id"].str.replace(r"^\w+:", "", regex=True))[columns]


def test_a_call_on_two_deals_is_the_last_activity_of_both(home: Home) -> None:
    last = status(built(home, "19", date(2026, 10, 20)), ["last_activity_at"])["last_activity_at"]
    # 10:00 in Stockholm in summer.
    assert last["4"] == last["7"] == pd.Timestamp("2026-09-28 08:00")


def test_tasks_that_nobody_did_are_no_contact(home: Home) -> None:
    columns = ["last_activity_at", "next_step_on"]
    found = status(built(home, "20", date(2026, 11, 24)), columns)
    overdue, coming, done, undated = (
        found.loc[f"0067E00000H000{n}QAB"] for n in ("0", "1", "2", "3")
    )
    assert overdue.isna()["last_activity_at"] and overdue.isna()["next_step_on"]
    assert undated.isna()["last_activity_at"] and undated.isna()["next_step_on"]
    assert coming.isna()["last_activity_at"]
    assert pd.Timestamp(coming["next_step_on"]) == pd.Timestamp("2026-12-20")
    # The task has a day only; it was ticked off on that day, at this moment.
    assert done["last_activity_at"] == pd.Timestamp("2026-06-10 15:00")


def test_planned_calls_are_next_steps_until_their_day_has_passed(home: Home) -> None:
    columns = ["last_activity_at", "next_step_on", "is_without_next_step"]
    found = status(built(home, "24", date(2026, 3, 25)), columns)
    for deal in ("H4", "H5"):
        assert pd.Timestamp(found["next_step_on"][deal]) == pd.Timestamp("2026-04-10")
        assert not found["is_without_next_step"][deal]
    assert found["is_without_next_step"]["H7"] and pd.isna(found["last_activity_at"]["H7"])


def test_days_are_days_of_the_companys_zone(home: Home) -> None:
    """Closed on 1 April in New York, the second quarter: the source's times are in UTC."""
    deals = mart(built(home, "20", date(2026, 11, 24)), "dim_deals")
    won = deals[deals["status"] == "won"]
    assert len(won) == 6
    assert set(pd.to_datetime(won["closed_on"])) == {pd.Timestamp("2026-04-01")}


def test_nothing_is_closed_after_as_of(home: Home) -> None:
    deals = mart(built(home, "23", date(2026, 10, 5)), "dim_deals")
    won = deals[deals["status"] == "won"]
    assert len(won) > 0
    assert (pd.to_datetime(won["closed_on"]) <= pd.Timestamp("2026-10-05")).all()


def test_a_task_done_before_it_was_due_is_contact_and_no_next_step(home: Home) -> None:
    (folder,) = CASES.glob("20-*")
    shutil.copytree(folder, home.root, dirs_exist_ok=True)
    (tasks,) = home.inbox.glob("Tasks*")
    text = tasks.read_text()
    tasks.write_text(text.replace("Made,Call,2026-06-10", "Made,Call,2026-12-10"))
    found = status(build_only(home, date(2026, 11, 24)), ["last_activity_at", "next_step_on"])
    made = found.loc["0067E00000H0002QAB"]
    assert made["last_activity_at"] == pd.Timestamp("2026-06-10 15:00")
    assert pd.isna(made["next_step_on"])


STAGES_OF_LOG = """
  - {pipeline_id: p, stage_id: Lead, position: 1, kind: open}
  - {pipeline_id: p, stage_id: Quote, position: 2, kind: open}
  - {pipeline_id: p, stage_id: Won, position: 3, kind: won}
  - {pipeline_id: p, stage_id: Lost, position: 4, kind: lost}
"""
LOG = f"""
system: log
doc: A log of stages, with when each deal was created
stages: {STAGES_OF_LOG}
files:
  log:
    doc: One row for each stage entered
    headers: [[Deal ID], [Entered at]]
    known_at: {{constant: 2026-02-20}}
    tables:
      deals:
        columns:
          {{deal_id: Deal ID, pipeline_id: {{constant: p}}, created_at: Created, amount: Amount,
           currency: {{constant: SEK}}}}
      deal_changes:
        columns:
          {{deal_id: Deal ID, field: {{constant: stage_id}}, new_value: Stage,
           occurred_at: Entered at, fidelity: {{constant: event_log}}}}
"""
# The same company's list: a deal, where it stands, and nothing of how it came there.
LIST = f"""
system: list
doc: A list of deals
stages: {STAGES_OF_LOG}
files:
  list:
    doc: Deals as they stand
    headers: [[Deal ID], [Closed]]
    known_at: {{file_name: '(\\d{{4}}-\\d{{2}}-\\d{{2}})'}}
    tables:
      deals:
        columns:
          {{deal_id: Deal ID, pipeline_id: {{constant: p}}, stage_id: Stage, created_at: Created,
           closed_at: Closed, seller_id: Seller}}
"""


def moves_of(marts: Path, deal: str) -> list[tuple[str, str | None, str, pd.Timestamp]]:
    """Kind, stage entered, fidelity and time (UTC) of each move; ids without their system."""
    frame = mart(marts, "fct_stage_transitions").sort_values("move_number")
    frame = frame[frame["deal_id"].str.split(":").str[1] == deal]
    stages = [s.split(":")[1] if isinstance(s, str) else None for s in frame["to_stage_id"]]
    columns = (frame["move_kind"], stages, frame["fidelity"], frame["occurred_at"])
    return list(zip(*columns, strict=True))


def entered(marts: Path, horizon: int = 90, definition: str = "won") -> pd.DataFrame:
    """Entries and those that reached the target, by pipeline and stage; `-` for the pipeline."""
    frame = mart(marts, "conversion_by_source")
    frame = frame[(frame["horizon_days"] == horizon) & (frame["definition_id"] == definition)]
    without_system = frame[["pipeline_id", "stage_id"]].replace(r"^\w+:", "", regex=True)
    keys = [without_system["pipeline_id"], without_system["stage_id"].fillna("-")]
    return frame.groupby(keys)[["n_entered", "n_mature", "n_reached"]].sum()


def test_a_log_that_begins_with_a_stage_begins_with_the_creation(home: Home) -> None:
    """Hours after a bare date of creation: the deal was never in the stage before."""
    (home.mappings / "log.yml").write_text(LOG)
    shutil.copy(CASES / "01-history-begins-later.csv", home.inbox)
    marts = build_only(home, date(2026, 3, 1))
    assert [move[:2] for move in moves_of(marts, "A1")] == [("create", "Quote"), ("won", "Won")]
    assert [m[:2] for m in moves_of(marts, "A2")] == [("create", "Lead"), ("advance", "Quote")]
    assert entered(marts)["n_entered"].to_dict() == {
        ("p", "-"): 2, ("p", "Lead"): 1, ("p", "Quote"): 2,
    }  # fmt: skip


def lists(home: Home, mapping: str = LIST) -> None:
    (home.mappings / "list.yml").write_text(mapping)
    (home.inbox / "list-2026-01-31.csv").write_text(
        "Deal ID,Stage,Created,Closed,Seller\n"
        "won,Won,2026-01-05,2026-01-25,Ann\n"
        "lost,Lost,2026-01-06,2026-01-20,Ann\n"
        "seen,Quote,2026-01-07,,Bo\n"
    )
    (home.inbox / "list-2026-05-31.csv").write_text(
        "Deal ID,Stage,Created,Closed,Seller\n"
        "seen,Won,2026-01-07,2026-03-01,Bo\n"
        "late,Lost,2026-02-10,2026-05-01,Bo\n"
        "still,Lead,2026-02-11,,Bo\n"
    )


def test_what_a_list_first_shows_was_entered_between_creation_and_that_sight(home: Home) -> None:
    lists(home)
    marts = build_only(home, date(2026, 6, 30))
    seen = moves_of(marts, "seen")
    assert [m[:3] for m in seen] == [
        ("create", None, "created_closed"),
        ("first_seen", "Quote", "snapshot_diff"),
        ("won", "Won", "created_closed"),
    ]
    frame = mart(marts, "fct_stage_transitions")
    row = frame[(frame["deal_id"] == "list:seen") & (frame["move_number"] == 2)].iloc[0]
    assert row["occurred_at_earliest"] == seen[0][3] < row["occurred_at"]
    assert pd.isna(row["seconds_in_from_stage"])
    found = entered(marts)
    # Nothing shows that anything but `still` was ever in the first stage.
    assert found["n_entered"].to_dict() == {
        ("p", "-"): 5, ("p", "Lead"): 1, ("p", "Quote"): 1,
    }  # fmt: skip
    assert found["n_reached"][("p", "-")] == 2


def test_conversion_since_the_creation_is_told_by_seller(home: Home) -> None:
    lists(home)
    marts = build_only(home, date(2026, 6, 30))
    frame = mart(marts, "conversion_by_seller")
    rows = (frame["definition_id"] == "won") & (frame["horizon_days"] == 90)
    frame = frame[rows & frame["stage_id"].isna()].groupby("seller_id")[["n_mature", "n_reached"]]
    assert frame.sum().to_dict("index") == {
        "list:Ann": {"n_mature": 2, "n_reached": 1}, "list:Bo": {"n_mature": 3, "n_reached": 1},
    }  # fmt: skip
    status = mart(marts, "pipeline_status")
    assert status["deal_id"].tolist() == ["list:still"]


def test_a_declared_start_is_counted_with_a_fidelity_of_its_own(home: Home) -> None:
    lists(
        home, LIST.replace("position: 1, kind: open}", "position: 1, kind: open, is_start: true}")
    )
    marts = build_only(home, date(2026, 6, 30))
    assert [m[:3] for m in moves_of(marts, "seen")] == [
        ("create", "Lead", "declared"),
        ("advance", "Quote", "snapshot_diff"),
        ("won", "Won", "created_closed"),
    ]
    assert entered(marts)["n_entered"][("p", "Lead")] == 5


def test_an_open_deal_of_no_known_stage_is_open_and_in_the_pipeline(home: Home) -> None:
    lists(home)
    (home.inbox / "list-2026-06-10.csv").write_text(
        "Deal ID,Stage,Created,Closed,Seller\nnew,,2026-06-05,,Ann\n"
    )
    marts = build_only(home, date(2026, 6, 30))
    deals = mart(marts, "dim_deals").set_index("deal_id")
    assert deals["status"]["list:new"] == "open" and pd.isna(deals["stage_id"]["list:new"])
    found = status(marts, ["stage_id", "days_in_stage"])
    assert pd.isna(found["stage_id"]["new"])
    changes = mart(marts, "fct_pipeline_changes")
    assert changes[changes["deal_id"] == "list:new"]["movement"].tolist() == ["new"]


def test_brackets_in_a_label_are_part_of_it(home: Home) -> None:
    found = entered(built(home, "15", date(2026, 10, 5)), 30, "next_any")
    assert found["n_reached"][("default", "Qualified")] == 8
    assert found["n_entered"][("default", "Qualified")] == 12
    assert found["n_entered"][("default", "Qualified (SQL)")] == 8


def test_stages_stay_in_the_pipeline_that_the_header_names(home: Home) -> None:
    moves = mart(built(home, "16", date(2026, 10, 5)), "fct_stage_transitions")
    first = moves[moves["deal_id"] == "hubspot:2"].sort_values("move_number")
    months = first["occurred_on"].astype("datetime64[ns]").dt.month.tolist()
    pipelines = first["to_pipeline_id"].str.removeprefix("hubspot:").tolist()
    kinds = first["move_kind"].tolist()
    assert list(zip(months, pipelines, kinds, strict=True)) == [
        (1, "default", "create"),
        (1, "default", "advance"),
        (3, "Partner Pipeline", "pipeline_change"),
        (4, "Partner Pipeline", "advance"),
        (5, "Partner Pipeline", "won"),
    ]


def test_a_won_deal_moved_on_stays_won_where_it_was_won(home: Home) -> None:
    marts = built(home, "17", date(2026, 10, 5))
    found = entered(marts)
    assert found["n_reached"][("default", "Proposal")] == 5
    assert found["n_entered"][("Onboarding", "Kickoff")] == 5
    assert found["n_reached"][("Onboarding", "Kickoff")] == 0
    deals = mart(marts, "dim_deals")
    won = deals[deals["status"] == "won"]
    assert len(won) == 5
    assert set(pd.to_datetime(won["closed_on"]).dt.month) == {3}
    assert len(mart(marts, "pipeline_status")) == 5
    changes = mart(marts, "fct_pipeline_changes")
    assert changes["movement"].value_counts().to_dict() == {"new": 10, "won": 5}
    assert mart(marts, "deal_credits")["status"].value_counts().to_dict() == {"won": 5, "open": 5}


def test_deals_created_in_a_later_stage_never_were_in_the_first(home: Home) -> None:
    marts = built(home, "18", date(2026, 10, 5))
    found = entered(marts)
    assert found["n_entered"][("default", "appointmentscheduled")] == 6
    assert found["n_entered"][("default", "qualifiedtobuy")] == 12
    visits = mart(marts, "fct_stage_visits")
    assert (visits[~visits["is_censored"]]["seconds_in_stage"] > 0).all()


LEADS = """
system: leads
doc: Leads and the deals they became
stages:
  - {pipeline_id: l, stage_id: Open, position: 1, kind: open, role: lead, is_start: true}
  - {pipeline_id: l, stage_id: Working, position: 2, kind: open, role: lead}
  - {pipeline_id: p, stage_id: Quote, position: 1, kind: open}
  - {pipeline_id: p, stage_id: Won, position: 2, kind: won}
files:
  leads:
    doc: Leads
    headers: [[Lead], [Converted]]
    known_at: {constant: 2026-09-30}
    tables:
      leads:
        columns:
          {lead_id: Lead, pipeline_id: {constant: l}, stage_id: Status, created_at: Created,
           converted_at: Converted, converted_deal_id: Deal}
  deals:
    doc: Deals
    headers: [[Deal], [Stage]]
    known_at: {constant: 2026-09-30}
    tables:
      deals:
        columns:
          {deal_id: Deal, pipeline_id: {constant: p}, stage_id: Stage, created_at: Created,
           closed_at: Closed}
"""


def test_leads_convert_on_their_day_with_or_without_a_deal(home: Home) -> None:
    marts = built(home, "21", date(2026, 10, 5))
    found = entered(marts, 30, "next_any")
    assert found["n_entered"][("leads", "Open - Not Contacted")] == 6
    assert found["n_reached"][("leads", "Open - Not Contacted")] == 3
    assert found["n_reached"][("leads", "-")] == 3
    moves = mart(marts, "fct_stage_transitions")
    converted = moves[moves["move_kind"] == "convert"]
    # The opportunity of the first is in no export.
    assert sorted(str(day)[8:10] for day in converted["occurred_on"]) == ["20", "22", "24"]


def test_a_lead_converted_into_an_older_deal_is_not_its_origin(home: Home) -> None:
    (home.mappings / "leads.yml").write_text(LEADS)
    (home.inbox / "leads.csv").write_text(
        "Lead,Status,Created,Converted,Deal\n"
        "late,Working,2026-05-01,2026-05-20,old\nown,Working,2026-01-02,2026-01-10,new\n"
    )
    (home.inbox / "deals.csv").write_text(
        "Deal,Stage,Created,Closed\nold,Won,2026-02-01,2026-06-01\nnew,Quote,2026-01-10,\n"
    )
    marts = build_only(home, date(2026, 10, 5))
    moves = mart(marts, "fct_stage_transitions").sort_values(["journey_id", "move_number"])
    kinds = moves.groupby("journey_id")["move_kind"].agg(list).to_dict()
    assert kinds == {
        "lead:leads:late": ["create", "advance", "convert"],
        "leads:new": ["create", "advance", "pipeline_change", "first_seen"],
        "leads:old": ["create", "won"],
    }
    late = moves[moves["journey_id"] == "lead:leads:late"]
    assert late["merged_into_journey_id"].tolist()[-1] == "leads:old"
    assert set(late["occurred_on"].astype(str).str[:10]) == {"2026-05-01", "2026-05-20"}
    found = entered(marts, 30, "next_any")
    assert found["n_reached"][("l", "-")] == found["n_entered"][("l", "-")] == 2


def files(home: Home, case: str, pattern: str, as_of: date) -> Path:
    """Marts of some of the files of a case."""
    (folder,) = CASES.glob(f"{case}-*")
    if (folder / "mappings").exists():
        shutil.copytree(folder / "mappings", home.mappings, dirs_exist_ok=True)
    for path in folder.glob(f"inbox/{pattern}"):
        shutil.copy(path, home.inbox)
    return build_only(home, as_of)


def test_of_two_exports_of_a_day_the_later_made_holds_and_the_conflict_is_listed(
    home: Home,
) -> None:
    marts = files(home, "26", "Opportunities*", date(2026, 10, 5))
    assert mart(marts, "dim_deals")["status"].value_counts().to_dict() == {"open": 15, "won": 5}
    conflicts = mart(marts, "export_conflicts")
    assert conflicts["column_name"].value_counts()["stage_id"] == 10
    assert (conflicts["n_values"] == 2).all()


def test_what_was_imported_with_old_dates_is_not_timed(home: Home) -> None:
    """Ten of the 30 in Appointment came by an import, two years after their create date."""
    marts = files(home, "26", "hubspot*", date(2026, 11, 20))
    found = entered(marts, 90, "next_any").loc[("default", "appointmentscheduled")]
    assert (found["n_entered"], found["n_mature"], found["n_reached"]) == (30, 20, 10)
    moves = mart(marts, "fct_stage_transitions")
    assert moves["seconds_in_from_stage"].max() < 90 * 86_400
    imported = moves[moves["occurred_on"].astype(str).str[:10] == "2026-02-01"]
    assert len(imported) == 30 and (imported["occurred_at_earliest"].dt.year == 2024).all()
    entries = mart(marts, "fct_stage_entries")
    assert entries["followed_from_at"].notna().sum() == 20 + 10 + 20


def test_the_stage_beside_lost_is_where_it_was_lost_from(home: Home) -> None:
    marts = files(home, "27", "pipedrive_deals*", date(2026, 11, 20))
    lost = mart(marts, "fct_stage_transitions").query("move_kind == 'lost'")
    left = lost["from_stage_id"].str.replace("pipedrive:", "").value_counts().to_dict()
    assert left == {"Proposal Made": 20, "Qualified": 10}
    assert not lost["is_order_inferred"].any()
    found = entered(marts, 365, "lost")
    assert found.loc[("default", "Proposal Made"), "n_entered"] == 20
    # Between the creation and the loss, four months: too wide to say within which time.
    assert found.loc[("default", "Proposal Made"), "n_mature"] == 0


@pytest.mark.parametrize(("case", "pattern"), [("25", "pipedrive*"), ("27", "opportunities*")])
def test_who_vanishes_from_lists_of_open_deals_is_followed_no_further(
    home: Home, case: str, pattern: str
) -> None:
    marts = files(home, case, pattern, date(2026, 11, 20))
    gone = mart(marts, "pipeline_status").groupby("is_gone")["last_seen_at"].agg(["size", "max"])
    assert gone["size"].to_dict() == {False: 15, True: 15}
    assert gone.loc[True, "max"] == pd.Timestamp("2026-03-01 22:59:59")
    created = mart(marts, "fct_stage_entries").query("stage_id.isnull()")
    assert created["followed_until_at"].value_counts().tolist() == [15, 15]
    found = entered(marts, 30, "won")
    assert found["n_entered"].max() == 30
    assert found["n_mature"].max() == 15


def test_closed_before_created_is_no_conversion_in_no_time(home: Home) -> None:
    (home.mappings / "list.yml").write_text(LIST)
    (home.inbox / "list-2026-05-31.csv").write_text(
        "Deal ID,Stage,Created,Closed,Seller\na,Won,2026-03-07,2026-02-10,Bo\n"
    )
    marts = build_only(home, date(2026, 6, 30))
    ((kind, stage, *_),) = moves_of(marts, "a")
    assert (kind, stage) == ("create", "Won")
    assert mart(marts, "fct_stage_entries").empty
    assert mart(marts, "dim_deals")["closed_on"].astype(str).tolist() == ["2026-02-10"]


def test_a_name_that_two_share_is_no_third_seller(home: Home) -> None:
    """Twenty-five deals of Anna Berg 51 and 52; a later view of others names her only by name."""
    marts = files(home, "25", "hubspot*", date(2026, 11, 24))
    sellers = mart(marts, "dim_sellers")
    assert set(sellers["seller_id"]) == {"hubspot:51", "hubspot:52", "hubspot:53"}
    named = mart(marts, "seller_aliases").set_index("alias_id")
    assert named.loc["hubspot:Anna Berg", "reason"] == "shared_name"
    assert pd.isna(named.loc["hubspot:Anna Berg", "seller_id"])
    deals = mart(marts, "dim_deals").set_index("deal_id")
    # She had them, whichever of the two she is.
    assert deals.loc["hubspot:9031", "seller_id"] == "hubspot:51"
    assert deals.loc["hubspot:9035", "seller_id"] == "hubspot:52"
    changes = mart(marts, "fct_pipeline_changes")
    assert not changes["movement"].str.contains("owner").any()


def test_a_name_in_four_spellings_is_one_seller(home: Home) -> None:
    marts = files(home, "27", "opportunities*", date(2026, 11, 20))
    sellers = {"salesforce:Eva Lind", "salesforce:Bo Lund"}
    assert set(mart(marts, "dim_sellers")["seller_id"]) == sellers
    told = mart(marts, "seller_aliases")
    assert set(told["reason"]) == {"other_spelling"}


def test_bytes_seen_again_are_that_state_again(home: Home) -> None:
    """Lost and moved by mistake on 2 October; on the 3rd and on 20 November all is as before."""
    marts = files(home, "28", "pipedrive*", date(2026, 11, 20))
    assert mart(marts, "dim_deals")["status"].value_counts().to_dict() == {"open": 20}
    seen = mart(marts, "pipeline_status")["last_seen_at"]
    assert set(seen.astype(str)) == {"2026-11-20 22:59:59"}
    kinds = [(kind, str(at)[:10]) for kind, _, _, at in moves_of(marts, "1")]
    assert kinds[-2:] == [("lost", "2026-10-02"), ("reopen_after_lost", "2026-10-03")]
    # As of the 2nd nobody knew.
    then = build_only(home, date(2026, 10, 2))
    assert mart(then, "dim_deals")["status"].value_counts()["lost"] == 5


def test_what_a_view_does_not_have_it_does_not_empty(home: Home) -> None:
    marts = files(home, "29", "hubspot*", date(2026, 11, 24))
    deals = mart(marts, "dim_deals").set_index("deal_id")
    narrow, twice, emea = (deals.loc[f"hubspot:{n}"] for n in (301, 201, 101))
    assert (narrow["stage_id"], narrow["seller_id"]) == ("hubspot:contractsent", "hubspot:Dan Alm")
    assert (float(narrow["amount"]), narrow["source"]) == (3001, "Paid Search")
    assert narrow["created_at"] == pd.Timestamp("2026-03-01 08:00")
    # Two views of one day, one with amounts, one with owners.
    assert (float(twice["amount"]), twice["seller_id"]) == (2001, "hubspot:Bo Lund")
    # An amount of no known currency stands beside one in the company's.
    assert (float(emea["amount"]), emea["currency"]) == (11511.5, "SEK")
    assert set(mart(marts, "fct_pipeline_changes")["movement"]) == {"new"}


def test_lines_of_one_export_that_contradict_are_counted_and_listed(home: Home) -> None:
    (home.mappings / "list.yml").write_text(LIST)
    (home.inbox / "list-2026-05-31.csv").write_text(
        "Deal ID,Stage,Created,Closed,Seller\n"
        "a,Lead,2026-01-07,,Bo\na,Lead,2026-01-07,,Bo\n"
        "b,Quote,2026-01-07,,Bo\nb,Lead,2026-01-07,,Ann\n"
    )
    marts = build_only(home, date(2026, 6, 30))
    deals = mart(marts, "dim_deals").set_index("deal_id")
    # The line further down, not the alphabet.
    assert deals.loc["list:b", ["stage_id", "seller_id"]].tolist() == ["list:Lead", "list:Ann"]
    conflicts = mart(marts, "export_conflicts")
    assert set(zip(conflicts["record_id"], conflicts["column_name"], strict=True)) == {
        ("list:b", "stage_id"), ("list:b", "seller_id"),
    }  # fmt: skip
    (landed,) = [f for f in Landing(home).run().files if f.name.startswith("list")]
    assert landed.notes["records that repeat one of deals"] == 2


def test_what_is_told_of_deals_that_no_export_knows_is_listed(home: Home) -> None:
    (home.mappings / "log.yml").write_text(
        LOG.replace("    tables:\n      deals:", "    names: [log*]\n    tables:\n      deals:")
        + """  changes:
    doc: Changes alone
    headers: [[Changed deal], [At]]
    known_at: {constant: 2026-02-20}
    tables:
      deal_changes:
        columns:
          {deal_id: Changed deal, field: {constant: stage_id}, new_value: To, occurred_at: At,
           fidelity: {constant: event_log}}
"""
    )
    shutil.copy(CASES / "01-history-begins-later.csv", home.inbox)
    (home.inbox / "changes.csv").write_text(
        "Changed deal,To,At\n" + "".join(f"gone{i},Quote,2026-01-1{i} 10:00\n" for i in range(6))
    )
    marts = build(home, date(2026, 3, 1))
    unknown = mart(marts, "unknown_deals")
    assert unknown["n_records"].sum() == 6
    assert set(unknown["n_records_of_system"]) == {10}
    (expectation,) = (e for e in EXPECTATIONS if e.tables == ("unknown_deals",))
    found = Sets.of(marts, None).found(expectation).now["finding"]
    assert found.tolist() == ["deal_changes of log"]


def test_types_that_no_mapping_names_are_told_and_no_contact(home: Home) -> None:
    marts = files(home, "27", "pipedrive*", date(2026, 11, 20))
    unmapped = mart(marts, "unmapped_activity_types").set_index("source_type")["n_activities"]
    assert unmapped.to_dict() == {"Demo": 1, "Site visit": 1, "Video call": 1, "WhatsApp": 1}
    last = status(marts, ["last_activity_at"])["last_activity_at"]
    assert last[["31", "36", "37", "38"]].notna().all()
    assert last[["32", "33", "34", "35"]].isna().all()
    (landed,) = [f for f in Landing(home).run().files if "activities" in f.name]
    assert landed.notes["type WhatsApp, which no mapping names"] == 1


def test_who_did_not_come_or_moved_the_meeting_was_not_met(home: Home) -> None:
    last = status(files(home, "27", "hubspot*", date(2026, 11, 20)), ["last_activity_at"])
    assert last["last_activity_at"].notna()[["6001", "6002", "6003"]].tolist() == [
        True, False, False,
    ]  # fmt: skip


def test_another_order_of_stages_changes_history_only_from_its_day(home: Home) -> None:
    """Reordered without a day, what was an advance would be told as a regress."""
    lists(home)
    (home.inbox / "list-2026-02-28.csv").write_text(
        "Deal ID,Stage,Created,Closed,Seller\nstill,Quote,2026-02-11,,Bo\n"
    )
    (home.inbox / "list-2026-06-10.csv").write_text(
        "Deal ID,Stage,Created,Closed,Seller\nstill,Lead,2026-02-11,,Bo\n"
    )
    ordered = LIST
    (expectation,) = (e for e in EXPECTATIONS if e.name == "moves_keep_their_kind")
    before = Path(shutil.copytree(build(home, date(2026, 6, 30)), home.root / "before"))

    def changed() -> list[str]:
        with duckdb.connect() as connection:
            attach(connection, before, "before")
            attach(connection, build(home, date(2026, 6, 30)), "now")
            found: list[str] = Sets(connection).found(expectation).now["finding"].tolist()
        return found

    assert "regress" in set(mart(before, "fct_stage_transitions")["move_kind"])
    turned = ordered.replace("Lead, position: 1", "Lead, position: 3").replace(
        "stage_id: Won, position: 3", "stage_id: Won, position: 4"
    )
    (home.mappings / "list.yml").write_text(turned)
    assert changed()[1:] == ["1 moves from list:Quote to list:Lead were regress and are advance"]
    dated = ordered.replace(
        "  - {pipeline_id: p, stage_id: Won",
        "  - {pipeline_id: p, stage_id: Lead, position: 3, kind: open, valid_from: 2026-06-20}\n"
        "  - {pipeline_id: p, stage_id: Won",
    )
    (home.mappings / "list.yml").write_text(dated)
    assert changed() == [""]


OUTCOMES = """
system: own
doc: Outcomes
stages:
  - {pipeline_id: p, stage_id: Open, position: 1, kind: open}
  - {pipeline_id: p, stage_id: Won, position: 2, kind: won}
  - {pipeline_id: p, stage_id: Lost, position: 3, kind: lost}
files:
  list:
    doc: Outcomes without a date
    headers: [[Number], [Result]]
    known_at: {constant: 2026-05-31}
    tables:
      deals:
        columns:
          {deal_id: Number, pipeline_id: {constant: p}, stage_id: Result, segment: Region,
           amount: Value, currency: {constant: SEK}}
"""


def test_of_rows_that_repeat_an_id_the_last_holds_and_what_contradicts_is_listed(
    home: Home,
) -> None:
    (home.mappings / "own.yml").write_text(OUTCOMES)
    shutil.copy(CASES / "03-repeated-ids.csv", home.inbox)
    marts = build_only(home, date(2026, 6, 30))
    deals = mart(marts, "dim_deals").set_index("deal_id")
    assert deals["status"].to_dict() == {"own:900": "lost", "own:901": "won", "own:902": "open"}
    assert deals.loc["own:900", ["amount", "segment"]].tolist() == [250, "South"]
    conflicts = mart(marts, "export_conflicts")
    assert set(conflicts["record_id"]) == {"own:900"}
    assert {"stage_id", "amount", "segment"} <= set(conflicts["column_name"])


def test_of_two_exports_of_a_day_the_later_made_holds_for_activities_and_sellers_too(
    home: Home,
) -> None:
    """What was planned in the morning and called off in the evening; a team that changed."""
    files(home, "27", "pipedrive_deals*", date(2026, 11, 20))
    head = "Activity - ID,Activity - Type,Activity - Due date,Activity - Done"
    (home.inbox / "activities-2026-11-20 0800.csv").write_text(
        f"{head},Deal - ID\n1,Meeting,2026-12-20,To do,31\n2,Call,2026-12-10,To do,32\n"
    )
    # Without the deals, which it does not empty.
    (home.inbox / "activities-2026-11-20 1800.csv").write_text(
        f"{head}\n1,Meeting,2026-12-05,To do\n2,Call,2026-11-20,Done\n"
    )
    found = status(build_only(home, date(2026, 11, 20)), ["next_step_on", "last_activity_at"])
    assert str(found["next_step_on"]["31"])[:10] == "2026-12-05"
    assert pd.isna(found["next_step_on"]["32"]) and found["last_activity_at"].notna()["32"]


def test_a_name_that_two_share_is_credited_as_nobody(home: Home) -> None:
    (home.mappings / "list.yml").write_text(
        LIST.replace("system: list", "system: own")
        + """  owners:
    doc: Owners
    headers: [[Id], [Name]]
    tables: {sellers: {columns: {seller_id: Id, name: Name, team: Team}}}
    known_at: {file_name: '(\\d{4}-\\d{2}-\\d{2})'}
  shares:
    doc: Shares of deals
    headers: [[Deal ID], [Share]]
    known_at: {file_name: '(\\d{4}-\\d{2}-\\d{2})'}
    tables: {deal_credits: {columns: {deal_id: Deal ID, seller_id: Seller, share: Share}}}
"""
    )
    (home.inbox / "list-2026-05-31.csv").write_text(
        "Deal ID,Stage,Created,Closed,Seller\na,Won,2026-01-05,2026-01-25,7\n"
    )
    (home.inbox / "owners-2026-05-31 0800.csv").write_text(
        "Id,Name,Team\n5,Bo Ek,South\n6,Bo Ek,South\n7,Ann Ek,South\n"
    )
    # The evening's list has another team, which sorts before.
    (home.inbox / "owners-2026-05-31 1800.csv").write_text(
        "Id,Name,Team\n5,Bo Ek,North\n6,Bo Ek,North\n7,Ann Ek,North\n"
    )
    # In the morning all of it was Bo's; in the evening half.
    (home.inbox / "shares-2026-05-31 0800.csv").write_text("Deal ID,Seller,Share\na,Bo Ek,1\n")
    (home.inbox / "shares-2026-05-31 1800.csv").write_text(
        "Deal ID,Seller,Share\na,Bo Ek,0.5\na,7,0.5\n"
    )
    marts = build_only(home, date(2026, 6, 30))
    credits = mart(marts, "deal_credits")
    shares = dict(zip(credits["seller_id"].fillna("nobody"), credits["share"], strict=True))
    assert {seller: float(share) for seller, share in shares.items()} == {
        "own:7": 0.5, "nobody": 0.5,
    }  # fmt: skip
    assert set(mart(marts, "dim_sellers")["team"]) == {"North"}
