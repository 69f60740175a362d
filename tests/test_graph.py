"""The shape of the dbt project: layers, grain, contracts, descriptions, no clock, no randomness."""

import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from conftest import build

from ingestion.home import Home
from publishing import catalogue
from publishing.dbt_process import invoke
from publishing.statements import parsed_manifest, statements

DBT = Path(__file__).parents[1] / "dbt"
SUBJECTS = ("records", "ledger", "pipeline", "outcomes", "conversion", "pace", "activities",
            "experiments")  # fmt: skip
# Within a subject: what exports say, then steps on the way, then what is published.
KINDS = ("stg_", "int_", "")

SETTINGS = ("run", "horizons", "sightings")
MARTS = {
    "fct_stage_transitions", "fct_stage_visits", "fct_entry_targets", "conversion_by_segment",
    "conversion_by_seller", "conversion_by_source", "dim_deals", "dim_stages", "dim_sellers",
    "dim_accounts",
    "export_conflicts", "unknown_deals", "seller_aliases", "unmapped_activity_types",
    "ledger_disagreements", "fct_pipeline_changes", "stage_flow", "pipeline_movement",
    "pipeline_status", "deal_credits", "amount_restatements", "fct_stage_entries",
    "deal_counts", "coverage", "outcomes_by_segment", "outcomes_by_seller", "outcomes_by_source",
    "outcomes_by_business_area", "conversion_outcomes", "dim_periods", "dim_horizons",
    "stage_flow_by_dimension", "pipeline_movement_by_dimension",
    "fct_activities", "activity_counts", "fct_invitations", "seminar_counts", "journey_paths",
    "dim_goals", "dim_actions", "fct_stage_stays",
    "dim_experiments", "experiment_units", "experiment_baselines",
}  # fmt: skip
ESTIMATES = {
    "conversion_estimates", "conversion_curves", "time_in_stage", "seller_conversion", "seller_mix",
    "activity_estimates", "activity_comparisons", "reminder_sequences",
    "experiment_readouts", "experiment_looks", "forecasts", "forecast_quantiles",
    "conversion_drift", "stage_pace", "goal_pace", "stage_balance", "pipe_coverage",
    "last_useful_days", "forecast_scores", "check_ins", "focus",
    "action_effects",
}  # fmt: skip


def models() -> list[dict[str, Any]]:
    return [n for n in catalogue.nodes().values() if n["resource_type"] == "model"]


def attached_tests(model: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        n
        for n in catalogue.nodes().values()
        if n["resource_type"] == "test" and n.get("attached_node") == model["unique_id"]
    ]


def test_the_published_tables_are_these() -> None:
    assert {model.name for model in catalogue.published_models()} == MARTS
    assert {table.name for table in catalogue.estimate_tables()} == ESTIMATES


def test_no_model_reads_an_estimate() -> None:
    read = {parent for model in models() for parent in model["depends_on"]["nodes"]}
    assert not [parent for parent in read if parent.startswith("source.mellantid.estimates")]


@pytest.mark.parametrize("table", catalogue.estimate_tables(), ids=lambda t: t.name)
def test_estimates_state_their_grain_and_describe_every_column(
    table: catalogue.PublishedTable,
) -> None:
    assert table.description.startswith("One row per ")
    assert table.grain and set(table.grain) <= set(table.columns)
    always = {"definition_id", "n_mature", "n_events", "interval_id", "method_id", "as_of"}
    if "estimated_rate" in table.columns:
        always |= {"effective_n", "maturity_rate", "low_rate", "high_rate"}
    assert always <= set(table.columns)
    for column, text in table.columns.items():
        assert text, f"{table.name}.{column} has no description"
        assert table.types[column], f"{table.name}.{column} has no type"


def place(node: dict[str, Any]) -> tuple[int, int]:
    """Subject and kind of a model, as numbers in the order that arrows may follow."""
    prefix = next(i for i, p in enumerate(KINDS) if node["name"].startswith(p))
    return SUBJECTS.index(node["fqn"][1]), prefix


@pytest.mark.parametrize("model", models(), ids=lambda m: m["name"])
def test_a_model_reads_its_own_subject_and_those_above_it(model: dict[str, Any]) -> None:
    assert model["description"], "no description"
    assert bool(model["contract"]["enforced"]) == (KINDS[place(model)[1]] == "")
    for parent in model["depends_on"]["nodes"]:
        if parent.startswith("source."):
            assert model["name"].startswith("stg_") or parent.endswith(".horizons")
            continue
        subject, kind = place(catalogue.nodes()[parent])
        assert subject <= place(model)[0], f"{model['name']} reads {parent}"
        if subject == place(model)[0]:
            assert kind <= place(model)[1], f"{model['name']} reads {parent}"


