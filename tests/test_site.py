"""The pages in a real browser: what they show is what the tables hold, for every company.

Chromium is Debian's; it is installed where the tests may.
"""

import csv
import io
import json
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import altair as alt
import duckdb
import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import chromium, publish
from playwright.sync_api import Browser, Page, sync_playwright

from dashboard.site.parts import Source
from dashboard.site.writing import NAMES
from dashboard.words import Words
from ingestion.home import Home
from publishing import catalogue
from simulation.histories import simulate
from simulation.home import write_home

DAY = date(2026, 6, 30)
FILES = {name: "index.html" if name == "check_in" else f"{name}.html" for name in NAMES}
# Names as strangers have them; the last has a right-to-left override.
NASTY = {
    "Seller": '"><img src=x onerror="window.ran=1">',
    "Referrals": "{{ 7 * 7 }} ${window.ran=1} <script>window.ran=1</script>",
    "Negotiation": "Förhandling 'slut' \u202egnissim",
}
# Make this folder to see how the pages looked.
SHOTS = Path(__file__).parents[1] / "screenshots"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        yield chromium(playwright)


def published(
    root: Path, n_deals: int, rename: dict[str, str] | None = None, language: str = "en"
) -> Path:
    """The folder of a published set of a simulated company (none: of an empty one)."""
    home = Home.at(root)
    if n_deals:
        write_home(simulate(n_deals, 3, DAY), root)
    home.prepare()
    text = home.company_file.read_text() if home.company_file.exists() else ""
    home.company_file.write_text(f"{text}\nlanguage: {language}\n")
    for old, new in (rename or {}).items():
        for path in home.inbox.glob("*.csv"):
            renamed(path, old, new)
        for path in home.mappings.glob("*.yml"):
            text = path.read_text(encoding="utf-8")
            path.write_text(text.replace(f"label: {old}", f"label: {json.dumps(new)}"))
    return publish(home, DAY)


def renamed(path: Path, old: str, new: str) -> None:
    """A CSV whose cells that begin with `old` begin with `new`."""
    text = path.read_text(encoding="utf-8")
    head = text.split("\n", 1)[0]
    dialect = {"delimiter": ";" if head.count(";") > head.count(",") else ","}
    first, *rows = csv.reader(io.StringIO(text), **dialect)
    told = io.StringIO()
    changed = [
        [new + cell[len(old) :] if cell.startswith(old) else cell for cell in row] for row in rows
    ]
    csv.writer(told, quoting=csv.QUOTE_ALL, **dialect).writerows([first, *changed])
    path.write_text(told.getvalue(), encoding="utf-8")


@pytest.fixture(scope="module")
def company(company_set: Path) -> Path:
    return company_set


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 deals a year, with names that a page must not take for more than text."""
    return published(tmp_path_factory.mktemp("site") / "small", 60, NASTY, "sv")


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return published(tmp_path_factory.mktemp("site") / "empty", 0)


@pytest.fixture(params=["company", "small", "empty"])
def folder(request: pytest.FixtureRequest) -> Path:
    found: Path = request.getfixturevalue(request.param)
    return found


class Seen:
    """A page opened at some width, and what the browser complained of."""

    def __init__(
        self, browser: Browser, path: Path, width: int = 1440, scheme: Any = "light"
    ) -> None:
        self.page: Page = browser.new_page(
            viewport={"width": width, "height": 900}, color_scheme=scheme
        )
        self.complaints: list[str] = []
        self.page.on("console", lambda said: self.complaints.append(said.text) if said.type in
                     ("error", "warning") else None)  # fmt: skip
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        here = ("file:", "data:", "blob:")
        self.page.on("request", lambda asked: None if asked.url.startswith(here)
                     else self.complaints.append(f"asked for {asked.url}"))  # fmt: skip
        self.page.goto(path.as_uri())
        self.page.wait_for_function(
            "() => [...document.querySelectorAll('.chart:not(.nothing)')]"
            ".every(chart => chart.querySelector('svg'))",
            timeout=20_000,
        )

    def __enter__(self) -> "Seen":
        return self

    def __exit__(self, *_: object) -> None:
        self.page.close()

    def rows(self, title: str) -> list[list[str]]:
        """The cells of the rows that the section's table shows."""
        found: list[list[str]] = self.page.evaluate(
            """title => {
              const heads = [...document.querySelectorAll('h2')];
              const section = heads.find(h => h.textContent === title).parentElement;
              const rows = [...section.querySelectorAll('tbody tr')];
              return rows.filter(r => !r.hidden).map(r => [...r.cells].map(c => c.textContent));
            }""",
            title,
        )
        return found

    def choose(self, name: str, value: str) -> None:
        self.page.locator(f"select[data-filter={name}]").select_option(value)
        self.page.wait_for_timeout(150)


