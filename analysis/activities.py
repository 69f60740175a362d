"""Attempts and the meetings that came of them: at what rate, and how many are needed.

Belongs here: the table activity_estimates. Does not belong here: what is read (attempts), values
beside each other (comparisons), the number needed (needed).
"""

from typing import Any

import numpy as np
import pandas as pd

from analysis.attempts import DIMENSIONS, Attempts, AttemptTable, texts
from analysis.entries import Groups
from analysis.intervals import Floats, Integers, level_of_all, quotient, rounded, wilson
from analysis.needed import needed
from analysis.pooling import mixtures

# How many effects are planned for, and how surely.
NEEDED = {
    (effects, certainty): f"n_needed_for_{effects}_at_{certainty * 100:.0f}"
    for effects in (1, 5, 20)
    for certainty in (0.5, 0.8)
}
# With fewer effects than this the other values of the dimension help.
FEW = 5


def activity_estimates(attempts: Attempts) -> pd.DataFrame:
    """Table activity_estimates: per type, definition, customer group, dimension and value, the rate
    of attempts that had a meeting, and how many attempts are needed for some.
    """
    tables = [_rates_of_nothing()]
    for table in attempts.tables():
        for dimension, column in {"all": "all", **DIMENSIONS}.items():
            if column != table.group or column == "all":
                tables += [
                    _rates(table, definition, dimension, column) for definition in table.reached
                ]
    frame = pd.concat(tables, ignore_index=True)
    a, b = frame.pop("successes").to_numpy(float), frame.pop("failures").to_numpy(float)
    for aim, name in NEEDED.items():
        frame[name] = frame[name].fillna(pd.Series(_per_posterior(*aim, a, b)))
    return rounded(frame).assign(
        evidence="observed", interval_id="wilson_95_clustered", method_id="ratio_by_account",
        as_of=attempts.as_of,
    )  # fmt: skip


def _per_posterior(effects: int, certainty: float, a: Floats, b: Floats) -> Floats:
    """`needed`, once for each different posterior: cells with the same counts have the same."""
    pairs, of_pair = np.unique(np.round([a, b], 6), axis=1, return_inverse=True, equal_nan=True)
    return needed(effects, certainty, *pairs)[of_pair]


def _rates(table: AttemptTable, definition: str, dimension: str, column: str) -> pd.DataFrame:
    groups = Groups(group_value=table.codes(table.group), dimension_value=table.codes(column))
    followed = table.attempts.is_followed[table.rows]
    key, reached = groups.of_row[followed], table.reached[definition][followed]
    n = np.bincount(key, minlength=groups.n)
    k = np.bincount(key[reached], minlength=groups.n)
    rate = np.where(n > 0, quotient(k, n), np.nan)
    effective_n = _effective_n(key, reached, table.attempts.accounts[table.rows][followed], n, k)
    low, high = wilson(rate, effective_n)
    family = pd.factorize(texts(pd.Series(groups.values["group_value"])), use_na_sentinel=False)[0]
    n_compared = np.bincount(family, n > 0)[family].astype(np.int64)
    low_of_all, high_of_all = wilson(rate, effective_n, level_of_all(n_compared))
    posterior = _posterior(rate, effective_n, k, family)
    with np.errstate(divide="ignore", invalid="ignore"):
        per_effect = [np.where(r > 0, 1 / r, np.nan) for r in (rate, high, low)]
    return pd.DataFrame(
        {
            **table.head(definition, dimension),
            "group_value": groups.values["group_value"],
            "dimension_value": groups.values["dimension_value"],
            "n_at_risk": groups.count(),
            "n_mature": n,
            "n_events": k,
            "effective_n": effective_n,
            "maturity_rate": n / groups.count(),
            "estimated_rate": rate,
            "low_rate": low,
            "high_rate": high,
            "low_simultaneous_rate": low_of_all,
            "high_simultaneous_rate": high_of_all,
            "n_compared": n_compared,
            "attempts_per_effect": per_effect[0],
            "low_attempts_per_effect": per_effect[1],
            "high_attempts_per_effect": per_effect[2],
            **posterior,
        }
    )


def _rates_of_nothing() -> pd.DataFrame:
    """The columns of `_rates`, for a company without attempts."""
    texts = ("type", "definition_id", "group_dimension", "dimension", "group_value",
             "dimension_value", "reason")  # fmt: skip
    counts = ("n_at_risk", "n_mature", "n_events", "n_compared")
    doubles = ("effective_n", "maturity_rate", "estimated_rate", "low_rate", "high_rate",
               "low_simultaneous_rate", "high_simultaneous_rate", "attempts_per_effect",
               "low_attempts_per_effect", "high_attempts_per_effect", "successes", "failures",
               *NEEDED.values())  # fmt: skip
    kinds = {**dict.fromkeys(texts, "object"), **dict.fromkeys(counts, "int64"),
             **dict.fromkeys(doubles, "float64")}  # fmt: skip
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in kinds.items()})


def _effective_n(
    key: Integers, reached: Integers, account: Integers, n: Integers, k: Integers
) -> Floats:
    """Independent attempts that would be as precise, at most `n`: attempts at one company are not.

    rate (1 - rate) / V with V the variance of a ratio over accounts (linearised). Where none or all
    had their effect no variance is seen; then each company counts once.
    """
    n_accounts = int(account.max(initial=-1)) + 1
    pairs, of_pair = np.unique(key * n_accounts + account, return_inverse=True)
    cell = pairs // max(n_accounts, 1)
    rate = quotient(k, n)
    trials = np.bincount(of_pair, minlength=len(pairs))
    effects = np.bincount(of_pair[reached], minlength=len(pairs))
    squared = (effects - rate[cell] * trials) ** 2
    clusters = np.bincount(cell, minlength=len(n))
    variance = quotient(np.bincount(cell, squared, len(n)), n.astype(float) ** 2)
    variance = variance * quotient(clusters, clusters - 1)
    is_seen = (k > 0) & (k < n) & (variance > 0)
    by_variance = quotient(rate * (1 - rate), np.where(is_seen, variance, np.inf))
    return np.where(is_seen, np.minimum(by_variance, n), np.minimum(clusters, n)).astype(float)


def _posterior(rate: Floats, effective_n: Floats, k: Integers, family: Integers) -> dict[str, Any]:
    """Parameters of each rate's beta posterior (Jeffreys' prior), or why there are none.

    Where few effects were seen the other values of the group say what is likely: of their pooled
    posterior, a mixture with a long tail, what is needed is told at once.
    """
    successes = np.nan_to_num(rate) * effective_n + 0.5
    failures = (1 - np.nan_to_num(rate)) * effective_n + 0.5
    numbers = {name: np.full(len(k), np.nan) for name in NEEDED.values()}
    reason = np.full(len(k), None, dtype=object)
    reason[k == 0] = "no_effect_yet"
    reason[effective_n == 0] = "not_followed_yet"
    for number in np.unique(family[(k < FEW) & (effective_n > 0)]):
        cells = np.flatnonzero((family == number) & (effective_n > 0))
        if len(cells) < 2 or not k[cells].any():
            continue
        n, is_few = effective_n[cells], k[cells] < FEW
        a, b = mixtures(rate[cells] * n, n)
        for (effects, certainty), name in NEEDED.items():
            numbers[name][cells[is_few]] = needed(effects, certainty, a[:, is_few], b[:, is_few])
        reason[cells[is_few]] = "few_effects_pooled"
    for values in (successes, failures):
        values[pd.notna(reason)] = np.nan
    return {"reason": reason, "successes": successes, "failures": failures, **numbers}
