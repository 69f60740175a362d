"""Real data sets, end to end, against counts made here straight from the files with pandas."""

import shutil
from datetime import date
from decimal import Decimal
from functools import partial
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from conftest import MAPPINGS, build, hashes, mart, set_company, shared

from analysis import conversion
from analysis.activities import activity_estimates
from analysis.comparisons import activity_comparisons
from analysis.entries import Entries
from analysis.estimates import Marts
from ingestion.home import Home
from ingestion.landing.deciding import Landing
from ingestion.landing.manifest import read_manifests
from ingestion.landing.receipts import all_receipts
from publishing.frames import read_mart
from publishing.marts import opened

OLIST_ZONE, OLIST_DAY = "America/Sao_Paulo", date(2018, 11, 14)
MAVEN_ZONE, MAVEN_DAY = "America/Chicago", date(2017, 12, 31)


def _prepare(root: Path, zone: str, mapping: str, files: list[Path]) -> Home:
    home = Home.at(root)
    home.prepare()
    set_company(home, zone=zone, currency="USD")
    shutil.copy(MAPPINGS / mapping, home.mappings)
    for file in files:
        shutil.copy(file, home.inbox)
    return home


# --- Olist ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def olist(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, Path]:
    """(leads with their win, from the files alone; folder of marts)"""
    folder = shared("olist_funnel")
    leads = pd.read_csv(folder / "olist_marketing_qualified_leads_dataset.csv")
    deals = pd.read_csv(folder / "olist_closed_deals_dataset.csv")
    leads["source"] = leads["origin"].where(leads["origin"] != "unknown")
    joined = leads.merge(deals[["mql_id", "won_date"]], on="mql_id", how="left")
    entered = pd.to_datetime(joined["first_contact_date"]).dt.tz_localize(
        OLIST_ZONE, nonexistent="shift_forward"
    )
    won = pd.to_datetime(joined["won_date"]).dt.tz_localize(OLIST_ZONE)
    # One deal was won before its lead's first contact: the lead cannot have come later.
    joined["inverted"] = won < entered
    joined["entered"] = entered.where(~joined["inverted"], won)
    joined["won"] = won
    home = _prepare(
        tmp_path_factory.mktemp("olist") / "home",
        OLIST_ZONE,
        "olist.yml",
        sorted(folder.glob("olist_[cm]*.csv")),
    )
    return joined, build(home, OLIST_DAY)


def test_olist_conversion_by_source_equals_the_files_count(
    olist: tuple[pd.DataFrame, Path],
) -> None:
    leads, marts = olist
    end = pd.Timestamp("2018-11-14 23:59:59", tz=OLIST_ZONE)
    expected = []
    for horizon in (30, 90, 180, 365):
        span = pd.Timedelta(days=horizon)
        expected.append(
            pd.DataFrame(
                {
                    "source": leads["source"].fillna("(none)"),
                    "entered_month": leads["entered"].dt.strftime("%Y-%m-01"),
                    "horizon_days": horizon,
                    "n_entered": 1,
                    "n_mature": (leads["entered"] + span <= end).astype(int),
                    "n_reached": (
                        (leads["entered"] + span <= end) & (leads["won"] - leads["entered"] <= span)
                    ).astype(int),
                }
            )
        )
    keys = ["source", "entered_month", "horizon_days"]
    counted = pd.concat(expected).groupby(keys).sum().sort_index()
    both = mart(marts, "conversion_by_source").query("definition_id == 'won'")
    both["source"] = both["source"].fillna("(none)")
    both["entered_month"] = both["entered_month"].dt.strftime("%Y-%m-%d")
    # Into the pipeline and, declared to be where leads start, into its first stage.
    for found in (both[both["stage_id"].isna()], both[both["stage_id"].notna()]):
        found = found.set_index(keys)[["n_entered", "n_mature", "n_reached"]].sort_index()
        pd.testing.assert_frame_equal(found, counted, check_dtype=False)
    assert counted.loc[pd.IndexSlice[:, :, 365], "n_entered"].sum() == 8_000


