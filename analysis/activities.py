"""Attempts and the meetings or sign-ups that came of them: at what rate, and how many are needed.

Belongs here: the table activity_estimates. Does not belong here: what is read (attempts), values
beside each other (comparisons), the number needed (needed).
"""

from itertools import chain, product
from typing import Any

import numpy as np
import pandas as pd

from analysis.attempts import Attempts, AttemptTable, texts
from analysis.entries import Groups
from analysis.intervals import (
    Floats,
    Integers,
    level_of_all,
    no_rows,
    quotient,
    rounded,
    stacked,
    wilson,
)
from analysis.needed import needed
from analysis.pooling import N_DRAWS, mixtures

# With fewer effects than this the other values of the dimension help.
FEW, POOLED = 5, "few_effects_pooled"

Mixture = tuple[Floats, Floats]


def activity_estimates(*kinds: Attempts) -> pd.DataFrame:
    """Table activity_estimates: per type, definition, customer group, dimension and value, the rate
    of attempts that had their effect, and how many attempts are needed for some.
    """
    tables, pooled = [_RATES_OF_NOTHING], [(np.empty((N_DRAWS, 0)), np.empty((N_DRAWS, 0)))]
    for table in chain.from_iterable(attempts.tables() for attempts in kinds):
        for dimension, column in {"all": "all", **table.attempts.kind.dimensions}.items():
            if column != table.group or column == "all":
                for definition in table.reached:
                    rates, mixture = _rates(table, definition, dimension, column)
                    tables.append(rates)
                    pooled.append(mixture)
    frame = stacked(tables)
    is_pooled = (frame["reason"] == POOLED).to_numpy(bool)
    mixtures_of_all = [np.hstack(parameters) for parameters in zip(*pooled, strict=True)]
    a, b = frame.pop("successes").to_numpy(float), frame.pop("failures").to_numpy(float)
    of_one, of_pooled = _of_each(a[None], b[None]), _of_each(*mixtures_of_all)
    for name, numbers in of_one.items():
        numbers[is_pooled] = of_pooled[name]
        frame[name] = numbers
    return rounded(frame).assign(
        evidence="observed", interval_id="wilson_95_clustered", method_id="ratio_by_account",
        as_of=kinds[0].as_of,
    )  # fmt: skip


def _of_each(a: Floats, b: Floats) -> dict[str, Floats]:
    """`needed`, once for each different posterior: cells with the same counts have the same."""
    together = np.round(np.vstack([a, b]), 6).astype(float)
    columns, of_column = np.unique(together, axis=1, return_inverse=True, equal_nan=True)
    one, other = np.split(np.asarray(columns, dtype=float), [len(a)])
    return {
        f"n_needed_for_{effects}_at_{certainty * 100:.0f}": needed(effects, certainty, one, other)[
            of_column
        ]
        for effects, certainty in product((1, 5, 20), (0.5, 0.8))
    }


def _rates(
    table: AttemptTable, definition: str, dimension: str, column: str
) -> tuple[dict[str, Any], Mixture]:
    """Of each value the rate, and, of those of few effects, the pooled posterior."""
    groups = Groups(group_value=table.codes(table.group), dimension_value=table.codes(column))
    followed = table.attempts.is_followed[table.rows]
    key, reached = groups.of_row[followed], table.reached[definition][followed]
    n = np.bincount(key, minlength=groups.n)
    k = np.bincount(key[reached], minlength=groups.n)
    rate = np.where(n > 0, quotient(k, n), np.nan)
    effective_n = effective_number(
        key, reached, table.attempts.accounts[table.rows][followed], n, k
    )
    low, high = wilson(rate, effective_n)
    family = pd.factorize(texts(pd.Series(groups.values["group_value"])), use_na_sentinel=False)[0]
    n_compared = np.bincount(family, n > 0)[family].astype(np.int64)
    low_of_all, high_of_all = wilson(rate, effective_n, level_of_all(n_compared))
    posterior, mixture = _posterior(rate, effective_n, k, family)
    with np.errstate(divide="ignore", invalid="ignore"):
        per_effect = [np.where(r > 0, 1 / r, np.nan) for r in (rate, high, low)]
    columns = {
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
    return columns, mixture


# The columns of `_rates`, for a company without attempts.
_RATES_OF_NOTHING: dict[str, Any] = no_rows(
    texts=("type", "definition_id", "group_dimension", "dimension", "group_value",
           "dimension_value", "reason"),
    counts=("n_at_risk", "n_mature", "n_events", "n_compared"),
    doubles=("effective_n", "maturity_rate", "estimated_rate", "low_rate", "high_rate",
             "low_simultaneous_rate", "high_simultaneous_rate", "attempts_per_effect",
             "low_attempts_per_effect", "high_attempts_per_effect", "successes", "failures"),
)  # fmt: skip


def effective_number(
    key: Integers, reached: Integers, account: Integers, n: Integers, k: Integers
) -> Floats:
    """Independent attempts that would be as precise, at most `n`: attempts at one company are not.

    rate (1 - rate) / V with V the variance of a ratio over accounts (linearised). Where none or all
    had their effect no variance is seen; then each company counts once.
    """
    n_accounts = int(account.max(initial=-1)) + 1
    # In the order they come in: sorting the pairs took half of the time.
    of_pair, pairs = pd.factorize(key * n_accounts + account)
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


def _posterior(
    rate: Floats, effective_n: Floats, k: Integers, family: Integers
) -> tuple[dict[str, Any], Mixture]:
    """Parameters of each rate's beta posterior (Jeffreys' prior), or why there are none.

    Where few effects were seen the other values of the group say what is likely: their pooled
    posterior, a mixture with a long tail, in the order of the rates.
    """
    successes = np.nan_to_num(rate) * effective_n + 0.5
    failures = (1 - np.nan_to_num(rate)) * effective_n + 0.5
    a, b = np.full((2, N_DRAWS, len(k)), np.nan)
    reason = np.full(len(k), None, dtype=object)
    reason[k == 0] = "no_effect_yet"
    reason[effective_n == 0] = "not_followed_yet"
    for number in np.unique(family[(k < FEW) & (effective_n > 0)]):
        cells = np.flatnonzero((family == number) & (effective_n > 0))
        if len(cells) < 2 or not k[cells].any():
            continue
        a[:, cells], b[:, cells] = mixtures(rate[cells] * effective_n[cells], effective_n[cells])
        reason[cells[k[cells] < FEW]] = POOLED
    for values in (successes, failures):
        values[pd.notna(reason)] = np.nan
    is_pooled = reason == POOLED
    parameters = {"reason": reason, "successes": successes, "failures": failures}
    return parameters, (a[:, is_pooled], b[:, is_pooled])
