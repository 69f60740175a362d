"""Writes all pages of a set into its folder `site`.

Belongs here: which pages there are, what each has inline, the words of numbers in charts.
Does not belong here: what a page shows.
"""

from functools import cache
from importlib.metadata import version
from pathlib import Path

import duckdb
from altair.utils.schemapi import debug_mode
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from dashboard.site.causes import causes_page
from dashboard.site.check_in import check_in_page
from dashboard.site.conversion import conversion_page
from dashboard.site.experiments import experiments_page
from dashboard.site.health import health_page
from dashboard.site.parts import EVERYTHING, Filter, Page, Row, SetFacts, Source
from dashboard.site.pipeline import pipeline_page
from dashboard.words import Words
from ingestion.files import write_atomically

HERE = Path(__file__).parent
BUNDLES = HERE / ".bundles"
FOLDER, START = "site", "index.html"
NAMES = ("check_in", "conversion", "pipeline", "causes", "experiments", "health")


def write_site(folder: Path, language: str, facts: SetFacts) -> None:
    """Write `folder`/site from the tables of the set in `folder`.

    A page is one file that needs nothing else; it asks for ../../status.js, which tells of runs
    since, and does without where there is none.
    """
    words = Words(language)
    # A test holds charts against Vega-Lite's schema: here it took a third of the time.
    with (
        debug_mode(False),
        duckdb.connect(str(folder / "marts.duckdb"), read_only=True) as connection,
    ):
        source = Source(connection, words)
        pages = [
            check_in_page(source, folder),
            conversion_page(source, facts.as_of),
            pipeline_page(source, facts.as_of),
            causes_page(source),
            experiments_page(source),
            health_page(source, facts),
        ]
    (folder / FOLDER).mkdir()
    for page in pages:
        name = START if page.name == "check_in" else f"{page.name}.html"
        (folder / FOLDER / name).write_text(_html(page, words, facts), encoding="utf-8")


@cache
def _bundle() -> str:
    """Vega, Vega-Lite and their embedding, as Altair needs them: 0.9 MB, made in 1.3 s and kept for
    each version of the library.
    """
    path = BUNDLES / f"{version('vl-convert-python')}.js"
    if not path.exists():
        import vl_convert

        BUNDLES.mkdir(exist_ok=True)
        write_atomically(path, vl_convert.javascript_bundle())  # type: ignore[call-arg]
    return path.read_text(encoding="utf-8").replace("</script", "<\\/script")


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True,
    )  # fmt: skip
    return environment.get_template("page.html")


def _html(page: Page, words: Words, facts: SetFacts) -> str:
    charts = {f"c{number}": section.chart for number, section in enumerate(page.sections, start=1)
              if section.chart}  # fmt: skip
    data = {
        "charts": charts,
        "locale": words.locale(),
        "refused": words("refused", since="{since}"),
    }
    return _template().render(
        page=page,
        names=NAMES,
        words=words,
        facts=facts,
        hidden=_is_hidden,
        data=data,
        has_charts=bool(charts),
        css=(HERE / "site.css").read_text(encoding="utf-8"),
        script=(HERE / "site.js").read_text(encoding="utf-8"),
        bundle=_bundle(),
    )


def _is_hidden(row: Row, filters: list[Filter]) -> bool:
    """Whether a row is not shown before anybody has chosen: as site.js does it."""
    first = {each.name: each.value for each in filters}
    first["group"] = EVERYTHING
    return any(
        value != first.get(key, value) and (key == "group" or first[key] != EVERYTHING)
        for key, value in row.keys.items()
    )