def test_olist_estimates_of_the_last_cohorts_lie_above_their_naive_rates(
    olist: tuple[pd.DataFrame, Path],
) -> None:
    """On 30 June: who came since March is mostly not finished.

    What the file says up to then is estimated; what it says of the time after is the truth. The
    estimates lie above what has been won by then, and all together nearer the truth.
    """
    leads, marts = olist
    cut = pd.Timestamp("2018-06-30 23:59:59", tz=OLIST_ZONE)
    frame = mart(marts, "fct_stage_entries")
    day = cut.tz_convert("UTC").tz_localize(None)
    last = (frame["entered_month"] >= pd.Timestamp("2018-03-01")) & frame["stage_id"].isna()
    frame = frame[last].assign(
        followed_until_at=day,
        won_at=frame["won_at"].where(frame["won_at"] <= day),
        lost_at=frame["lost_at"].where(frame["lost_at"] <= day),
    )
    found = conversion.conversion_tables(Entries(frame))[0]
    found = found.query("dimension == 'source' and definition_id == 'won' and horizon_days == 90")
    found = found.assign(origin=found["dimension_value"].fillna("(none)")).set_index("origin")
    leads = leads[leads["entered"] >= pd.Timestamp("2018-03-01", tz=OLIST_ZONE)]
    days = (leads["won"] - leads["entered"]).dt.total_seconds() / 86_400
    counted = leads.assign(
        origin=leads["source"].fillna("(none)"),
        by_cut=(days <= 90) & (leads["won"] <= cut),
        in_the_end=days <= 90,
    )
    counted = counted.groupby("origin").agg(
        n=("by_cut", "size"), by_cut=("by_cut", "sum"), in_the_end=("in_the_end", "sum")
    )
    assert found["n_entered"].to_dict() == counted["n"].to_dict()
    # Events of the day of the cut, from the entry on, wait for its end.
    assert (counted["by_cut"] - found["n_events"]).between(0, 3).all()
    naive = found["n_events"] / found["n_entered"]
    assert (found["estimated_rate"] >= naive - 1e-6).all()
    # Of the few of the others, all were won before anybody went out of sight.
    many = found["n_events"] >= 10
    assert many.sum() >= 6
    assert (found["estimated_rate"] > naive)[many].all()
    weighted = (found["estimated_rate"] * counted["n"]).sum() / counted["n"].sum()
    true = counted["in_the_end"].sum() / counted["n"].sum()
    assert abs(weighted - true) < abs(counted["by_cut"].sum() / counted["n"].sum() - true) / 2


def test_olist_wins_by_seller_and_segment_equal_the_files_count(
    olist: tuple[pd.DataFrame, Path],
) -> None:
    _, marts = olist
    deals = pd.read_csv(shared("olist_funnel") / "olist_closed_deals_dataset.csv")
    wins = mart(marts, "fct_stage_transitions").query("move_kind == 'won'")
    assert len(wins) == len(deals) == 842
    sellers = wins["seller_id"].value_counts().to_dict()
    assert sellers == ("olist:" + deals["sr_id"]).value_counts().to_dict()
    segments = wins["segment"].value_counts().to_dict()
    assert segments == deals["business_segment"].value_counts().to_dict()


def test_olist_seller_is_unknown_before_there_is_a_deal(olist: tuple[pd.DataFrame, Path]) -> None:
    """Who won a lead is known only for leads that were won; a rate per seller would be 100 %."""
    _, marts = olist
    by_seller = mart(marts, "conversion_by_seller")
    assert by_seller["seller_id"].isna().all()
    yearly = by_seller.query("definition_id == 'won' and horizon_days == 365 and stage_id.isna()")
    assert yearly["n_entered"].sum() == 8_000


def test_olist_days_to_close_equal_the_files(olist: tuple[pd.DataFrame, Path]) -> None:
    leads, marts = olist
    days = (leads["won"] - leads["entered"]).dt.total_seconds() / 86_400
    month = leads["entered"].dt.strftime("%Y-%m") == "2018-01"
    within = (days <= 180) & ~leads["inverted"] & (leads["source"] == "organic_search")
    found = mart(marts, "conversion_by_source").query(
        "definition_id == 'won' and horizon_days == 180 and source == 'organic_search' "
        "and stage_id.isna()"
    )
    found = found[found["entered_month"] == pd.Timestamp("2018-01-01")]
    assert found["median_days_to_reach"].item() == pytest.approx(days[month & within].median())