@pytest.mark.parametrize("name", NAMES)
def test_every_page_opens_without_complaint_fits_and_can_be_read_by_all(
    name: str, folder: Path, browser: Browser
) -> None:
    for width, scheme in ((380, "dark"), (1440, "light")):
        with Seen(browser, folder / "site" / FILES[name], width, scheme) as seen:
            assert seen.complaints == []
            wide = seen.page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, f"{wide} pixels at {width}"
            # Axe passes over what is hidden, but took most of its time to walk through it.
            seen.page.evaluate("document.querySelectorAll('tr[hidden]').forEach(r => r.remove())")
            faults = Axe().run(seen.page).response["violations"]
            serious = [(fault["id"], fault["nodes"][0]["html"][:200]) for fault in faults
                       if fault["impact"] in ("serious", "critical")]  # fmt: skip
            assert serious == []
            assert seen.page.evaluate("window.ran") is None
            if SHOTS.is_dir():
                picture = f"{folder.parents[1].name}-{name}-{width}.png"
                seen.page.screenshot(path=SHOTS / picture, full_page=True)


def test_charts_are_as_vega_lites_schema_has_them(folder: Path) -> None:
    with pytest.raises(Exception, match="blob"):
        alt.Chart.from_dict({"mark": "blob", "data": {"values": []}, "encoding": {}})
    for name in FILES.values():
        text = (folder / "site" / name).read_text(encoding="utf-8")
        (data,) = re.findall(r'<script type="application/json" id="page">(.*?)</script>', text)
        for spec in json.loads(data)["charts"].values():
            # Any row is as the schema has it: thousands of them took ten seconds.
            del spec["data"]["values"][1:]
            alt.Chart.from_dict(spec)


def test_numbers_on_pages_are_those_of_the_tables(company: Path, browser: Browser) -> None:
    words = Words("en")
    with duckdb.connect(str(company / "marts.duckdb"), read_only=True) as connection:

        def asked(query: str, **values: Any) -> list[tuple[Any, ...]]:
            return connection.execute(query, values).fetchall()

        with Seen(browser, company / "site" / "index.html") as seen:
            found = seen.rows(words("forecast"))
            expected = asked("""
                select booked_amount, p10_amount, p50_amount, p90_amount from forecasts
                where scope = 'company' order by period_start_on
            """)
            assert [row[2:6] for row in found] == [
                [words.number(v) for v in row] for row in expected
            ]
        with Seen(browser, company / "site" / "conversion.html") as seen:
            pipeline, horizon = (
                seen.page.locator(f"select[data-filter={name}]").input_value()
                for name in ("pipeline", "horizon")
            )
            query = """
                select n_entered, n_mature, estimated_rate from conversion_estimates
                where definition_id = 'won' and dimension = $dimension
                    and dimension_value is not distinct from $value
                    and pipeline_id = $pipeline and horizon_days = $horizon and stage_id is null
            """
            values = {"pipeline": pipeline, "horizon": int(horizon)}
            for dimension, value in (("all", None), ("segment", "Small"), ("source", "Referrals")):
                if value:
                    seen.choose(dimension, value)
                (expected,) = asked(query, dimension=dimension, value=value, **values)
                begin = [words("entered_pipeline"), words("measure_won")]
                found = [row for row in seen.rows(words("funnel")) if row[:2] == begin]
                told = (
                    words.percent(expected[2]) if expected[2] is not None else words("too_little")
                )
                assert [row[2:5] for row in found] == [[*map(words.number, expected[:2]), told]]
            # One group at a time: choosing a source has let go of the segment.
            assert seen.page.locator("select[data-filter=segment]").input_value() == "all"


def test_a_movement_adds_up_on_the_page(company: Path, browser: Browser) -> None:
    words = Words("en")
    with Seen(browser, company / "site" / "pipeline.html") as seen:
        rows = seen.rows(words("movement"))
    amounts = [int(row[2].replace(",", "").replace("−", "-")) for row in rows]
    assert rows[0][0] == words("movement_opening") and rows[-1][0] == words("movement_closing")
    assert sum(amounts[:-1]) == pytest.approx(amounts[-1], abs=len(rows))


