"""The forms of expectations: how one is asked, of which rows, and what it says when it fails.

Belongs here: shares, counts, medians and findings, whatever the table.
Does not belong here: what is expected of which table (`expectations`), asking (`asking`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from publishing.gate.great_expectations import expectation_types

Select = Callable[[pd.DataFrame], pd.DataFrame]


@dataclass(frozen=True)
class Frames:
    """A table now and in the last published set (None if there is none)."""

    now: pd.DataFrame
    before: pd.DataFrame | None


@dataclass(frozen=True)
class Expectation:
    """One expectation about the distribution of what is published.

    `frames` takes a `Frames` of each of `tables` and cuts them down to the rows it speaks of.
    `needs` says, in words, when it can be asked, and `minimum` how many rows that takes now or, if
    it `compares`, in the last set. `build` makes the Great Expectations object from the last set's
    rows; `says` is the failure in words, with the figure and the limit. `history` is what the limit
    was set by.
    """

    name: str
    tables: tuple[str, ...]
    reason: str
    history: str
    needs: str
    minimum: int
    compares: bool
    frames: Callable[..., Frames]
    build: Callable[[pd.DataFrame], Any]
    says: Callable[[Frames], str]

    def not_applicable(self, frames: Frames) -> str:
        """Why it cannot be asked, or an empty text."""
        if self.compares and frames.before is None:
            return "no earlier published set to compare with"
        # The new set may well be too small: that is what some of these checks are for.
        told = [frames.now] if not self.compares else []
        told += [frames.before] if frames.before is not None else []
        return "" if any(len(f) >= self.minimum for f in told) else f"needs {self.needs}"


def of_each(select: Select) -> Callable[[Frames], Frames]:
    """The rows that `select` takes of each set."""

    def selected(frames: Frames) -> Frames:
        before = None if frames.before is None else select(frames.before)
        return Frames(select(frames.now), before)

    return selected


def percent(share: float) -> str:
    """A share as people write it; what is not all is never said to be."""
    if 0 < share < 0.0005:
        return "less than 0.1 %"
    if 0.9995 <= share < 1:
        return "more than 99.9 %"
    return f"{100 * share:.1f}".removesuffix(".0") + " %"


def share(
    name: str,
    table: str,
    *,
    rows: Callable[..., pd.DataFrame],
    wrong: Callable[[pd.DataFrame], Any],
    of: str,
    are: str,
    limit: float,
    minimum: int,
    reason: str,
    history: str,
    keeps_within: float | None = None,
    also: tuple[str, ...] = (),
) -> Expectation:
    """At most a share `limit` of the rows may be wrong.

    Where the last published set had a larger share, a person let it pass: it may not grow by more
    than two points. With `keeps_within` the share may not grow by more than that over the last
    set's, whatever the limit of a first run. `of` and `are` name rows and fault in the message:
    "98 % of 120 `of` `are`, where at most 50 % may".
    """

    def marked(*frames: Frames) -> Frames:
        def mark(*tables: pd.DataFrame) -> pd.DataFrame:
            kept = rows(*tables)
            return pd.DataFrame({"is_expected": ~wrong(kept).astype(bool)})

        befores = [f.before for f in frames if f.before is not None]
        has_before = len(befores) == len(frames)
        return Frames(mark(*(f.now for f in frames)), mark(*befores) if has_before else None)

    def allowed(before: pd.DataFrame | None) -> float:
        if before is None or before.empty:
            return limit
        was = 1 - float(before["is_expected"].mean())
        if keeps_within is not None:
            return min(was + keeps_within, 1.0)
        return limit if was <= limit else min(was + 0.02, 1.0)

    def says(frames: Frames) -> str:
        found = 1 - float(frames.now["is_expected"].mean())
        most = percent(allowed(frames.before))
        return f"{percent(found)} of {len(frames.now):,} {of} {are}, where at most {most} may"

    return Expectation(
        name=name,
        tables=(table, *also),
        reason=reason,
        history=history,
        needs=f"{minimum} {of}",
        minimum=minimum,
        compares=False,
        frames=marked,
        build=lambda before: expectation_types().ExpectColumnValuesToBeInSet(
            column="is_expected", value_set=[True], mostly=1 - allowed(before) - 1e-9
        ),
        says=says,
    )


def median(
    name: str,
    table: str,
    *,
    column: str,
    rows: Select,
    what: str,
    needs: str,
    minimum: int,
    reason: str,
    history: str,
) -> Expectation:
    """The median of a column stays within a third and three times that of the last set."""

    def says(frames: Frames) -> str:
        before = float(frames.before[column].median()) if frames.before is not None else 0
        low, high, now = before / 3, before * 3, float(frames.now[column].median())
        return f"the median {what} is {now:,.6g}, where {low:,.6g} to {high:,.6g} was expected"

    def build(before: pd.DataFrame) -> Any:
        value = float(before[column].median())
        return expectation_types().ExpectColumnMedianToBeBetween(
            column=column, min_value=value / 3, max_value=value * 3
        )

    return Expectation(
        name=name,
        tables=(table,),
        reason=reason,
        history=history,
        needs=needs,
        minimum=minimum,
        compares=True,
        frames=of_each(rows),
        build=build,
        says=says,
    )


def findings(
    name: str,
    table: str,
    *,
    frames: Callable[[Frames], Frames],
    needs: str,
    reason: str,
    history: str,
    compares: bool = False,
) -> Expectation:
    """Nothing is found but what the last published set had: that a person confirmed.

    `frames` gives a row for each thing looked at, its column `finding` empty where all is well;
    `figures`, which may change from day to day, are said after it.
    """

    def says(frames: Frames) -> str:
        known = set() if frames.before is None else set(frames.before["finding"])
        now = frames.now.assign(figures=frames.now.get("figures", ""))
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
        frames=frames,
        build=lambda before: expectation_types().ExpectColumnValuesToBeInSet(
            column="finding", value_set=["", *before["finding"]]
        ),
        says=says,
    )