# --- Maven ---------------------------------------------------------------------------------------


def _maven(root: Path, variant: str) -> Home:
    folder = shared("maven_crm")
    files = [folder / "accounts.csv", folder / "sales_teams.csv", folder / variant]
    return _prepare(root, MAVEN_ZONE, "maven.yml", files)


@pytest.fixture(scope="module")
def maven(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, Path]:
    home = _maven(tmp_path_factory.mktemp("maven") / "home", "sales_pipeline.csv")
    return home, build(home, MAVEN_DAY)


def test_maven_date_variants_give_identical_content(
    maven: tuple[Home, Path], tmp_path: Path
) -> None:
    _, marts = maven
    other = _maven(tmp_path / "home", "variants/sales_pipeline_us_dates.csv")
    assert hashes(build(other, MAVEN_DAY)) == hashes(marts)


def test_maven_defects_are_mapped_and_reported(maven: tuple[Home, Path]) -> None:
    home, marts = maven
    pipeline = pd.read_csv(shared("maven_crm") / "sales_pipeline.csv")
    accounts = pd.read_csv(shared("maven_crm") / "accounts.csv")
    mapped: dict[str, int] = {}
    for manifest in read_manifests(home, Landing(home).run().loads):
        for table in manifest.tables.values():
            mapped |= table.mapped
    assert mapped["product"] == (pipeline["product"] == "GTXPro").sum() == 1_480
    assert mapped["segment"] == (accounts["sector"] == "technolgy").sum() == 12
    assert mapped["country"] == (accounts["office_location"] == "Philipines").sum()
    deals = mart(marts, "dim_deals")
    assert (deals["product"] == "GTX Pro").sum() == 1_480
    assert (deals["segment"] == "technology").sum() == (
        pipeline.merge(accounts, on="account")["sector"].eq("technolgy").sum()
    )


def test_maven_outcomes_by_seller_equal_the_files_count(maven: tuple[Home, Path]) -> None:
    _, marts = maven
    pipeline = pd.read_csv(shared("maven_crm") / "sales_pipeline.csv")
    deals = mart(marts, "dim_deals")
    names = mart(marts, "dim_sellers").set_index("seller_id")["name"]
    found = deals.groupby([deals["seller_id"].map(names), "status"]).size()
    stage = pipeline["deal_stage"].str.lower().replace({"prospecting": "open", "engaging": "open"})
    counted = pipeline.groupby(["sales_agent", stage]).size()
    assert found.to_dict() == counted.to_dict()
    assert deals["amount"].sum() == pipeline["close_value"].sum()


def test_maven_days_from_engaging_to_won_equal_the_files(maven: tuple[Home, Path]) -> None:
    _, marts = maven
    pipeline = pd.read_csv(
        shared("maven_crm") / "sales_pipeline.csv", parse_dates=["engage_date", "close_date"]
    )
    local = {c: pipeline[c].dt.tz_localize(MAVEN_ZONE) for c in ("engage_date", "close_date")}
    seconds = (local["close_date"] - local["engage_date"]).dt.total_seconds()
    visits = mart(marts, "fct_stage_visits").query("stage_id == 'maven:Engaging'")
    ended = visits.query("how_ended == 'won'").set_index("deal_id")["seconds_in_stage"]
    won = pipeline["deal_stage"] == "Won"
    expected = pd.Series(
        seconds[won].to_numpy(), index="maven:" + pipeline.loc[won, "opportunity_id"]
    )
    pd.testing.assert_series_equal(
        ended.sort_index(), expected.sort_index(), check_dtype=False, check_names=False
    )


