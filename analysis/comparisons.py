"""What goes with more meetings or sign-ups: each value of a dimension beside all others, raw and
adjusted.

Belongs here: the table activity_comparisons, its warnings and words. Does not belong here: what is
read (attempts), the estimator (mantel_haenszel).

Nothing here was assigned at random: whatever is told is observed, and goes with, not leads to.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.attempts import Attempts, AttemptTable
from analysis.entries import Groups
from analysis.intervals import LEVEL, Integers, level_of_all, no_rows, rounded, stacked
from analysis.mantel_haenszel import Differences, SideBySide, raw

# With fewer effects on both sides, or attempts without others like them, nothing is compared.
MIN_EFFECTS, MIN_OVERLAP = 5, 0.5
# Of fewer attempts with all of that known, "alike" says little.
MIN_KNOWN = 0.5


@dataclass(frozen=True)
class Compared:
    """The values of a dimension in each group: their counts, a row each, and their differences."""

    counts: dict[str, Any]
    raw: Differences
    adjusted: Differences


def activity_comparisons(*kinds: Attempts) -> pd.DataFrame:
    """Table activity_comparisons: each value of a dimension beside all others, raw and adjusted.

    Adjusted for segment, source, owner, attempt and reminder number, as they were before the
    attempt, and of invitations for the seminar; but for what is compared.
    """
    # Threads: nearly all of the time is spent in numpy, outside the interpreter's lock.
    with ThreadPoolExecutor(2) as threads:
        parts = (table for attempts in kinds for table in attempts.tables())
        told = chain.from_iterable(threads.map(_told_of, parts))
        frame = stacked([_NOTHING_TOLD, *told])
    frame = frame[frame["n_others"] > 0].reset_index(drop=True)
    return rounded(frame).assign(
        evidence="observed", interval_id="clustered_t_95", method_id="mantel_haenszel",
        as_of=kinds[0].as_of,
    )  # fmt: skip


def _told_of(table: AttemptTable) -> list[dict[str, Any]]:
    by_definition = zip(*_compared(table), strict=True)
    effects = table.attempts.kind.effects
    return [part for compared in by_definition for part in _told(compared, effects)]


def _compared(table: AttemptTable) -> Iterator[list[Compared]]:
    """Of each dimension, for each definition, its values in each group."""
    is_followed = table.attempts.is_followed[table.rows]
    kind = table.attempts.kind
    for dimension in kind.compared:
        column = kind.dimensions[dimension]
        values, group = table.codes(column), table.codes(table.group)
        part = np.flatnonzero(is_followed & (values.codes > 0))
        if column == table.group or not len(part):
            continue
        sides = Groups(group_value=group[part], dimension_value=values[part])
        groups = Groups(group_value=group[part]).of_row
        alike = [name for name in kind.strata if name not in (column, table.group)]
        strata = Groups(group=group[part], **{name: table.codes(name)[part] for name in alike})
        # Most attempts are no reminders.
        asked = [name for name in alike if name != "reminder_no"]
        is_known = np.all([table.codes(name).codes[part] > 0 for name in asked], axis=0)
        accounts = pd.factorize(table.attempts.accounts[table.rows[part]])[0]
        side_by_side = SideBySide(sides.of_row, strata.of_row, accounts)
        effects = {name: reached[part] for name, reached in table.reached.items()}
        plain = raw(sides.of_row, groups, accounts, effects.values())
        yield [
            Compared(
                {
                    **table.head(definition, dimension),
                    **_counts(sides, groups, reached),
                    "known_rate": sides.count(is_known) / sides.count(),
                },
                as_it_stands,
                side_by_side.adjusted(reached),
            )
            for (definition, reached), as_it_stands in zip(effects.items(), plain, strict=True)
        ]


def _counts(sides: Groups, groups: Integers, reached: NDArray[np.bool_]) -> dict[str, Any]:
    n, k = sides.count(), sides.count(reached)
    of_side = np.zeros(sides.n, dtype=np.int64)
    of_side[sides.of_row] = groups
    n_all, k_all = (np.bincount(of_side, x)[of_side].astype(np.int64) for x in (n, k))
    others = {"n_others": n_all - n, "n_events_of_others": k_all - k}
    return {**sides.values, "n_mature": n, "n_events": k, **others}


def _told(compared: Sequence[Compared], effects: str) -> Iterator[dict[str, Any]]:
    """The columns of each, with bounds, warnings and words.

    One may seem apart by chance alone wherever many are looked at: all of the table are counted.
    """
    n_compared = sum(int((one.adjusted.freedom > 0).sum()) for one in compared)
    level = float(level_of_all(n_compared))
    for one in compared:
        (low_raw, high_raw), (low, high) = one.raw.bounds(), one.adjusted.bounds()
        low_of_all, high_of_all = one.adjusted.bounds(level)
        is_unknown = ~(one.adjusted.freedom > 0)
        n_events = one.counts["n_events"] + one.counts["n_events_of_others"]
        warning = np.full(len(n_events), None, dtype=object)
        warning[((low_raw > 0) | (high_raw < 0)) & ~((low > 0) | (high < 0))] = (
            "gone_after_adjustment"
        )
        warning[one.raw.value * one.adjusted.value < 0] = "sign_differs"
        is_thin = (one.adjusted.overlap_rate < MIN_OVERLAP) | is_unknown
        warning[one.counts["known_rate"] < MIN_KNOWN] = "little_known"
        warning[is_thin] = "thin_overlap"
        said = np.full(len(n_events), "no difference can be told", dtype=object)
        said[low_of_all > 0] = f"goes with more {effects}, after adjustment"
        said[high_of_all < 0] = f"goes with fewer {effects}, after adjustment"
        said[(n_events < MIN_EFFECTS) | is_thin] = "not enough data to compare"
        yield {
            **one.counts,
            "overlap_rate": one.adjusted.overlap_rate,
            "raw_difference": one.raw.value,
            "low_raw_difference": low_raw,
            "high_raw_difference": high_raw,
            "adjusted_difference": one.adjusted.value,
            "low_adjusted_difference": low,
            "high_adjusted_difference": high,
            "low_simultaneous_difference": low_of_all,
            "high_simultaneous_difference": high_of_all,
            "n_compared": n_compared,
            "expected_by_chance": n_compared * (1 - LEVEL),
            "warning": warning,
            "said": said,
        }


# The columns of `_told`, for a company without attempts.
_NOTHING_TOLD = no_rows(
    texts=("type", "definition_id", "group_dimension", "dimension", "group_value",
           "dimension_value", "warning", "said"),
    counts=("n_mature", "n_events", "n_others", "n_events_of_others", "n_compared"),
    doubles=("overlap_rate", "known_rate", "raw_difference", "low_raw_difference",
             "high_raw_difference", "adjusted_difference", "low_adjusted_difference",
             "high_adjusted_difference", "low_simultaneous_difference",
             "high_simultaneous_difference", "expected_by_chance"),
)  # fmt: skip
