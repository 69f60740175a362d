"""What we changed, and whether it helped: before and since, against comparable sellers or segments.

Belongs here: the table action_effects.
Does not belong here: what is worth changing (focus).

Difference in differences, of logarithms of rates (of odds, where the number is a rate). The window
before ends some weeks before the change: a bad month is what makes people act, and would by itself
be followed by a better one; counted in, 11–22 % of changes without effect would have "helped".
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from analysis.intervals import LEVEL
from analysis.outlook import Outlook
from analysis.stays import LOST, WON, Stays

# What is read of dim_actions.
ACTION_COLUMNS = ("action_on", "scope", "scope_id", "kind", "metric")
# Days before the change that are left out, and the length of the windows.
TRIGGER_DAYS, WINDOW_DAYS = 42, 180
# With fewer in any of the windows nothing is said.
MIN_COUNT = 10
# So many times the variance that accounts tell of: days are not alike.
OVERDISPERSION = 1.3


@dataclass(frozen=True)
class _Counts:
    """Events and what they are of (selling days, or exits) in a window; the variance of the
    logarithm of their rate (or odds), by account: a deal moves several times.
    """

    events: int
    of: float
    variance: float

    @property
    def rate(self) -> float:
        return self.events / self.of if self.of else np.nan


def action_effects(outlook: Outlook, actions: pd.DataFrame) -> pd.DataFrame:
    """Table action_effects: a row for each change in `actions` (ACTION_COLUMNS)."""
    every: Any = actions.astype(object).itertuples(index=False)
    rows = [_row(outlook, action) for action in every]
    columns = (*ACTION_COLUMNS, "before", "since", "comparable_before", "comparable_since",
               "times_comparable", "low_times_comparable", "high_times_comparable", "n_mature",
               "n_events", "effect")  # fmt: skip
    return pd.DataFrame(rows, columns=list(columns)).assign(
        definition_id="since_over_before",
        interval_id="normal_95_of_logarithm",
        method_id="difference_in_differences",
        as_of=outlook.stays.as_of,
    )


def _row(outlook: Outlook, action: Any) -> dict[str, Any]:
    stays = outlook.stays
    day = np.datetime64(action.action_on, "D")
    head = {name: getattr(action, name) for name in ACTION_COLUMNS}
    head = {name: None if pd.isna(value) else value for name, value in head.items()}
    before = (day - TRIGGER_DAYS - WINDOW_DAYS, day - TRIGGER_DAYS)
    since = (day, min(day + WINDOW_DAYS, stays.as_of + 1))
    mine, others = _sides(stays, head["scope"], head["scope_id"])
    counted = [
        _counted(outlook, head["metric"], rows, window)
        for rows in (mine, others)
        for window in (before, since)
    ]
    names = ("before", "since", "comparable_before", "comparable_since")
    rates = {name: counts.rate for name, counts in zip(names, counted, strict=True)}
    effect, low, high, said = _effect(head, counted, bool(others.any()))
    return {
        **head,
        **rates,
        "times_comparable": effect,
        "low_times_comparable": low,
        "high_times_comparable": high,
        "n_mature": counted[0].events + counted[1].events,
        "n_events": counted[1].events,
        "effect": said,
    }


def _sides(
    stays: Stays, scope: str, scope_id: str | None
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whose stays changed, and whose are comparable: all others of the kind."""
    n = len(stays.state)
    if scope == "company":
        return np.ones(n, dtype=bool), np.zeros(n, dtype=bool)
    if scope == "stage":
        names = np.array([_is_called(stage, scope_id) for _, stage in stays.states], dtype=bool)
        mine = names[stays.state] if len(names) else np.zeros(n, dtype=bool)
        return mine, ~mine
    codes = stays.segment if scope == "segment" else stays.seller
    values = [None if value is None else str(value) for value in codes.values]
    wanted = values.index(scope_id) if scope_id in values else -1
    mine = codes.codes == wanted
    return mine, ~mine & (codes.codes > 0)


def _is_called(stage: str | None, name: str | None) -> bool:
    """By its id, with its system or without."""
    return stage is not None and name in (stage, str(stage).partition(":")[2])


def _counted(outlook: Outlook, metric: str | None, rows: NDArray[np.bool_], window: Any) -> _Counts:
    stays = outlook.stays
    start, end = window
    left = rows & (stays.left >= start) & (stays.left < end)
    forward = int((left & stays.is_forward).sum())
    if metric == "forward_rate":
        exits = left & (stays.is_forward | (stays.to == LOST))
        rate = forward / max(int(exits.sum()), 1)
        apart = np.bincount(stays.account[exits], stays.is_forward[exits] - rate)
        spread = max(exits.sum() * rate * (1 - rate), 1e-9)
        return _Counts(forward, int(exits.sum()), float((apart**2).sum() / spread**2))
    days = outlook.days.by(np.array([start - 1, end - 1]))
    n_days = float(days[1] - days[0])
    events = left & stays.is_forward
    if metric == "new_deals":
        events = rows & stays.is_arrival & (stays.entered >= start) & (stays.entered < end)
    if metric == "won_deals":
        events = left & (stays.to == WON)
    by_account = np.bincount(stays.account[events])
    variance = float((by_account**2).sum()) / max(int(events.sum()), 1) ** 2
    return _Counts(int(events.sum()), n_days, variance)


def _effect(
    head: dict[str, Any], counted: list[_Counts], has_others: bool
) -> tuple[float, float, float, str]:
    """How many times more it has grown than the comparable; what may be said of it."""
    nothing = (np.nan, np.nan, np.nan)
    if head["metric"] is None:
        return (*nothing, "no_metric")
    if not has_others:
        return (*nothing, "no_comparison")
    is_rate = head["metric"] == "forward_rate"
    logs, variance = [], 0.0
    for counts in counted:
        rest = counts.of - counts.events if is_rate else np.inf
        if min(counts.events, rest) < MIN_COUNT or counts.of <= 0:
            return (*nothing, "too_early_to_say")
        logs.append(np.log(counts.events / rest) if is_rate else np.log(counts.rate))
        variance += OVERDISPERSION * counts.variance
    effect = (logs[1] - logs[0]) - (logs[3] - logs[2])
    half = ndtri((1 + LEVEL) / 2) * np.sqrt(variance)
    said = (
        "improved_more" if effect > half else "improved_less" if effect < -half else "no_different"
    )
    return float(np.exp(effect)), float(np.exp(effect - half)), float(np.exp(effect + half)), said