def test_maven_deals_without_any_date_are_known_only_from_the_export(
    maven: tuple[Home, Path],
) -> None:
    _, marts = maven
    visits = mart(marts, "fct_stage_visits").query("stage_id == 'maven:Prospecting'")
    assert len(visits) == 500
    assert set(visits["fidelity"]) == {"snapshot_diff"}
    assert visits["entered_at_earliest"].isna().all()


# --- BPI 2012 ------------------------------------------------------------------------------------

BPI_ZONE, BPI_DAY = "Europe/Amsterdam", date(2012, 3, 14)
BPI_STAGES = ["A_SUBMITTED", "A_PARTLYSUBMITTED", "A_PREACCEPTED", "A_ACCEPTED", "A_FINALIZED",
              "A_APPROVED", "A_DECLINED", "A_CANCELLED"]  # fmt: skip


@pytest.fixture(scope="module")
def bpi(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, Path, Home]:
    """(stage entries in order, from the file alone; folder of marts; home)"""
    path = shared("bpi2012_loan") / "bpi2012_events.csv.gz"
    events = pd.read_csv(path, dtype=str)
    events["at"] = pd.to_datetime(events["timestamp"], format="ISO8601", utc=True)
    events = events.sort_values(["case_id", "at"], kind="stable")
    events["seller"] = events.groupby("case_id")["resource"].ffill()
    moves = events[events["activity"].isin(BPI_STAGES)].copy()
    repeated = moves["activity"].eq(moves.groupby("case_id")["activity"].shift())
    moves = moves[~repeated]
    home = _prepare(tmp_path_factory.mktemp("bpi") / "home", BPI_ZONE, "bpi2012.yml", [path])
    return moves, build(home, BPI_DAY), home


def test_bpi_every_event_lands(bpi: tuple[pd.DataFrame, Path, Home]) -> None:
    *_, home = bpi
    (facts,) = (
        m for m in read_manifests(home, Landing(home).run().loads) if m.file_kind == "bpi/events"
    )
    assert (facts.records, facts.quarantined) == (262_200, 0)


def test_bpi_transitions_and_seconds_equal_the_files(
    bpi: tuple[pd.DataFrame, Path, Home],
) -> None:
    moves, marts, _ = bpi
    found = mart(marts, "fct_stage_transitions").sort_values(["deal_id", "move_number"])
    assert len(found) == len(moves) == 56_357
    whole = moves["at"].dt.floor("s")
    expected = pd.DataFrame(
        {
            "deal_id": "bpi:" + moves["case_id"],
            "to_stage_id": "bpi:" + moves["activity"],
            "from_stage_id": "bpi:" + moves.groupby("case_id")["activity"].shift(),
            "seconds_in_from_stage": (
                whole - whole.groupby(moves["case_id"]).shift()
            ).dt.total_seconds(),
        }
    )
    key = ["deal_id", "from_stage_id", "to_stage_id"]
    columns = [*key, "seconds_in_from_stage"]
    pd.testing.assert_frame_equal(
        found[columns].sort_values(columns).reset_index(drop=True),
        expected[columns].sort_values(columns).reset_index(drop=True),
        check_dtype=False,
    )


def test_bpi_visits_and_seconds_per_stage_equal_the_files(
    bpi: tuple[pd.DataFrame, Path, Home],
) -> None:
    moves, marts, _ = bpi
    end = pd.Timestamp("2012-03-14 23:59:59", tz=BPI_ZONE)
    whole = moves["at"].dt.floor("s")
    left = whole.groupby(moves["case_id"]).shift(-1).fillna(end)
    seconds = (left - whole).dt.total_seconds()
    expected = seconds.groupby("bpi:" + moves["activity"]).agg(["size", "sum"])
    visits = mart(marts, "fct_stage_visits")
    found = visits.groupby("stage_id")["seconds_in_stage"].agg(["size", "sum"])
    pd.testing.assert_frame_equal(found, expected, check_dtype=False, check_names=False)
    undecided = visits[visits["is_censored"] & (visits["stage_kind"] == "open")]
    last = moves.groupby("case_id")["activity"].last()
    assert len(undecided) == (~last.isin(BPI_STAGES[5:])).sum()


