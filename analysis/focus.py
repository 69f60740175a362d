"""Where attention is worth most: stages, and segments and sellers in them, that convert less.

Belongs here: the table focus.
Does not belong here: drift over a year (drift), whether the goal is reached (check_in).

A stage, and a segment in it, is held against its own past; a seller against the others in the same
stage and time, on the same segments. So where a stage converts less for everyone it is named, and
nobody in it. The test is Mantel and Haenszel's over segments (1959, JNCI 22, 719–748), one-sided,
with its correction for continuity; what is named holds for all cells together (Holm 1979).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from analysis.intervals import LEVEL, Floats, Integers, quotient, wilson
from analysis.outlook import MIN_WINS, Outlook
from analysis.stays import LOST

# Days of exits that are looked at, and those before that a stage is held against.
WINDOW_DAYS, PAST_DAYS = 180, 730
# Below it a name is picked by chance: a detector that knows the effect ranks it first in 6–28 %.
MIN_EXITS = 45
# How often a company in which nothing has changed has anything named.
FALSE_ALARMS = 0.05
N_KINDS = 3
COLUMNS = ("rank", "dimension", "dimension_value", "pipeline_id", "stage_id", "n_exits",
           "forward_rate", "low_rate", "high_rate", "reference_rate", "rate_difference",
           "low_rate_difference", "high_rate_difference", "worth_amount", "low_worth_amount",
           "high_worth_amount", "p_value")  # fmt: skip


@dataclass(frozen=True)
class Exits:
    """Moves out of a stage, forward or lost, those of the window and those before it: `n` that are
    alike in all of these, in order of state and seller. A mask of each would be one a seller and
    stage: 20 GB of 10 M stage events.
    """

    state: Integers
    seller: Integers
    segment: Integers
    is_forward: NDArray[np.bool_]
    is_now: NDArray[np.bool_]
    n: Integers

    @classmethod
    def of(cls, outlook: Outlook) -> "Exits":
        stays = outlook.stays
        rows = np.flatnonzero(
            (stays.is_forward | (stays.to == LOST)) & (stays.left > stays.as_of - PAST_DAYS)
        )
        sizes = (len(stays.states), len(stays.seller.values), len(stays.segment.values), 2, 2)
        keys = (stays.state[rows], stays.seller.codes[rows], stays.segment.codes[rows],
                stays.is_forward[rows], stays.left[rows] > stays.as_of - WINDOW_DAYS)  # fmt: skip
        kinds, n = np.unique(np.ravel_multi_index(keys, sizes), return_counts=True)
        state, seller, segment, is_forward, is_now = np.unravel_index(kinds, sizes)
        return cls(state, seller, segment, is_forward == 1, is_now == 1, n)

    def by_segment(self, rows: Integers) -> Floats:
        """Exits, and those forward: 2, segments."""
        size = int(self.segment.max(initial=0)) + 1
        forward = rows[self.is_forward[rows]]
        return np.stack([np.bincount(self.segment[of], self.n[of], size) for of in (rows, forward)])


@dataclass
class _Cell:
    """`rows` of the exits; by segment, those exits and those of the reference (`by_segment`)."""

    dimension: str
    value: str | None
    state: int
    rows: Integers
    mine: Floats
    others: Floats


def focus(outlook: Outlook) -> pd.DataFrame:
    """Table focus: what is named, worth most first."""
    exits = Exits.of(outlook)
    named: list[dict[str, Any]] = []
    if outlook.n_wins >= MIN_WINS:
        sellers = _named(outlook, _of_sellers(outlook, exits))
        taken = np.zeros(len(exits.state), dtype=bool)
        for cell, _ in sellers:
            taken[cell.rows] = True
        stages = _named(outlook, _of_stages(exits, taken))
        for cell, _ in stages:
            taken |= exits.state == cell.state
        segments = _named(outlook, _of_segments(outlook, exits, taken))
        named = [row for _, row in (*sellers, *stages, *segments)]
    named.sort(key=lambda row: (-row["worth_amount"], str(row["dimension_value"])))
    table = pd.DataFrame(
        [{**row, "rank": place} for place, row in enumerate(named, start=1)], columns=list(COLUMNS)
    )
    return table.assign(
        definition_id="forward_or_lost",
        n_mature=table["n_exits"],
        n_events=(table["n_exits"] * table["forward_rate"]).astype(float).round(),
        interval_id="wilson_95",
        method_id="mantel_haenszel_test",
        as_of=outlook.stays.as_of,
    )


def _of_sellers(outlook: Outlook, exits: Exits) -> list[_Cell]:
    """Each seller in each stage, beside the others in the window."""
    found = []
    for state in np.unique(exits.state):
        here = np.flatnonzero((exits.state == state) & exits.is_now)
        of_all = exits.by_segment(here)
        for rows in np.split(here, np.flatnonzero(np.diff(exits.seller[here])) + 1):
            mine = exits.by_segment(rows)
            value = outlook.stays.seller.values[exits.seller[rows[0]]] if len(rows) else None
            if mine[0].sum() >= MIN_EXITS and value is not None:
                found.append(_Cell("seller", str(value), int(state), rows, mine, of_all - mine))
    return found


def _of_stages(exits: Exits, taken: NDArray[np.bool_]) -> list[_Cell]:
    """Each stage beside its own past, without what was named before."""
    cells = (
        _beside_past(exits, "stage", None, int(state), (exits.state == state) & ~taken)
        for state in np.unique(exits.state)
    )
    return [cell for cell in cells if _is_enough(cell)]


def _of_segments(outlook: Outlook, exits: Exits, taken: NDArray[np.bool_]) -> list[_Cell]:
    """Each segment in each stage beside its own past."""
    found = []
    for state, segment in np.unique(np.stack([exits.state, exits.segment]), axis=1).T:
        here = (exits.state == state) & (exits.segment == segment) & ~taken
        value = outlook.stays.segment.values[segment]
        if value is not None:
            found.append(_beside_past(exits, "segment", str(value), int(state), here))
    return [cell for cell in found if _is_enough(cell)]


def _beside_past(
    exits: Exits, dimension: str, value: str | None, state: int, here: NDArray[np.bool_]
) -> _Cell:
    rows, past = np.flatnonzero(here & exits.is_now), np.flatnonzero(here & ~exits.is_now)
    return _Cell(dimension, value, state, rows, exits.by_segment(rows), exits.by_segment(past))


def _is_enough(cell: _Cell) -> bool:
    return bool(cell.mine[0].sum() >= MIN_EXITS <= cell.others[0].sum())


def _named(outlook: Outlook, cells: list[_Cell]) -> list[tuple[_Cell, dict[str, Any]]]:
    """The cells that convert less than their reference by more than chance does anywhere."""
    chances = np.array([_chance(cell) for cell in cells])
    order, answer = np.argsort(chances), []
    for place, number in enumerate(order):
        if chances[number] * (len(cells) - place) * N_KINDS > FALSE_ALARMS:
            break
        cell = cells[number]
        answer.append((cell, _row(outlook, cell, float(chances[number]))))
    return answer


def _chance(cell: _Cell) -> float:
    """Of as few moves forward, were the cell as its reference (Mantel & Haenszel)."""
    (n, k), (m, j) = cell.mine, cell.others
    total, forward = n + m, k + j
    expected = quotient(n * forward, total)
    variance = quotient(n * m * forward * (total - forward), total**2 * np.maximum(total - 1, 1))
    if variance.sum() <= 0:
        return 1.0
    return float(ndtr((k.sum() - expected.sum() + 0.5) / np.sqrt(variance.sum())))


def _row(outlook: Outlook, cell: _Cell, chance: float) -> dict[str, Any]:
    (n, k), (m, j) = cell.mine, cell.others
    rate = k.sum() / n.sum()
    low, high = (float(bound) for bound in wilson(rate, n.sum()))
    # What the reference would do on the same segments.
    reference = float((n * np.where(m > 0, quotient(j, m), rate)).sum() / n.sum())
    error = float(np.sqrt(quotient(reference * (1 - reference), m.sum())))
    half = np.sqrt((rate - np.array([low, high])) ** 2 + (ndtri((1 + LEVEL) / 2) * error) ** 2)
    difference = (rate - reference, rate - reference - half[0], rate - reference + half[1])
    worth = _worth(outlook, cell.state) * n.sum() * 91 / WINDOW_DAYS
    pipeline, stage = outlook.stays.states[cell.state]
    return {
        "dimension": cell.dimension,
        "dimension_value": cell.value,
        "pipeline_id": pipeline,
        "stage_id": stage,
        "n_exits": int(n.sum()),
        "forward_rate": rate,
        "low_rate": low,
        "high_rate": high,
        "reference_rate": reference,
        "rate_difference": difference[0],
        "low_rate_difference": difference[1],
        "high_rate_difference": difference[2],
        "worth_amount": -difference[0] * worth,
        "low_worth_amount": -difference[2] * worth,
        "high_worth_amount": -difference[1] * worth,
        "p_value": chance,
    }


def _worth(outlook: Outlook, state: int) -> float:
    """What one more move forward from the state brings, in the end: mean over classes."""
    hazards, stays = outlook.expected, outlook.stays
    won = outlook.won[..., -1].mean(axis=1)
    rows = stays.state == state
    share = np.bincount(stays.kind[rows], minlength=len(stays.classes)) / max(rows.sum(), 1)
    mean = outlook.mean_amount
    value = mean * outlook.money_per_share.mean()
    moves = np.flatnonzero(hazards.source == state)
    forward = [
        (target, (stays.is_forward & rows & (stays.to == target)).sum())
        for target in hazards.target[moves]
    ]
    total = sum(n for _, n in forward)
    if not total:
        return 0.0
    after = sum(n * (won[:, to] if to >= 0 else 1.0) for to, n in forward) / total
    return float((share * value * after).sum())