@pytest.mark.parametrize("name", sorted(MARTS))
def test_marts_state_and_test_their_grain_and_describe_every_column(name: str) -> None:
    (model,) = (m for m in models() if m["name"] == name)
    assert model["description"].startswith("One row per ")
    assert model["contract"]["enforced"]
    tested = [
        t["test_metadata"]["kwargs"]["combination_of_columns"]
        for t in attached_tests(model)
        if t["test_metadata"]["name"] == "unique_combination_of_columns"
    ]
    # What a view groups by is its grain; tests/test_derived.py holds it, not every run.
    is_view = model["config"]["materialized"] == "view"
    (grain,) = [model["config"]["meta"]["grain"]] if is_view else tested
    columns = model["columns"]
    assert set(grain) <= set(columns)
    for column, facts in columns.items():
        assert facts["description"], f"{name}.{column} has no description"
        assert facts["data_type"], f"{name}.{column} has no type"


def test_names_follow_the_grammar() -> None:
    """Times _at, dates _on, counts n_, rates _rate, booleans is_/has_: one meaning, one suffix."""
    types = {"timestamp": r".*_at(_earliest)?", "date": r".*_on|as_of|entered_month"}
    types["boolean"] = r"(is|has)_.*"
    for table in catalogue.published_tables():
        for column, kind in table.types.items():
            if pattern := types.get(kind):
                assert re.fullmatch(pattern, column), f"{table.name}.{column}"
            if column.startswith("n_"):
                assert kind == "bigint"
            if column.endswith("_rate"):
                assert kind == "double"


FORBIDDEN = {
    "a clock": r"current_(date|time|timestamp)|now\s*\(|today\s*\(|getdate|localtime",
    "randomness": r"\brandom\s*\(|\brand\s*\(|uuid\s*\(|tablesample|using sample",
    "engine words": r"\basof\b|\bdatediff\b|\bavg\s*\(|\bqualify\b|::|\bepoch|timezone\s*\(",
    "vars or environment": r"\bvar\s*\(|env_var|target\.",
}


@pytest.mark.parametrize("path", sorted(DBT.glob("models/**/*.sql")), ids=lambda p: p.stem)
def test_models_hold_no_clock_no_randomness_and_no_engine_word(path: Path) -> None:
    text = re.sub(r"\{#.*?#\}", "", path.read_text(), flags=re.S).lower()
    for what, pattern in FORBIDDEN.items():
        assert not re.search(pattern, text), f"{path.name} holds {what}"
    assert not re.search(r"select\s+(\w+\.)?\*\s+from\s+\{\{\s*source", text)
    assert not re.search(r"[\w)]\s+/\s+[\w(]", text), "divides outside rate()"


@pytest.fixture(scope="module")
def nothing(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home without exports, built once."""
    home = Home.at(tmp_path_factory.mktemp("nothing") / "home")
    home.prepare()
    build(home, date(2026, 1, 1))
    return home


def test_compiled_sql_holds_no_clock_or_randomness() -> None:
    """Macros too: what reaches the engine, not only what is written in the models."""
    assert len(statements()) > 200
    for statement in statements():
        for what in ("a clock", "randomness"):
            found = re.search(FORBIDDEN[what], statement.text.lower())
            assert not found, f"{statement.name}: {what}"


def test_every_input_column_has_a_privacy_class_in_dbt_too() -> None:
    manifest = json.loads(catalogue.manifest_path().read_text())
    for source in manifest["sources"].values():
        if source["source_name"] == "raw" and source["name"] not in SETTINGS:
            for column in source["columns"].values():
                assert column["config"]["meta"]["privacy"]


def test_unit_attached_tests_the_models_pass(nothing: Home) -> None:
    folder = nothing.warehouse / "2026-01-01"
    arguments = ["test", "--select", "test_type:unit", "--profiles-dir", str(folder)]
    invoke(arguments, folder / "unit", parsed_manifest())
    results = json.loads((folder / "unit" / "run_results.json").read_text())["results"]
    failed = [f"{r['unique_id']}: {r['message']}" for r in results if r["status"] != "pass"]
    assert not failed, "\n".join(failed)
    assert len(results) >= 12
