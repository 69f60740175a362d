"""The forms of expectations: how one is asked, of which rows, and what it says when it fails.

Belongs here: shares, counts, medians and findings, whatever the table.
Does not belong here: what is expected of which table (`expectations`), asking (`asking`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from publishing.gate.great_expectations import expectation_types


@dataclass(frozen=True)
class Found:
    """What a query finds now and in the last published set (None if that cannot be asked)."""

    now: pd.DataFrame
    before: pd.DataFrame | None


@dataclass(frozen=True)
class Expectation:
    """One expectation about the distribution of what is published.

    `query` is SQL (see `rows`) over `tables`; its column `n_rows` says how many rows each of its
    own speaks of. If it `is_of_both`, it compares two sets itself, and finds all well in the last.
    `needs` says, in words, when it can be asked, and `minimum` how many rows that takes now or, if
    it `compares`, in the last set. `build` makes the Great Expectations object from what was found
    in the last set; `says` is the failure in words, with the figure and the limit. `history` is
    what the limit was set by.
    """

    name: str
    tables: tuple[str, ...]
    reason: str
    history: str
    needs: str
    minimum: int
    compares: bool
    query: str
    build: Callable[[pd.DataFrame], Any]
    says: Callable[[Found], str]
    is_of_both: bool = False

    def not_applicable(self, found: Found) -> str:
        """Why it cannot be asked, or an empty text."""
        if self.compares and found.before is None:
            return "no earlier published set to compare with"
        # The new set may well be too small: that is what some of these checks are for.
        told = [found.now] if not self.compares else []
        told += [found.before] if found.before is not None else []
        return "" if any(n_rows(f) >= self.minimum for f in told) else f"needs {self.needs}"


def n_rows(frame: pd.DataFrame) -> int:
    """How many rows of the tables were looked at."""
    return int(frame["n_rows"].sum())


def percent(share: float) -> str:
    """A share as people write it; what is not all is never said to be."""
    if 0 < share < 0.0005:
        return "less than 0.1 %"
    if 0.9995 <= share < 1:
        return "more than 99.9 %"
    return f"{100 * share:.1f}".removesuffix(".0") + " %"


def between(column: str, least: float | None, most: float | None, **strictly: bool) -> Any:
    """That every value of a column lies there."""
    return expectation_types().ExpectColumnValuesToBeBetween(
        column=column, min_value=least, max_value=most, **strictly
    )


def number(
    name: str,
    table: str,
    *,
    limits: Callable[[int], tuple[int, int]],
    what: str,
    needs: str,
    minimum: int,
    reason: str,
    history: str,
) -> Expectation:
    """The number of rows lies within `limits` of that in the last set."""

    def says(found: Found) -> str:
        least, most = limits(n_rows(found.before)) if found.before is not None else (0, 0)
        now = n_rows(found.now)
        return f"there are {now:,} {what}, where {least:,} to {most:,} were expected"

    return Expectation(
        name=name,
        tables=(table,),
        reason=reason,
        history=history,
        needs=needs,
        minimum=minimum,
        compares=True,
        query=f"select count(*) as n_rows from {{set}}.{table}",
        build=lambda before: between("n_rows", *limits(n_rows(before))),
        says=says,
    )


def share(
    name: str,
    table: str,
    *,
    rows: str,
    wrong: str,
    of: str,
    are: str,
    limit: float,
    minimum: int,
    reason: str,
    history: str,
    keeps_within: float | None = None,
    also: tuple[str, ...] = (),
) -> Expectation:
    """At most a share `limit` of the rows may be `wrong` (a condition in SQL).

    Where the last published set had a larger share, a person let it pass: it may not grow by more
    than two points. With `keeps_within` the share may not grow by more than that over the last
    set's, whatever the limit of a first run. `of` and `are` name rows and fault in the message:
    "98 % of 120 `of` `are`, where at most 50 % may".
    """

    def allowed(before: pd.DataFrame | None) -> float:
        if before is None or before.empty:
            return limit
        was = float(before["wrong_share"].iloc[0])
        if keeps_within is not None:
            return min(was + keeps_within, 1.0)
        return limit if was <= limit else min(was + 0.02, 1.0)

    def says(found: Found) -> str:
        wrong_share, n = float(found.now["wrong_share"].iloc[0]), n_rows(found.now)
        most = percent(allowed(found.before))
        return f"{percent(wrong_share)} of {n:,} {of} {are}, where at most {most} may"

    return Expectation(
        name=name,
        tables=(table, *also),
        reason=reason,
        history=history,
        needs=f"{minimum} {of}",
        minimum=minimum,
        compares=False,
        query=(
            "select count(*) as n_rows, avg(case when is_wrong then 1.0 else 0.0 end) "
            f"as wrong_share from (select {wrong} as is_wrong from ({rows})) having count(*) > 0"
        ),
        build=lambda before: between("wrong_share", None, allowed(before) + 1e-9),
        says=says,
    )


def median(
    name: str,
    table: str,
    *,
    column: str,
    rows: str,
    what: str,
    needs: str,
    minimum: int,
    reason: str,
    history: str,
) -> Expectation:
    """The median of a column stays within a third and three times that of the last set."""

    def limits(before: pd.DataFrame) -> tuple[float, float]:
        value = float(before["middle"].iloc[0])
        return value / 3, value * 3

    def says(found: Found) -> str:
        low, high = limits(found.before) if found.before is not None else (0.0, 0.0)
        now = float(found.now["middle"].iloc[0])
        return f"the median {what} is {now:,.6g}, where {low:,.6g} to {high:,.6g} was expected"

    return Expectation(
        name=name,
        tables=(table,),
        reason=reason,
        history=history,
        needs=needs,
        minimum=minimum,
        compares=True,
        query=f"select count(*) as n_rows, median({column}) as middle from ({rows}) "
        "having count(*) > 0",
        build=lambda before: between("middle", *limits(before)),
        says=says,
    )


def findings(
    name: str,
    table: str,
    *,
    query: str,
    needs: str,
    reason: str,
    history: str,
    compares: bool = False,
) -> Expectation:
    """Nothing is found but what the last published set had: that a person confirmed.

    `query` gives a row for each thing looked at, its column `finding` empty where all is well;
    `figures`, which may change from day to day, are said after it. What `compares`, compares sets.
    """

    def says(found: Found) -> str:
        known = set() if found.before is None else set(found.before["finding"])
        now = found.now.assign(figures=found.now.get("figures", ""))
        pairs = zip(now["finding"], now["figures"], strict=True)
        new = [text + figures for text, figures in pairs if text and text not in known]
        more = f"; and {len(new) - 10} more" if len(new) > 10 else ""
        return "; ".join(new[:10]) + more

    return Expectation(
        name=name,
        tables=(table,),
        reason=reason,
        history=history,
        needs=needs,
        minimum=1,
        compares=compares,
        query=f"select *, 1 as n_rows from ({query})",
        build=lambda before: expectation_types().ExpectColumnValuesToBeInSet(
            column="finding", value_set=["", *before["finding"]]
        ),
        says=says,
        is_of_both=compares,
    )
