"""What a page is made of: filters, sections, charts, tables.

Belongs here: their form, and reading rows of a published set.
Does not belong here: which of them a page has; new figures.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import duckdb

from dashboard.words import Words
from ingestion.shown import printable

# What rows are filtered by; those of GROUPS one at a time, together called `group`: the tables
# have figures of each, not of two at once.
GROUPS = ("segment", "business_area", "seller", "source")
EVERYTHING = "all"

# Names of what rows have ids of; one without is shown as its id, without the system, and of two
# with one name each has its id beside it: a chart would lay them on each other. Of values the
# largest: a company may tell thousands of sources, and a page must open.
NAMES = """
    create temp macro bare(id) as regexp_replace(id, '^[^:]*:', '');
    create temp view stage_names as
    select
        pipeline_id, stage_id, stage_rank, stage_kind, role,
        coalesce(label, bare(stage_id)) || if(
            count(*) over (partition by pipeline_id, label) > 1 and label is not null,
            ' (' || bare(stage_id) || ')', ''
        ) as stage
    from dim_stages;
    create temp table seller_names as
    select
        seller_id,
        name || if(count(*) over (partition by name) > 1, ' (' || bare(seller_id) || ')', '')
        as name
    from dim_sellers;
    create temp table shown_values as
    select dimension, dimension_value as value
    from conversion_estimates
    where dimension in ('segment', 'business_area', 'seller', 'source') and definition_id = 'won'
    group by dimension, dimension_value
    qualify
        row_number() over (
            partition by dimension order by max(n_entered) desc, dimension_value
        ) <= if(dimension = 'seller', 300, 40);
    create temp macro is_shown(of, of_value) as of in ('all', 'company') or exists (
        select 1 from shown_values
        where shown_values.dimension = of and shown_values.value is not distinct from of_value
    );
    create temp macro group_key(dimension, value) as
        if(dimension in ('all', 'company'), 'all', dimension || '=' || coalesce(value, ''));
    create temp macro label_of(dimension, value) as coalesce(
        (select any_value(name) from seller_names where dimension = 'seller' and seller_id = value),
        if(dimension = 'seller', bare(value), value), '(unknown)'
    );
"""


@dataclass(frozen=True)
class Filter:
    """One of the page's filters; `value` is what it starts with."""

    name: str
    label: str
    options: list[tuple[str, str]]
    value: str

    @property
    def is_group(self) -> bool:
        return self.name in GROUPS


@dataclass(frozen=True)
class Row:
    """Cells as text, the first the row's header; `keys`: for which filters it is shown."""

    cells: list[str]
    keys: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    head: list[str]
    rows: list[Row]

    @property
    def texts(self) -> list[int]:
        """Which columns are of words: 2 is the second."""
        found = []
        for place in range(1, len(self.head)):
            cells = [row.cells[place] for row in self.rows if row.cells[place]]
            if 2 * sum(any(map(str.isalpha, cell)) for cell in cells) > len(cells):
                found.append(place + 1)
        return found


@dataclass(frozen=True)
class Section:
    """A heading with what stands under it. `chart` is a Vega-Lite specification, `table` what it
    shows, as text; `lines` are sentences. `evidence`: observed, randomised, or none of them.
    """

    title: str
    notes: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    chart: dict[str, Any] | None = None
    table: Table | None = None
    evidence: str | None = None


@dataclass(frozen=True)
class Page:
    name: str
    filters: list[Filter]
    sections: list[Section]


@dataclass(frozen=True)
class LandedFile:
    """What became of one export; rules name why records are quarantined, and how many."""

    file_kind: str
    known_at: str
    accepted: int
    quarantined: int
    rules: dict[str, int]


@dataclass(frozen=True)
class Check:
    name: str
    outcome: str
    detail: str


@dataclass(frozen=True)
class SetFacts:
    """What the tables of a set do not tell of it."""

    run: str
    as_of: date
    files: list[LandedFile]
    checks: list[Check]