def test_bpi_seller_is_the_resource_in_force(bpi: tuple[pd.DataFrame, Path, Home]) -> None:
    """At each approval: who last touched the application, that event included."""
    moves, marts, _ = bpi
    won = moves[moves["activity"] == "A_APPROVED"].set_index("case_id")["seller"]
    found = mart(marts, "fct_stage_transitions").query("move_kind == 'won'").set_index("deal_id")
    assert found["seller_id"].to_dict() == ("bpi:" + won).rename(lambda c: f"bpi:{c}").to_dict()


def test_landing_manifests_account_for_every_record(maven: tuple[Home, Path]) -> None:
    home, _ = maven
    manifests = {m.sha256: m for m in read_manifests(home, Landing(home).run().loads)}
    for receipt in all_receipts(home):
        lines = pd.read_csv(home.archive / receipt.sha256)
        manifest = manifests[receipt.sha256]
        assert manifest.records == len(lines)
        assert manifest.records == manifest.accepted + manifest.quarantined


# --- the two identities, on all of them ----------------------------------------------------------


@pytest.mark.parametrize("name", ["olist", "maven", "bpi"])
def test_flow_and_pipeline_add_up_for_every_cut(name: str, request: pytest.FixtureRequest) -> None:
    """In pandas; the same identities, cell by cell, block every run as dbt tests."""
    marts = next(part for part in request.getfixturevalue(name) if isinstance(part, Path))
    flow = mart(marts, "stage_flow")
    exits = [c for c in flow.columns if c.startswith("n_") and "open" not in c and c != "n_entered"]
    assert len(exits) == 8
    for cut in (["stage_id"], ["stage_id", "week_on"], ["seller_id", "week_on"], ["source"]):
        sums = flow.groupby(cut, dropna=False)[
            ["n_open_at_start", "n_entered", "n_open_at_end", *exits]
        ].sum()
        there = sums["n_open_at_start"] + sums["n_entered"]
        assert (there == sums[exits].sum(axis=1) + sums["n_open_at_end"]).all()
    movement = mart(marts, "pipeline_movement")
    closing = movement["movement"] == "closing"
    assert closing.any() or name == "olist"  # where a deal is there only once it is won
    for column in ("n_deals", "amount", "amount_base"):
        signed = movement[column].where(~closing, -movement[column]).astype(float)
        for cut in ([], ["seller_id"], ["pipeline_id", "currency"], ["close_quarter_on"]):
            sums = signed.groupby(
                [movement[c] for c in ("period", "period_start_on", *cut)], dropna=False
            ).sum()
            assert (sums.abs() < 0.005).all(), (column, cut)
    visits = mart(marts, "fct_stage_visits")
    standing = visits[visits["is_censored"] & (visits["record_type"] == "deal")]
    last = standing.set_index("deal_id")["stage_id"].to_dict()
    deals = mart(marts, "dim_deals").set_index("deal_id")["stage_id"].to_dict()
    listed = set(mart(marts, "ledger_disagreements").query("is_current")["deal_id"])
    assert {d for d in deals if deals[d] != last.get(d)} <= listed


# --- synced tables -------------------------------------------------------------------------------

