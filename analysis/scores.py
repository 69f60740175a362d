"""How good forecasts were: of each that was kept, once its quarter has ended.

Belongs here: scoring rules, the table forecast_scores.
Does not belong here: forecasts.

From 99 quantiles: the CRPS is twice the mean pinball loss over all levels (Laio & Tamea 2007,
Hydrol. Earth Syst. Sci. 11, 1267–1277); the PIT is where the outcome lies among them, at random
between equal ones (Czado, Gneiting & Held 2009, Biometrics 65, 1254–1261).
"""

import hashlib
from typing import Any

import numpy as np
import pandas as pd

from analysis.intervals import Floats
from analysis.stays import Stays, is_of, won_between

LEVELS = np.arange(1, 100) / 100
# What is kept of each forecast; `amounts` are its quantiles at LEVELS.
KEPT = ("basis", "origin_on", "forecaster", "scope", "scope_id", "period_start_on",
        "period_end_on", "part", "amounts")  # fmt: skip


def crps(amounts: Floats, outcome: float) -> float:
    """Of quantiles at LEVELS, in the outcome's unit; 0 is best."""
    return float(2 * np.mean(pinball(amounts, outcome, LEVELS)))


def pinball(amounts: Any, outcome: float, level: Any) -> Any:
    """The loss of quantiles at levels."""
    return np.maximum(level * (outcome - amounts), (level - 1) * (outcome - amounts))


def pit(amounts: Floats, outcome: float, random: float) -> float:
    """The level at which the outcome lies; `random` in [0, 1) decides among equal quantiles."""
    below = np.searchsorted(amounts, outcome, side="left")
    upto = np.searchsorted(amounts, outcome, side="right")
    share = below + random * np.maximum(upto - below, 1)
    return float(share / (len(amounts) + 1))


def forecast_scores(stays: Stays, kept: pd.DataFrame) -> pd.DataFrame:
    """Table forecast_scores: a row for each forecast in `kept` (KEPT) whose quarter has ended."""
    rows = []
    outcomes: dict[Any, float] = {}
    every: Any = kept.itertuples(index=False)
    for row in every:
        end = np.datetime64(row.period_end_on, "D")
        if end > stays.as_of:
            continue
        key = (row.scope, row.scope_id, row.period_start_on, row.part,
               row.origin_on if row.part == "open" else None)  # fmt: skip
        if key not in outcomes:
            outcomes[key] = _outcome(stays, row)
        rows.append({**_head(row), **_scored(np.array(row.amounts), outcomes[key], row)})
    empty = pd.DataFrame({name: pd.Series(dtype=object) for name in (*_HEAD, *_SCORES)})
    return pd.concat([empty, pd.DataFrame(rows)], ignore_index=True).assign(
        definition_id="won_amount",
        n_mature=1,
        n_events=1,
        interval_id="p10_p90",
        method_id="quantile_scores",
        as_of=stays.as_of,
    )


_HEAD = tuple(name for name in KEPT if name != "amounts")
_SCORES = ("won_amount", "p10_amount", "p50_amount", "p90_amount", "crps_amount",
           "p10_loss_amount", "p50_loss_amount", "p90_loss_amount", "pit_rate",
           "is_within_p10_p90", "error_amount")  # fmt: skip


def _head(row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in _HEAD}


def _outcome(stays: Stays, row: Any) -> float:
    """What was won in the period; of part `open`, by deals that were open at the origin."""
    start, end, origin = (
        np.datetime64(at, "D") for at in (row.period_start_on, row.period_end_on, row.origin_on)
    )
    if row.part == "open":
        start = max(start, origin + 1)
    rows, amount = won_between(stays, start, end)
    mine = is_of(stays, rows, row.scope, row.scope_id, has_left=row.scope == "seller")
    if row.part == "open":
        was_open = (stays.entered <= origin) & (stays.left > origin)
        mine &= np.isin(stays.journey[rows], stays.journey[was_open])
    return float(np.nansum(amount[mine]))


def _scored(amounts: Floats, outcome: float, row: Any) -> dict[str, Any]:
    ten, half, ninety = (float(amounts[place]) for place in (9, 49, 89))
    return {
        "won_amount": outcome,
        "p10_amount": ten,
        "p50_amount": half,
        "p90_amount": ninety,
        "crps_amount": crps(amounts, outcome),
        **{
            f"p{level}_loss_amount": float(pinball(at, outcome, level / 100))
            for level, at in ((10, ten), (50, half), (90, ninety))
        },
        "pit_rate": pit(amounts, outcome, _drawn_by(row)),
        "is_within_p10_p90": bool(ten <= outcome <= ninety),
        "error_amount": half - outcome,
    }


def _drawn_by(row: Any) -> float:
    """Always the same for a forecast, in [0, 1)."""
    name = "|".join(str(value) for value in _head(row).values())
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64
