"""Apache Superset, started for real: dashboards come in, charts are answered, a publish shows."""

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import chromium, publish
from playwright.sync_api import sync_playwright

from ingestion.home import Home
from simulation.histories import simulate
from simulation.home import write_home

ROOT = Path(__file__).parents[1]
BIN = ROOT / ".venv-superset" / "bin"
DAY = date(2026, 6, 30)
pytestmark = pytest.mark.bi


class Superset:
    """A running one, and the home it reads."""

    def __init__(self, home: Home, port: int) -> None:
        self.home, self.base = home, f"http://127.0.0.1:{port}"

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.base + path, timeout=60) as answer:  # noqa: S310
            return json.load(answer)

    def dashboards(self) -> dict[str, int]:
        return {d["dashboard_title"]: d["id"] for d in self.get("/api/v1/dashboard/")["result"]}

    def charts(self, dashboard: int) -> dict[str, int]:
        found = self.get(f"/api/v1/dashboard/{dashboard}/charts")["result"]
        return {chart["slice_name"]: chart["id"] for chart in found}

    def rows(self, chart: int) -> list[dict[str, Any]]:
        (answer,) = self.get(f"/api/v1/chart/{chart}/data/")["result"]
        assert answer["status"] == "success" and not answer["is_cached"]
        rows: list[dict[str, Any]] = answer["data"]
        return rows


@pytest.fixture(scope="module")
def superset(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Superset]:
    root = tmp_path_factory.mktemp("bi") / "home"
    write_home(simulate(300, 3, DAY), root, drops=2)
    home = Home.at(root)
    home.prepare()
    publish(home, DAY - timedelta(days=1))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = ROOT / "dashboard" / "superset"
    environment = {
        **os.environ, "SUPERSET_HOME": str(root / "superset"),
        "SUPERSET_CONFIG_PATH": str(settings / "superset_config.py"),
    }  # fmt: skip
    marts = home.published / "current" / "marts.duckdb"
    # Twice, as a second start is not the first.
    for _ in range(2):
        ready = [BIN / "python", settings / "make_ready.py", marts]
        done = subprocess.run(ready, env=environment, check=True, capture_output=True, text=True)
        assert len(done.stdout.splitlines()) == 3
    serve = [
        BIN / "gunicorn", "--workers", "1", "--worker-class", "gthread", "--threads", "8",
        "--bind", f"127.0.0.1:{port}", "--no-control-socket", "--graceful-timeout", "2",
        "superset.app:create_app()",
    ]  # fmt: skip
    with (root / "superset" / "log.txt").open("w") as log:
        server = subprocess.Popen(serve, env=environment, stdout=log, stderr=log)
        try:
            found = Superset(home, port)
            wait_for(found)
            yield found
        finally:
            server.terminate()
            server.wait(timeout=30)


def wait_for(found: Superset) -> None:
    for _ in range(120):
        try:
            with urllib.request.urlopen(f"{found.base}/health", timeout=5):  # noqa: S310
                return
        except OSError:
            time.sleep(0.5)
    pytest.fail("Superset did not answer within a minute")


def test_every_chart_of_every_dashboard_has_rows(superset: Superset) -> None:
    dashboards = superset.dashboards()
    assert set(dashboards) == {"Split times", "Conversion", "Cause and effect"}
    # What is sometimes empty by itself: nothing stands out.
    may_be_empty = {"Where attention is worth most"}
    for dashboard in dashboards.values():
        charts = superset.charts(dashboard)
        assert charts
        empty = {name for name, chart in charts.items() if not superset.rows(chart)}
        assert empty <= may_be_empty


def test_dashboards_are_drawn_in_a_browser_by_whoever_looks(superset: Superset) -> None:
    with sync_playwright() as playwright:
        browser = chromium(playwright)
        for title, dashboard in superset.dashboards().items():
            page = browser.new_page(viewport={"width": 1440, "height": 2400})
            page.goto(f"{superset.base}/superset/dashboard/{dashboard}/")
            for chart in superset.charts(dashboard):
                page.get_by_text(chart, exact=True).first.wait_for(timeout=60_000)
            page.wait_for_function(
                "() => !document.querySelector('[data-test=loading-indicator], .loading')",
                timeout=60_000,
            )
            said = page.locator("body").inner_text()
            assert "Unexpected error" not in said and "went wrong" not in said, title
            page.screenshot(path=ROOT / "screenshots" / f"superset-{dashboard}.png")
        browser.close()


def test_a_publish_is_seen_without_a_restart(superset: Superset) -> None:
    chart = superset.charts(superset.dashboards()["Split times"])["Check-ins"]
    before = superset.rows(chart)
    publish(superset.home, DAY)
    after = superset.rows(chart)
    days = [max(row["check_in_on"] for row in rows) for rows in (before, after)]
    assert days[1] - days[0] == 24 * 3600 * 1000  # milliseconds


def test_whoever_looks_cannot_change_or_ask_anything_else(superset: Superset) -> None:
    for path in ("/api/v1/database/", "/api/v1/dataset/"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            superset.get(path)
        assert refused.value.code in (401, 403)