SEEDS = [
    ("hubspot/deal", "hubspot/deals_synced", "deals", {
        "deal_id": "deal_id", "stage_id": "deal_pipeline_stage_id", "seller_id": "owner_id",
        "amount": "property_amount", "created_at": "property_createdate",
        "expected_close_on": "property_closedate", "is_deleted": "is_deleted"}),
    ("hubspot/deal_stage", "hubspot/stages_entered_synced", "deal_changes", {
        "deal_id": "deal_id", "new_value": "value", "occurred_at": "date_entered"}),
    ("hubspot/deal_property_history", "hubspot/property_history", "deal_changes", {
        "deal_id": "deal_id", "field": "name", "occurred_at": "timestamp"}),
    ("hubspot/deal_pipeline_stage", "hubspot/stages_synced", "stages", {
        "stage_id": "stage_id", "pipeline_id": "pipeline_id", "position": "display_order",
        "label": "label", "probability": "probability"}),
    ("hubspot/merged_deal", "hubspot/merges_synced", "deal_merges", {
        "deal_id": "merged_deal_id", "merged_into_deal_id": "deal_id"}),
    ("hubspot/owner", "hubspot/owners", "sellers", {"seller_id": "owner_id"}),
    ("hubspot/company", "hubspot/companies_synced", "accounts", {
        "account_id": "id", "industry": "property_industry", "country": "property_country"}),
    ("hubspot/contact", "hubspot/contacts_synced", "contacts", {"contact_id": "id"}),
    ("hubspot/engagement_call", "hubspot/engagements_synced", "activities", {
        "activity_id": "engagement_id", "occurred_at": "property_hs_timestamp"}),
    ("hubspot/engagement_email", "hubspot/engagements_synced", "activities", {
        "activity_id": "engagement_id", "occurred_at": "property_hs_timestamp"}),
    ("hubspot/engagement_meeting", "hubspot/meetings_synced", "activities", {
        "activity_id": "engagement_id", "occurred_at": "start_time"}),
    ("hubspot/engagement_task", "hubspot/engagements_synced", "activities", {
        "activity_id": "engagement_id", "occurred_at": "property_hs_timestamp"}),
    ("hubspot/engagement_deal", "hubspot/engagement_links_synced", "activity_links", {
        "activity_id": "engagement_id", "record_id": "deal_id"}),
    ("hubspot/engagement_contact", "hubspot/engagement_links_synced", "activity_links", {
        "activity_id": "engagement_id", "record_id": "contact_id"}),
    ("hubspot/engagement_company", "hubspot/engagement_links_synced", "activity_links", {
        "activity_id": "engagement_id", "record_id": "company_id"}),
    ("hubspot/email_event", "hubspot/email_events", "activities", {
        "activity_id": "id", "occurred_at": "created", "campaign_id": "email_campaign_id"}),
    ("salesforce/sf_opportunity", "salesforce/opportunities", "deals", {
        "deal_id": "id", "stage_id": "stage_name", "amount": "amount", "account_id": "account_id",
        "seller_id": "owner_id", "source": "lead_source", "created_at": "created_date",
        "expected_close_on": "close_date", "is_deleted": "is_deleted"}),
    ("salesforce/sf_opportunity_history", "salesforce/opportunity_versions", "deals", {
        "deal_id": "id", "stage_id": "stage_name", "amount": "amount",
        "known_at": "_fivetran_start"}),
    ("salesforce/sf_account", "salesforce/accounts", "accounts", {
        "account_id": "id", "industry": "industry", "parent_account_id": "parent_id"}),
    ("salesforce/sf_contact", "salesforce/contacts", "contacts", {
        "contact_id": "id", "account_id": "account_id"}),
    ("salesforce/sf_event", "salesforce/events", "activities", {
        "activity_id": "id", "seller_id": "owner_id", "account_id": "account_id",
        "occurred_at": "start_date_time"}),
    ("salesforce/sf_task", "salesforce/tasks", "activities", {
        "activity_id": "id", "seller_id": "owner_id"}),
    ("salesforce/sf_lead", "salesforce/leads", "leads", {
        "lead_id": "id", "stage_id": "status", "created_at": "created_date",
        "converted_deal_id": "converted_opportunity_id"}),
    ("salesforce/sf_user", "salesforce/users", "sellers", {"seller_id": "id", "name": "name"}),
]  # fmt: skip