class Source:
    """The tables of a set, and the words they are told in."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, words: Words) -> None:
        self.connection, self.words = connection, words
        connection.execute(NAMES)

    def rows(self, query: str, **parameters: Any) -> list[dict[str, Any]]:
        """Rows as dictionaries; texts cannot write lines of their own."""
        found = self.connection.execute(query, parameters)
        names = [column[0] for column in found.description]
        return [
            {
                name: printable(v) if isinstance(v, str) else v
                for name, v in zip(names, row, strict=True)
            }
            for row in found.fetchall()
        ]

    def head(self, names: str) -> list[str]:
        """Words of a table's head."""
        return [self.words(name) for name in names.split()]

    def numbers(self, row: dict[str, Any], names: str) -> list[str]:
        return [self.words.number(row[name]) for name in names.split()]

    def options(self, query: str) -> list[tuple[str, str]]:
        return [(row["value"], row["label"]) for row in self.rows(query)]

    def groups(self, names: Iterable[str] = GROUPS) -> list[Filter]:
        """A filter for each group by which deals are known to differ."""
        words, found = self.words, []
        for name in names:
            options = self.options(
                f"""
                select value, label_of('{name}', value) as label from shown_values
                where dimension = '{name}' and value is not null order by label, value
                """
            )
            n = self.n_values(name)
            label = words(name)
            if n > len(options):
                label = words("largest", what=label, n=len(options), of=words.number(n))
            if len(options) > 1:
                every = (EVERYTHING, words("everything"))
                found.append(Filter(name, label, [every, *options], EVERYTHING))
        return found

    def n_values(self, dimension: str) -> int:
        """How many known values a dimension has, shown or not."""
        query = """
            select count(distinct dimension_value) as n from conversion_estimates
            where dimension = $dimension and definition_id = 'won'
        """
        return int(self.rows(query, dimension=dimension)[0]["n"])

    def pipelines(self) -> list[Filter]:
        """Pipelines, the one that most deals entered first, those of leads last."""
        options = self.options(
            """
            select coalesce(pipeline_id, '') as value, coalesce(bare(pipeline_id), '–') as label
            from conversion_estimates left join stage_names using (pipeline_id, stage_id)
            where dimension = 'all' and definition_id = 'won'
            group by pipeline_id
            order by coalesce(bool_and(role = 'lead'), false), max(n_entered) desc, pipeline_id
            """
        )
        return (
            [Filter("pipeline", self.words("pipeline"), options, options[0][0])] if options else []
        )

    def horizons(self) -> list[Filter]:
        """Days within which it is asked what became of deals; first the longest that is told."""
        rows = self.rows(
            """
            select horizon_days as days, bool_or(estimated_rate is not null) as is_told
            from conversion_estimates where dimension = 'all' and definition_id = 'won'
            group by horizon_days order by horizon_days
            """
        )
        told = [str(row["days"]) for row in rows if row["is_told"]]
        if not told:
            return []
        options = [(days, self.words("n_days", n=days)) for days in told]
        return [Filter("horizon", self.words("horizon"), options, told[-1])]


def bare(name: str) -> str:
    """An id without its system."""
    return name.partition(":")[2] or name


def rate(source: Source, row: dict[str, Any]) -> list[str]:
    """A share and its interval, or that it cannot be told."""
    words = source.words
    if row["value"] is None:
        return [words("too_little"), "–"]
    interval = f"{words.percent(row['low'])} – {words.percent(row['high'])}"
    return [words.percent(row["value"]), interval]


def keys_of(row: dict[str, Any], names: Iterable[str]) -> dict[str, str]:
    return {name: str(row[name]) for name in names if name in row}


def table_of(
    head: list[str], rows: list[dict[str, Any]], cells: Any, keys: Iterable[str] = ()
) -> Table:
    """A table with `cells(row)` for each row, shown for the filters `keys`."""
    keys = list(keys)
    return Table(head, [Row(cells(row), keys_of(row, keys)) for row in rows])
