"""Intervals of proportions, and the types and tables that all statistics here share.

Belongs here: bounds that need nothing but counts. Does not belong here: estimators.
"""

from collections.abc import Mapping, Sequence
from numbers import Number
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

Floats = NDArray[np.float64]
Integers = NDArray[np.integer[Any]]

LEVEL = 0.95
# Decimals of an estimated rate: beyond what any number of deals tells, the same on every machine,
# and half the bytes of all sixteen.
DECIMALS = 6
# Below this a share of deals is none: what is left of 1 after subtractions that should give 0.
NOTHING = 1e-12


def wilson(rate: Any, n: Any, level: Any = LEVEL) -> tuple[Floats, Floats]:
    """Bounds of a proportion seen in `n` (Wilson 1927, JASA 22, 209–212); nan where n is not > 0.

    `n` need not be whole. Pointwise: not a band, which would hold on all days at once.
    """
    rate, n = np.asarray(rate, dtype=float), np.asarray(n, dtype=float)
    z = ndtri((1 + level) / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(n > 0, z * z / n, np.nan)
        centre = (rate + share / 2) / (1 + share)
        half = np.sqrt(share * (rate * (1 - rate) + share / 4)) / (1 + share)
    return np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)


def level_of_all(n: Any) -> Floats:
    """The level of each of `n` intervals that hold all at once with LEVEL, whatever the correlation
    (Šidák 1967, JASA 62, 626–633).
    """
    return np.asarray(LEVEL ** (1 / np.maximum(n, 1)))


def rounded(table: pd.DataFrame) -> pd.DataFrame:
    """The table with its numbers of DECIMALS; it has dates, which `round` warns of."""
    return table.round(dict.fromkeys(table.select_dtypes("float").columns, DECIMALS))


def stacked(parts: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """One table of parts, each columns of one length, or values of all its rows; null where a part
    has no such column. To make a frame of each took a fifth of all estimates' time.
    """
    columns: dict[str, list[Any]] = {name: [] for part in parts for name in part}
    for part in parts:
        n_rows = next(len(values) for values in part.values() if np.ndim(values))
        for name, pieces in columns.items():
            pieces.append(_of_rows(part.get(name), n_rows))
    arrays = {name: np.concatenate(pieces) for name, pieces in columns.items()}
    # As they are: pandas would look through texts, and make nan of None.
    return pd.DataFrame({name: pd.Series(a, dtype=a.dtype) for name, a in arrays.items()})


def _of_rows(value: Any, n_rows: int) -> NDArray[Any]:
    if np.ndim(value):
        return np.asarray(value)
    return np.full(n_rows, value, None if isinstance(value, Number) else object)


def no_rows(
    texts: Sequence[str], counts: Sequence[str], doubles: Sequence[str]
) -> dict[str, NDArray[Any]]:
    """Columns without rows, of these types: what a table of no parts still has."""
    kinds = {**dict.fromkeys(texts, object), **dict.fromkeys(counts, np.int64),
             **dict.fromkeys(doubles, np.float64)}  # fmt: skip
    return {name: np.empty(0, kind) for name, kind in kinds.items()}


def quotient(numerator: Any, denominator: Any) -> Floats:
    """Quotient, 0 where there is nothing to divide by."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(denominator > 0, numerator / denominator, 0.0)


# One over the degrees of freedom, in which the quantiles of Student's t are nearly a line.
_RECIPROCAL = np.linspace(1e-9, 1, 1_000)

_QUANTILES = stdtrit(1 / _RECIPROCAL, (1 + LEVEL) / 2)


def t_quantile(freedom: Any) -> Floats:
    """Quantiles of Student's t for `LEVEL`, from a table: exact ones would take longest of all."""
    return np.asarray(np.interp(1 / np.maximum(freedom, 1), _RECIPROCAL, _QUANTILES))