@pytest.mark.parametrize("form", ["csv", "parquet"])
@pytest.mark.parametrize(("seed", "entry", "table", "columns"), SEEDS, ids=[s[0] for s in SEEDS])
def test_synced_tables_land_every_value_they_hold(
    tmp_path: Path, seed: str, entry: str, table: str, columns: dict[str, str], form: str
) -> None:
    """Each mapped column against pandas' own reading of the file; quarantined records left out."""
    source = shared(f"crm_schema_seeds/{seed}_data.csv")
    home = Home.at(tmp_path / "home")
    home.prepare()
    set_company(home, zone="UTC", currency="USD")
    name = source.stem.removesuffix("_data")
    if form == "csv":
        text = source.read_text(encoding="utf-8").rstrip("\n") + "\n"
        (home.inbox / f"{name}.csv").write_text(text, encoding="utf-8")
    else:
        with duckdb.connect() as connection:
            target = home.inbox / f"{name}.parquet"
            connection.execute(f"copy (from read_csv('{source}')) to '{target}' (format parquet)")
    (file,) = Landing(home).run().files
    frame = pd.read_csv(source, dtype=str, keep_default_na=False, na_values=[""])
    assert (file.outcome, file.file_kind, file.records) == ("landed", entry, len(frame))
    folder = home.landed / file.load_id
    with duckdb.connect() as connection:
        rejects = connection.execute(f"from '{folder}/rejects.parquet'").df()
        found = connection.execute(f"from '{folder}/{table}.parquet' order by record_number").df()
    kept = frame.drop(index=sorted({n - 1 for n in rejects["record_number"]}))
    assert len(found) == len(kept) == file.accepted
    for ours, theirs in columns.items():
        values = [_plain(value) for value in found[ours]]
        assert values == [_plain(v) for v in _expected(ours, kept[theirs], entry)], ours


def _expected(column: str, values: pd.Series, entry: str) -> list[object]:
    system = entry.partition("/")[0]
    if column.endswith("_id") or (column == "new_value" and "stages" in entry):
        return [None if pd.isna(v) else f"{system}:{v}" for v in values]
    if column.endswith("_at"):
        return list(pd.to_datetime(values, format="mixed"))
    if column.endswith("_on"):
        return [None if pd.isna(v) else pd.Timestamp(v).normalize() for v in values]
    if column in ("amount", "probability", "position"):
        return [None if pd.isna(v) else float(v) for v in values]
    if column == "is_deleted":
        return [None if pd.isna(v) else v.lower() == "true" for v in values]
    return [None if pd.isna(v) else v.strip() for v in values]


def _plain(value: object) -> object:
    if pd.isna(value):
        return None
    return float(value) if isinstance(value, (int, float, Decimal)) else value


# --- bank marketing ------------------------------------------------------------------------------

MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, Path]:
    """(people and their last calls, from the file alone; folder of marts)

    The file has neither ids nor years: people are numbered, and as it is ordered by date from May
    2008 on, a month before the last one begins a new year. Calls are put on the month's 15th.
    """
    source = shared("bank_marketing/bank-additional-full.csv")
    frame = pd.read_csv(source, sep=";", keep_default_na=False)
    month = frame["month"].map(MONTHS.index) + 1
    frame["year"] = 2008 + (month < month.shift(fill_value=0)).cumsum()
    frame["called"] = [f"{y}-{m:02}-15 10:00" for y, m in zip(frame["year"], month, strict=True)]
    frame["again"] = frame["campaign"] - 1
    frame.insert(0, "person", [f"P{n}" for n in range(len(frame))])
    home = _prepare(tmp_path_factory.mktemp("bank") / "home", "Europe/Lisbon", "bank.yml", [])
    frame.to_csv(home.inbox / "bank.csv", sep=";", index=False, lineterminator="\n")
    deposits = frame[frame["y"] == "yes"][["person", "called", "job", "contact"]]
    deposits.rename(columns={"called": "deposited"}).to_csv(
        home.inbox / "deposits.csv", sep=";", index=False, lineterminator="\n"
    )
    return frame, build(home, date(2011, 1, 1))


def test_bank_people_are_leads_and_their_calls_activities(
    bank: tuple[pd.DataFrame, Path],
) -> None:
    frame, marts = bank
    with duckdb.connect(str(marts.parent / "build.duckdb"), read_only=True) as connection:
        calls = connection.execute(
            "select outcome, count(*), sum(duration_s), sum(reminder_no) from raw.activities "
            "where type = 'call' group by outcome"
        ).fetchall()
        by_job = dict(
            connection.execute("select segment, count(*) from raw.leads group by 1").fetchall()
        )
    expected = frame.groupby("y").agg(
        n=("y", "size"), seconds=("duration", "sum"), again=("campaign", lambda c: (c - 1).sum())
    )
    names = {"yes": "subscribed", "no": "declined"}
    assert sorted(calls) == sorted(
        (names[y], row.n, row.seconds, row.again) for y, row in expected.iterrows()
    )
    assert sum(by_job.values()) == len(frame) == 41_188
    jobs = frame["job"].where(frame["job"] != "unknown").value_counts(dropna=False)
    assert by_job == {None if pd.isna(k) else k: n for k, n in jobs.items()}


