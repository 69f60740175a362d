"""What will be won in this quarter and the next: 10,000 draws of what may come.

Belongs here: the draws, for the company, its segments and sellers.
Does not belong here: rates (outlook), tables and goals (forecasts), scores.

A draw takes one set of rates, one effect of each quarter that all deals share, and then each open
deal and each deal not yet created by itself.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from analysis.intervals import Floats, Integers
from analysis.outlook import N_KERNELS, Outlook

N_EFFECTS, N_INNER = 4, 50
N_DRAWS = N_KERNELS * N_EFFECTS * N_INNER
N_PERIODS = 2
# Open deals drawn at a time: 50 draws of so many are 20 MB.
CHUNK = 100_000
N_THREADS = 4
# More wins than this bring an amount of money that is as good as normal.
MANY_WINS = 300


@dataclass(frozen=True)
class Draws:
    """Money and deals won in each period, of arrays (draws, scopes, periods): from deals that were
    open, and from those not yet created. Scopes: the company, its segments, its sellers.
    """

    scopes: tuple[tuple[str, str | None], ...]
    open_amount: Any
    new_amount: Any
    n_won: Any


def draw(outlook: Outlook, rows: Integers, amount: Floats, random: np.random.Generator) -> Draws:
    """Draws for `rows`, the open stays of `outlook` that are still there, worth `amount` (nan: not
    known; then as much as deals of their class were won for).
    """
    arrived, per_day = outlook.arrivals
    groups = _Groups(outlook, rows, arrived)
    open_deals = _OpenDeals(outlook.open_won(rows, N_PERIODS), groups.of_open, groups.n)
    money = outlook.money_per_share
    spread_won, spread_new = outlook.spread_of_moves(), outlook.spread_of_arrivals()
    new = _NewDeals(outlook, groups, arrived, per_day)
    size = (N_DRAWS, len(groups.scopes), N_PERIODS)
    open_amount, new_amount, n_won = (np.zeros(size, dtype=np.float32) for _ in range(3))

    def of_effect(number: int, random: np.random.Generator) -> None:
        kernel = number // N_EFFECTS
        place = slice(number * N_INNER, (number + 1) * N_INNER)
        effect = random.standard_normal((2, N_PERIODS)) * [[spread_won], [spread_new]]
        worth = _imputed(outlook, rows, amount, kernel, random) * money[kernel]
        open_money, open_won = open_deals.drawn(kernel, effect[0], worth, random)
        new_money, new_won = new.drawn(kernel, effect[1], random)
        for period in range(N_PERIODS):
            open_amount[place, :, period] = open_money[period] @ groups.to_scopes
            new_amount[place, :, period] = new_money[period] @ groups.to_scopes
            n_won[place, :, period] = (open_won[period] + new_won[period]) @ groups.to_scopes

    n_effects = N_KERNELS * N_EFFECTS
    with ThreadPoolExecutor(N_THREADS) as pool:
        for _ in pool.map(of_effect, range(n_effects), random.spawn(n_effects)):
            pass
    return Draws(groups.scopes, open_amount, new_amount, n_won)


class _Groups:
    """Class, segment and seller together, of open deals and arrivals; and the scopes of each."""

    def __init__(self, outlook: Outlook, rows: Integers, arrived: Integers) -> None:
        stays = outlook.stays
        both = np.concatenate([rows, arrived]).astype(np.int64)
        keys = np.stack([stays.kind[both], stays.segment.codes[both], stays.seller.codes[both]])
        found, of_row = np.unique(keys, axis=1, return_inverse=True)
        self.n = found.shape[1]
        self.of_open, self.of_new = of_row[: len(rows)], of_row[len(rows) :]
        self.kind, segment, seller = found
        segments, sellers = np.unique(segment), np.unique(seller)
        self.scopes: tuple[tuple[str, str | None], ...] = (
            ("company", None),
            *(("segment", stays.segment.values[code]) for code in segments),
            *(("seller", stays.seller.values[code]) for code in sellers),
        )
        groups = np.arange(self.n)
        columns = np.concatenate([
            np.zeros(self.n, dtype=np.int64),
            1 + np.searchsorted(segments, segment),
            1 + len(segments) + np.searchsorted(sellers, seller),
        ])  # fmt: skip
        self.to_scopes = csr_array(
            (np.ones(3 * self.n, dtype=np.float32), (np.tile(groups, 3), columns)),
            shape=(self.n, len(self.scopes)),
        )


def _imputed(
    outlook: Outlook, rows: Integers, amount: Floats, kernel: int, random: np.random.Generator
) -> Floats:
    """The amounts; of deals without, that of some deal of the class that was won."""
    missing = np.flatnonzero(np.isnan(amount))
    worth = amount.copy()
    for kind in np.unique(outlook.stays.kind[rows[missing]]):
        some = missing[outlook.stays.kind[rows[missing]] == kind]
        pool = outlook.amounts[kind]
        times = outlook.amount_times[kernel, kind]
        worth[some] = random.choice(pool, len(some)) * times if len(pool) else 0.0
    return worth


class _OpenDeals:
    """Deals that are open, by group: `chance` has the probability to be won by the end of each
    period (deals, draws of rates, periods).
    """

    def __init__(self, chance: Floats, group: Integers, n_groups: int) -> None:
        self.chance, self.n_groups = chance, n_groups
        parts = (slice(first, first + CHUNK) for first in range(0, len(group), CHUNK))
        self.groups = [(part, _sums(group[part], n_groups)) for part in parts]

    def drawn(
        self, kernel: int, effect: Floats, worth: Floats, random: np.random.Generator
    ) -> tuple[Any, Any]:
        """Money and deals won in each period, of N_INNER draws and each group."""
        limits = _with_effects(self.chance[:, kernel], effect).astype(np.float32)
        money, deals = np.zeros((2, N_PERIODS, self.n_groups, N_INNER), dtype=np.float32)
        for part, sums in self.groups:
            draws = random.random((len(limits[part]), N_INNER), dtype=np.float32)
            worths = sums * worth[part].astype(np.float32)
            for period in range(N_PERIODS):
                by_then = (draws < limits[part, period, None]).astype(np.float32)
                money[period] += worths @ by_then
                deals[period] += sums @ by_then
        money[1:] -= money[:-1].copy()
        deals[1:] -= deals[:-1].copy()
        return money.swapaxes(1, 2), deals.swapaxes(1, 2)


def _sums(group: Integers, n_groups: int) -> Any:
    """The matrix that sums over the members of each group."""
    members = np.arange(len(group))
    ones = np.ones(len(group), dtype=np.float32)
    return csr_array((ones, (group, members)), shape=(n_groups, len(group)))


def _with_effects(chance: Floats, effect: Floats) -> Floats:
    """The chances by the end of each period, the odds within each times its effect."""
    so_far, answer = np.zeros_like(chance[:, 0]), []
    before = so_far
    for period in range(chance.shape[1]):
        within = np.clip((chance[:, period] - before) / np.maximum(1 - before, 1e-9), 0, 1)
        times = np.exp(effect[period])
        within = within * times / (1 - within + within * times)
        before, so_far = chance[:, period], so_far + (1 - so_far) * within
        answer.append(so_far)
    return np.stack(answer, axis=1)


class _NewDeals:
    """Deals that will be created: so many a selling day in each class and state, won so soon."""

    def __init__(
        self, outlook: Outlook, groups: _Groups, arrived: Integers, per_day: Floats
    ) -> None:
        stays = outlook.stays
        self.groups, self.amounts, self.times = groups, outlook.amounts, outlook.amount_times
        n_classes, n_states = len(stays.classes), len(stays.states)
        cell = stays.kind[arrived] * n_states + stays.state[arrived]
        rate = np.bincount(cell, per_day, n_classes * n_states).reshape(n_classes, n_states)
        # Entries of each remaining day of the period have so many days left.
        until = np.cumsum(outlook.won, axis=-1)
        by_end = [
            np.einsum("cbk,ck->cb", until[..., end - 1], rate) if end else np.zeros(until.shape[:2])
            for end in outlook.ends[:N_PERIODS]
        ]
        self.expected = np.diff(np.stack([np.zeros_like(by_end[0]), *by_end]), axis=0)
        of_class = np.bincount(stays.kind[arrived], per_day, n_classes)
        of_group = np.bincount(groups.of_new, per_day, groups.n)
        self.share = of_group / np.maximum(of_class[groups.kind], 1e-12)
        squared = np.bincount(stays.kind[arrived], per_day**2, n_classes)
        with np.errstate(divide="ignore", invalid="ignore"):
            self.shape = np.where(squared > 0, of_class**2 / squared, 1.0)

    def drawn(
        self, kernel: int, effect: Floats, random: np.random.Generator
    ) -> tuple[list[Any], list[Any]]:
        """As `_OpenDeals.drawn`."""
        level = random.gamma(self.shape) / self.shape
        money, deals = [], []
        for period in range(N_PERIODS):
            expected = self.expected[period, :, kernel] * level * np.exp(effect[period])
            n = random.poisson(expected[self.groups.kind] * self.share, (N_INNER, self.groups.n))
            money.append(self._money(n, self.times[kernel], random))
            deals.append(n.astype(np.float32))
        return money, deals

    def _money(self, n: Any, times: Floats, random: np.random.Generator) -> Any:
        """What so many deals of each group's class bring."""
        money = np.zeros(n.shape, dtype=np.float32)
        for kind in np.unique(self.groups.kind):
            pool = self.amounts[kind] * times[kind]
            columns = np.flatnonzero(self.groups.kind == kind)
            few = n[:, columns]
            if not len(pool) or not few.any():
                continue
            many = few > MANY_WINS
            picked = random.choice(pool, int(few[~many].sum()))
            cell = np.repeat(np.flatnonzero(~many.ravel()), few[~many])
            some = np.bincount(cell, picked, few.size).reshape(few.shape)
            normal = few * pool.mean()
            normal = normal + np.sqrt(few) * pool.std() * random.standard_normal(few.shape)
            money[:, columns] = np.where(many, np.maximum(normal, 0), some)
        return money