def test_filters_change_charts_too(company: Path, browser: Browser) -> None:
    with Seen(browser, company / "site" / "conversion.html") as seen:
        marks = "() => document.querySelector('#c1 .mark-symbol.role-mark').innerHTML"
        before = seen.page.evaluate(marks)
        seen.choose("segment", "Small")
        assert seen.page.evaluate(marks) != before
        seen.choose("segment", "all")
        assert seen.page.evaluate(marks) == before
        # By keyboard alone, as well.
        seen.page.locator("select[data-filter=horizon]").focus()
        seen.page.keyboard.press("Home")
        seen.page.wait_for_timeout(150)
        assert seen.page.evaluate(marks) != before


def test_names_are_text_wherever_they_stand(small: Path, browser: Browser) -> None:
    words = Words("sv")
    with Seen(browser, small / "site" / "conversion.html") as seen:
        sources = [row[0] for row in seen.rows(words("won_by", what="källa"))]
        assert NASTY["Referrals"] in sources
        sellers = [row[0] for row in seen.rows(words("sellers"))]
        assert any(name.startswith(NASTY["Seller"]) for name in sellers)
        stages = {row[0] for row in seen.rows(words("funnel"))}
        assert "Förhandling 'slut' gnissim" in stages  # no mark that turns the text around
        assert seen.page.evaluate("window.ran") is None


def test_of_thousands_of_values_the_largest_are_shown_and_it_is_said() -> None:
    with duckdb.connect() as connection:
        connection.execute("""
            create table dim_stages (pipeline_id text, stage_id text, stage_rank int,
                stage_kind text, role text, label text);
            create table dim_sellers (seller_id text, name text);
            create table conversion_estimates as
            select 'source' as dimension, 'source ' || i as dimension_value,
                'won' as definition_id, i as n_entered from range(5000) t (i);
        """)
        (found,) = Source(connection, Words("en")).groups(("source",))
    assert len(found.options) == 41
    assert ("source 4999", "source 4999") in found.options
    assert found.label == "Source: the 40 largest of 5,000"


def test_two_of_one_name_are_told_apart() -> None:
    with duckdb.connect() as connection:
        connection.execute("""
            create table dim_stages as
            select 'p' as pipeline_id, 'x:' || id as stage_id, 1 as stage_rank,
                'open' as stage_kind, 'lead' as role, 'Offer' as label
            from unnest(['a', 'b']) as t (id);
            create table dim_sellers as
            select 'x:' || id as seller_id, 'Ann' as name from unnest(['1', '2']) as t (id);
            create table conversion_estimates as
            select 'seller' as dimension, seller_id as dimension_value, 'won' as definition_id,
                1 as n_entered from dim_sellers;
        """)
        source = Source(connection, Words("en"))
        (sellers,) = source.groups(("seller",))
        stages = [row["stage"] for row in source.rows("from stage_names order by stage")]
    assert [label for _, label in sellers.options[1:]] == ["Ann (1)", "Ann (2)"]
    assert stages == ["Offer (a)", "Offer (b)"]


def test_what_has_no_word_is_called_by_its_name() -> None:
    """A kind of movement that a later version tells must not stop a publish."""
    for language in ("en", "sv"):
        assert Words(language).of("movement", "sent_to_mars") == "sent to mars"


def test_every_movement_has_words() -> None:
    (model,) = (t for t in catalogue.published_models() if t.name == "fct_pipeline_changes")
    told = re.sub(r"\(.*?\)", "", model.columns["movement"].partition(":")[2].partition(".")[0])
    names = set(re.findall(r"[a-z_/]{3,}", told))
    both = {name.partition("/")[0] for name in names if "/_out" in name}
    single = {name for name in names if "/" not in name}
    kinds = single | both | {name.removesuffix("_in") + "_out" for name in both}
    assert len(kinds) > 25
    for kind in kinds:
        assert Words("sv").of("movement", kind) != kind.replace("_", " "), kind


def test_a_page_tells_that_a_later_run_was_refused(company: Path, browser: Browser) -> None:
    status = company.parent / "status.js"
    before = status.read_text()
    refused = {"since": "2026-07-01T04:00:00+00:00", "reasons": ["<b>deals.csv</b> is empty"]}
    try:
        told = {"refused": refused}
        status.write_text(f"window.mellantidStatus = {json.dumps(told)};\n")
        with Seen(browser, company / "site" / "health.html") as seen:
            shown = seen.page.locator("#refused")
            assert shown.is_visible() and "<b>deals.csv</b> is empty" in shown.inner_text()
    finally:
        status.write_text(before)


def test_pages_need_no_script_to_be_read(company: Path, browser: Browser) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto((company / "site" / "index.html").as_uri())
        assert page.locator("tbody tr:not([hidden])").count() > 5