def test_bank_subscriptions_by_job_equal_the_files_count(bank: tuple[pd.DataFrame, Path]) -> None:
    frame, marts = bank
    found = mart(marts, "conversion_by_segment").query(
        "definition_id == 'won' and horizon_days == 30 and stage_id.isna()"
    )
    counted = found.groupby("segment")[["n_entered", "n_reached"]].sum()
    known = frame[frame["job"] != "unknown"]
    expected = known.groupby("job")["y"].agg(["size", lambda y: (y == "yes").sum()])
    assert counted.astype(int).values.tolist() == expected.values.tolist()
    assert counted.index.tolist() == expected.index.tolist()


def test_calls_of_a_bank_are_counted_as_in_its_table(home: Home) -> None:
    """41,188 clients called until they agreed or were given up: 4,640 did, after 105,754 calls."""
    clients = pd.read_csv(shared("bank_marketing") / "bank-additional-full.csv", sep=";")
    clients = clients[["contact", "month", "campaign", "y"]].assign(client=range(len(clients)))
    calls = clients.loc[clients.index.repeat(clients["campaign"])].reset_index(drop=True)
    calls["number"] = calls.groupby("client").cumcount() + 1
    is_success = (calls["number"] == calls["campaign"]) & (calls["y"] == "yes")
    begin = pd.Timestamp("2026-01-05 08:00")
    # A call an hour; the client who agrees is met after the last one.
    calls["at"] = begin + pd.to_timedelta(calls["number"], unit="h")
    met = calls[is_success]
    columns = ["activity_id", "type", "at", "outcome", "client", "contact", "month"]
    lines = pd.concat(
        [
            calls.assign(activity_id="c" + calls.index.astype(str), type="call", outcome=None),
            met.assign(activity_id="m" + met.index.astype(str), type="meeting", outcome="held",
                       at=met["at"] + pd.Timedelta(minutes=30)),
        ]
    )[columns]  # fmt: skip
    lines.columns = ["activity_id", "type", "occurred_at", "outcome", "contact_id", "message",
                     "campaign_id"]  # fmt: skip
    shutil.copy(MAPPINGS / "crm.yml", home.mappings)
    lines.to_csv(home.inbox / "activities-2026-06-30.csv", index=False)
    marts = build(home, date(2026, 6, 30))
    found = mart(marts, "activity_counts").query(
        "type == 'call' and definition_id == 'meeting_held_14' and group_dimension == 'all'"
    )
    number = calls["number"].clip(upper=3).map({1: "1", 2: "2", 3: "3+"})
    for dimension, column in (
        ("all", None), ("message_variant", calls["contact"]), ("attempt", number),
        ("campaign", "crm:" + calls["month"]),
    ):  # fmt: skip
        told = found[found["dimension"] == dimension]
        if column is None:
            assert told[["n_mature", "n_reached"]].values.tolist() == [[105_754, 4_640]]
            assert told["attempts_per_reached"].iloc[0] == pytest.approx(105_754 / 4_640)
            continue
        expected = is_success.groupby(column).agg(["size", "sum"]).astype(int)
        counted = told.set_index("dimension_value")[["n_mature", "n_reached"]].astype(int)
        assert counted.T.to_dict("list") == expected.T.to_dict("list")
        assert len(counted) > 1
    attempts = Marts(partial(read_mart, opened(marts)), date(2026, 1, 1), "PT").attempts
    compared = activity_comparisons(attempts)
    for table in (activity_estimates(attempts), compared):
        assert len(table) and set(table["evidence"]) == {"observed"}
    words = compared["said"]
    assert words.str.contains("goes with").any()
    assert not words.str.contains("leads to|because|brings").any()
