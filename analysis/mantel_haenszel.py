"""Values of a dimension side by side: the rate of each less that of all others, raw and adjusted.

Belongs here: the estimators. Does not belong here: which values and strata there are (comparisons).

The adjusted difference is the Mantel-Haenszel risk difference over strata (Greenland & Robins 1985,
Biometrics 41, 55-68): strata where only one side has been count for nothing. Its variance adds up
each account's part of the estimating equation and squares it, so that attempts at one company are
no independent trials; a stratum's own mean being estimated, N / (N - 1) makes up for it, which
holds for strata of two as well.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from analysis.intervals import LEVEL, Floats, Integers, quotient

# Pairs of a value and an account within a stratum that are looked at together: 16 bytes each and a
# few numbers beside.
CHUNK = 10_000_000


@dataclass(frozen=True)
class Differences:
    """Per value: its rate less that of all others, the standard error and its degrees of freedom;
    nan where nothing can be compared. `overlap_rate` is the part of the value's trials in whose
    strata there are others.
    """

    value: Floats
    error: Floats
    freedom: Floats
    overlap_rate: Floats

    def bounds(self, level: float = LEVEL) -> tuple[Floats, Floats]:
        half = stdtrit(self.freedom, (1 + level) / 2) * self.error
        return self.value - half, self.value + half


class SideBySide:
    """Trials numbered by `side` (the value), `stratum` (which they are compared within) and
    `account` (whose they are), each from 0.
    """

    def __init__(self, side: Integers, stratum: Integers, account: Integers) -> None:
        self.n_sides, self.n_accounts = (
            int(side.max(initial=-1)) + 1,
            int(account.max(initial=-1)) + 1,
        )
        self.n_of_stratum = np.bincount(stratum)
        self.stratum = stratum
        # A cell is a side within a stratum, by sides; a part an account within it.
        n_strata = len(self.n_of_stratum)
        cells, self.cell = np.unique(side * n_strata + stratum, return_inverse=True)
        self.side_of, self.stratum_of = np.divmod(cells, max(n_strata, 1))
        self.n = np.bincount(self.cell, minlength=len(cells))
        self.n_others = self.n_of_stratum[self.stratum_of] - self.n
        parts, self.part = np.unique(self.cell * self.n_accounts + account, return_inverse=True)
        self.cell_of_part, self.account_of_part = np.divmod(parts, max(self.n_accounts, 1))
        self.n_of_part = np.bincount(self.part, minlength=len(parts))
        # A share is an account within a stratum, whichever the side.
        shares, self.share = np.unique(stratum * self.n_accounts + account, return_inverse=True)
        self.stratum_of_share, self.account_of_share = np.divmod(shares, max(self.n_accounts, 1))
        self.n_of_share = np.bincount(self.share, minlength=len(shares))

    def adjusted(self, reached: NDArray[np.bool_]) -> Differences:
        """By Mantel and Haenszel; `reached` says of each trial whether it had its effect."""
        total = self.n_of_stratum[self.stratum_of]
        k_of_stratum = np.bincount(self.stratum[reached], minlength=len(self.n_of_stratum))
        k = np.bincount(self.cell[reached], minlength=len(self.n))
        k_others = k_of_stratum[self.stratum_of] - k
        weight = quotient(self.n * self.n_others, total)
        weights = np.bincount(self.side_of, weight, self.n_sides)
        top = quotient(k * self.n_others - k_others * self.n, total)
        value = _known(np.bincount(self.side_of, top, self.n_sides), weights)
        mean = (k_of_stratum[self.stratum_of] - np.nan_to_num(value)[self.side_of] * self.n) / total
        squared, *n_accounts = self._squared(reached, value, mean)
        error, freedom = _precision(
            squared / np.where(weights > 0, weights, np.nan) ** 2, *n_accounts
        )
        is_shared = self.n_others > 0
        n = np.bincount(self.side_of, self.n, self.n_sides)
        shared = np.bincount(self.side_of[is_shared], self.n[is_shared], self.n_sides)
        return Differences(
            np.where(np.isnan(freedom), np.nan, value), error, freedom, quotient(shared, n)
        )

    def _squared(
        self, reached: NDArray[np.bool_], value: Floats, mean: Floats
    ) -> tuple[Floats, Integers, Integers, Integers]:
        """Per side, the squared sums of accounts; how many of those there are, with trials of the
        side, and with others.
        """
        k_of_part = np.bincount(self.part[reached], minlength=len(self.n_of_part))
        k_of_share = np.bincount(self.share[reached], minlength=len(self.n_of_share))
        total = self.n_of_stratum[self.stratum_of]
        correction = np.sqrt(total / np.maximum(total - 1, 1)) / total
        squared, counts = np.zeros(self.n_sides), np.zeros((3, self.n_sides), dtype=np.int64)
        for cells, shares, parts, owners, of_share, of_part in self._chunks:
            cell = self.cell_of_part[parts]
            # What all of the account's trials add as others, and the side's own as what they are.
            others = (k_of_share[shares] - mean[cells] * self.n_of_share[shares]) * self.n[cells]
            n, distance = (
                self.n_of_part[parts],
                k_of_part[parts] - mean[cell] * self.n_of_part[parts],
            )
            own = (distance - value[self.side_of[cell]] * n) * self.n_others[cell]
            own += distance * self.n[cell]
            sums = np.bincount(of_part, own * correction[cell], len(owners))
            sums -= np.bincount(of_share, others * correction[cells], len(owners))
            n_all = np.bincount(of_share, self.n_of_share[shares], len(owners))
            n_own = np.bincount(of_part, n, len(owners))
            side = owners // self.n_accounts
            squared += np.bincount(side, sums**2, self.n_sides)
            for number, is_there in enumerate((n_all > 0, n_own > 0, n_all > n_own)):
                counts[number] += np.bincount(side[is_there], minlength=self.n_sides)
        return squared, *counts

    @cached_property
    def _chunks(self) -> list[tuple[Integers, ...]]:
        """Some sides after the other: each of their cells that has others with each of the shares
        of its stratum, and the parts of those cells; then the owners of them, an owner being an
        account beside a side, and which owner each share and each part is of.
        """
        first = np.searchsorted(self.stratum_of_share, np.arange(len(self.n_of_stratum)))
        n_shares = np.bincount(self.stratum_of_share, minlength=len(self.n_of_stratum))
        is_used = self.n_others > 0
        size = np.where(is_used, n_shares[self.stratum_of], 0)
        of_side = np.bincount(self.side_of, size, self.n_sides)
        chunk = np.where(is_used, (np.cumsum(of_side) // CHUNK)[self.side_of], -1)
        chunks: list[tuple[Integers, ...]] = []
        for number in np.unique(chunk[is_used]):
            cells = np.flatnonzero(chunk == number)
            sizes = size[cells]
            steps = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
            shares = np.repeat(first[self.stratum_of[cells]], sizes) + steps
            cells = np.repeat(cells, sizes)
            parts = np.flatnonzero(chunk[self.cell_of_part] == number)
            owners, of_share = np.unique(
                self.side_of[cells] * self.n_accounts + self.account_of_share[shares],
                return_inverse=True,
            )
            of_part = np.searchsorted(
                owners,
                self.side_of[self.cell_of_part[parts]] * self.n_accounts
                + self.account_of_part[parts],
            )
            chunks.append((cells, shares, parts, owners, of_share, of_part))
        return chunks


def raw(
    side: Integers, group: Integers, account: Integers, effects: Iterable[NDArray[np.bool_]]
) -> list[Differences]:
    """Of each side in its group (an account is in one or in several): rates as they stand, for each
    of `effects`, which say of each trial whether it had it.
    """
    n_sides, n_groups = int(side.max(initial=-1)) + 1, int(group.max(initial=-1)) + 1
    group_of = np.zeros(n_sides, dtype=np.int64)
    group_of[side] = group
    n_accounts = int(account.max(initial=-1)) + 1
    shares, share = np.unique(group * n_accounts + account, return_inverse=True)
    parts, part = np.unique(side * n_accounts + account, return_inverse=True)
    side_of, account_of = np.divmod(parts, max(n_accounts, 1))
    share_of = np.searchsorted(shares, group_of[side_of] * n_accounts + account_of)
    of = shares // max(n_accounts, 1)
    n = np.bincount(side, minlength=n_sides)
    n_all = np.bincount(group_of, n, n_groups)[group_of]
    m = (n_all - n)[side_of]
    b = np.bincount(share, minlength=len(shares))
    n_part = np.bincount(part, minlength=len(parts))
    n_in_group = np.bincount(of, minlength=n_groups)[group_of]
    n_own = np.bincount(side_of, minlength=n_sides)
    n_others = n_in_group - np.bincount(side_of[n_part == b[share_of]], minlength=n_sides)
    found = []
    for reached in effects:
        k = np.bincount(side[reached], minlength=n_sides)
        k_all = np.bincount(group_of, k, n_groups)[group_of]
        rate, others = _known(k, n), _known(k_all - k, n_all - n)
        # Sums over the accounts of a group of what each adds to the others, then its own.
        a = np.bincount(share[reached], minlength=len(shares))
        aa, ab, bb = (np.bincount(of, x, n_groups)[group_of] for x in (a * a, a * b, b * b))
        squared = quotient(aa - 2 * others * ab + others**2 * bb, (n_all - n).astype(float) ** 2)
        k_part = np.bincount(part[reached], minlength=len(parts))
        p, q = rate[side_of], others[side_of]
        before = quotient(a[share_of] - q * b[share_of], m)
        after = quotient(k_part - p * n_part, n[side_of])
        after -= quotient(a[share_of] - k_part - q * (b[share_of] - n_part), m)
        squared = squared + np.bincount(side_of, after**2 - before**2, n_sides)
        error, freedom = _precision(squared, n_in_group, n_own, n_others)
        found.append(Differences(rate - others, error, freedom, (n_all > n).astype(float)))
    return found


def _precision(
    variance: Floats, n_accounts: Integers, n_own: Integers, n_others: Integers
) -> tuple[Floats, Floats]:
    """Standard errors and degrees of freedom: the side with fewer accounts decides how well the
    variance is known.
    """
    fewer = np.minimum(n_own, n_others)
    variance = variance * quotient(n_accounts, n_accounts - 1)
    is_known = (fewer > 1) & (variance > 0)
    return np.sqrt(np.where(is_known, variance, np.nan)), np.where(is_known, fewer - 1.0, np.nan)


def _known(numerator: Any, denominator: Any) -> Floats:
    return np.where(denominator > 0, quotient(numerator, denominator), np.nan)
