"""Who looks: pages and dashboards stand in the lineage, with the tables that they read."""

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboard.site.writing import NAMES
from ingestion.home import Home
from publishing import catalogue

ROOT = Path(__file__).parents[1]
DASHBOARDS = ROOT / "dashboard"
# What all pages ask for the names of things.
SHARED = ("site/parts.py",)
MODULES = {name: (f"site/{name}.py", *SHARED) for name in NAMES}
MODULES["check_in"] += ("check_in.py", "lines.py")


def read_by(modules: tuple[str, ...]) -> set[str]:
    """Published tables that SQL in these modules names."""
    text = "\n".join((DASHBOARDS / module).read_text(encoding="utf-8") for module in modules)
    named = set(re.findall(r"\b(?:from|join)\s+([a-z_]+)", text))
    return named & {table.name for table in catalogue.published_tables()}


def of_superset() -> Iterator[tuple[str, set[str]]]:
    """Dashboards of Superset and the tables of their charts."""
    folder = DASHBOARDS / "superset"

    def each(kind: str) -> list[dict[str, Any]]:
        return [yaml.safe_load(path.read_text()) for path in sorted((folder / kind).glob("*.yaml"))]

    tables = {dataset["uuid"]: dataset["table_name"] for dataset in each("datasets/marts")}
    charts = {chart["uuid"]: tables[chart["dataset_uuid"]] for chart in each("charts")}
    for dashboard in each("dashboards"):
        places = [place for place in dashboard["position"].values() if isinstance(place, dict)]
        shown = [place["meta"]["uuid"] for place in places if place.get("type") == "CHART"]
        yield f"superset_{dashboard['slug'].replace('-', '_')}", {charts[uuid] for uuid in shown}


EXPECTED = {
    **{f"page_{name}": read_by(modules) for name, modules in MODULES.items()},
    **dict(of_superset()),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_an_exposure_names_the_tables_that_are_looked_at(name: str) -> None:
    assert set(catalogue.exposures()[name].tables) == EXPECTED[name]


def test_every_exposure_is_a_page_or_a_dashboard_and_stands_in_dagster(home: Home) -> None:
    from dagster_project.definitions import build_defs

    assert set(catalogue.exposures()) == set(EXPECTED)
    specs = {spec.key.path[-1]: spec for spec in build_defs(home).resolve_all_asset_specs()}
    for name, tables in EXPECTED.items():
        assert {dep.asset_key.path[-1] for dep in specs[name].deps} == {*tables, "published_set"}


def test_documentation_tells_the_types_of_estimates(home: Home) -> None:
    from publishing.day import Day

    day = Day(home, date(2026, 1, 1), "test", lambda text: None)
    day.begin([])
    day.build()
    text = (day.warehouse.docs / "index.html").read_text(encoding="utf-8")
    # The catalogue of the static page: the name, then the type the database has.
    assert re.search(r'"p50_amount": ?\{"type": ?"DOUBLE"', text)
