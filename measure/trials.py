"""Invented stage entries whose true rates are known, and how the estimates do on them.

Belongs here: what is drawn, the share of intervals that hold the truth, bias.
Does not belong here: the tables of docs/calibration.md (`calibrate`), seconds (`speed`);
assertions, which test_conversion makes of fewer replications.

Frames go straight to analysis, as dbt's fct_stage_entries would. A replication is a segment of its
own, so that thousands are estimated at once.
"""

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from analysis import conversion, sellers, visits
from analysis.entries import Entries, Groups
from analysis.incidence import cumulative_incidence
from analysis.intervals import wilson
from analysis.pooling import normal_scores, pooled

NO_OPEN_DEALS = pd.DataFrame(columns=["pipeline_id", "stage_id", "segment", "days_in_stage"])
AS_OF = np.datetime64("2026-06-30T21:59:59")
DAY, HORIZON = 86_400, 90
NEVER = 10_000 * DAY
SIZES, RATES = (30, 300, 3_000), (0.02, 0.05, 0.1, 0.3, 0.5, 0.7, 0.9, 0.95, 0.98)
PATTERNS = {
    "complete": "everybody is followed for the whole horizon",
    "steady": "entries spread evenly over four horizons",
    "young": "over one and a half: two of three are not finished",
    "growing": "ever more of them, the mean age is one horizon",
    "late": "steady; three of ten are known only from some day of the first half horizon on, if "
    "they were still open",
    "accounts": "spread over three; accounts of one to four deals, half of which end alike",
}


def outcomes(
    random: np.random.Generator, n: int, rate: float
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Seconds to winning and losing, of `n` deals: `rate` are won by the horizon, exactly."""
    horizon = HORIZON * DAY
    kind = random.random(n)
    lost_rate = 0.6 * (1 - rate)
    won = np.where(kind < rate, np.ceil(horizon * random.beta(1.2, 2.0, n)), NEVER)
    is_lost = (kind >= rate) & (kind < rate + lost_rate)
    return won, np.where(is_lost, np.ceil(horizon * random.random(n)), NEVER)


def frame(
    random: np.random.Generator, pattern: str, n: int, rate: float, replications: int
) -> pd.DataFrame:
    """Entries into one stage: `n` of them in each of as many segments as `replications`."""
    size, horizon = n * replications, HORIZON * DAY
    won, lost = outcomes(random, size, rate)
    account = np.arange(size)
    late = np.zeros(size)
    span = {"complete": 0, "steady": 4, "late": 4, "young": 1.5, "growing": 0, "accounts": 3}
    age = horizon * span[pattern] * random.random(size)
    if pattern == "complete":
        age += 2 * horizon
    elif pattern == "growing":
        age = random.exponential(horizon, size)
    elif pattern == "accounts":
        account = np.repeat(account, random.integers(1, 5, size))[:size]
        shared = random.random(size) < 0.5
        won, lost = (np.where(shared, of[account], of) for of in (won, lost))
    elif pattern == "late":
        late = np.where(random.random(size) < 0.3, horizon / 2 * random.random(size), 0)
        # Of these only the ones that were still open, and had begun, are known at all.
        while len(gone := np.flatnonzero(np.minimum(np.minimum(won, lost), age) < late)):
            won[gone], lost[gone] = outcomes(random, len(gone), rate)
            age[gone] = horizon * 4 * random.random(len(gone))
    entered = AS_OF - age.astype("timedelta64[s]")
    segment = pd.Categorical.from_codes(np.repeat(np.arange(replications), n), range(replications))
    reached = {"won": won, "lost": lost}
    return entries_frame(entered, late, reached, segment=segment, account_id=account)


def entries_frame(entered: Any, late: Any, reached: dict[str, Any], **columns: Any) -> pd.DataFrame:
    """A frame with the columns of fct_stage_entries that analysis reads."""
    at = {
        name: np.where(
            entered + seconds.astype("timedelta64[s]") <= AS_OF,
            entered + seconds.astype("timedelta64[s]"),
            np.datetime64("NaT"),
        )
        for name, seconds in reached.items()
    }
    nothing = np.full(len(entered), np.datetime64("NaT"), dtype="datetime64[s]")
    times = {
        f"{n}_at": at.get(n, nothing) for n in ("next_any", "next_role", "won", "lost", "left")
    }
    names = ("pipeline_id", "stage_id", "role", "business_area", "seller_id", "source", "segment")
    table = {
        "journey_id": np.arange(len(entered)),
        "record_type": "deal",
        "is_first_in_role": True,
        "entered_at": entered,
        "followed_from_at": entered + np.asarray(late).astype("timedelta64[s]"),
        "followed_until_at": AS_OF,
        **times,
        **{f"{name}_earliest": nothing for name in (*times, "entered_at")},
        **dict.fromkeys(names, pd.Categorical.from_codes(np.zeros(len(entered), int), ["one"])),
        **columns,
        "as_of": AS_OF.astype("datetime64[D]").astype("datetime64[s]"),
    }
    return pd.DataFrame(table)


@dataclass(frozen=True)
class Cell:
    """What one cell of the calibration came to; shares of replications, differences of rates."""

    pattern: str
    n: int
    rate: float
    coverage: float
    reported: float  # of the replications, that had an estimate
    bias: float
    naive_bias: float
    replications: int


def coverage(seed: int, pattern: str, n: int, rate: float, replications: int) -> Cell:
    """Estimate the wins by the horizon in that many invented segments, in batches."""
    random = np.random.default_rng([seed, n, int(rate * 1000), list(PATTERNS).index(pattern)])
    batch = min(replications, max(1, 600_000 // n))
    found = []
    # Thirty deals cost little, and their mean needs more replications to be as sure.
    for _ in range(replications * (4 if n == 30 else 1) // batch):
        entries = Entries(frame(random, pattern, n, rate, batch))
        groups = Groups(segment=entries.codes["segment"])
        timeline = entries.timelines["recorded"]
        subjects, _ = timeline.competing_events(("won", "lost"), groups)
        (incidence,) = cumulative_incidence(subjects, HORIZON, (1,))
        estimate = incidence.rate[:, HORIZON]
        low, high = incidence.bounds(HORIZON)
        naive = incidence.n_events[:, HORIZON] / groups.count()
        found.append(np.stack([estimate, low, high, naive]))
    estimate, low, high, naive = np.concatenate(found, axis=1)
    reported = ~np.isnan(estimate)
    covered = ((low <= rate) & (rate <= high))[reported].mean()
    bias, naive_bias = estimate[reported].mean() - rate, naive.mean() - rate
    return Cell(pattern, n, rate, covered, reported.mean(), bias, naive_bias, len(estimate))


# --- sellers -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Group:
    """Sellers of one stage and segment. `spread` of their log-odds; 0: all are alike."""

    n_sellers: int
    sizes: tuple[int, ...]
    rate: float
    spread: float


GROUPS = [
    Group(n, sizes, rate, spread)
    for n, sizes, rate, spread in product(
        (3, 12, 40), ((10,), (5, 20, 80), (100,)), (0.1, 0.3), (0.0, 0.3, 0.8)
    )
]


def pooling(seed: int, group: Group, replications: int) -> dict[str, float]:
    """Shares covered: over sellers, of the best and worst in truth, of ranks; relative width."""
    random = np.random.default_rng([seed, group.n_sellers, len(group.sizes), group.sizes[0],
                                    int(group.rate * 10), int(group.spread * 10)])  # fmt: skip
    found = []
    for _ in range(replications):
        n = random.permutation(np.resize(group.sizes, group.n_sellers)).astype(float)
        true = expit(logit(group.rate) + group.spread * random.normal(size=group.n_sellers))
        reached = random.binomial(n.astype(int), true)
        of = pooled(reached, n, normal_scores(group.n_sellers, random))
        covered = (of.low <= true) & (true <= of.high)
        rank = (-true).argsort().argsort() + 1
        ranked = (of.first_rank <= rank) & (rank <= of.last_rank)
        low, high = wilson(reached / n, n)
        width = (of.high - of.low).mean() / (high - low).mean()
        best, worst = covered[true.argmax()], covered[true.argmin()]
        found.append([covered.mean(), best, worst, ranked.mean(), width])
    names = ("sellers", "best", "worst", "ranks", "width")
    return dict(zip(names, np.mean(found, axis=0), strict=True))


# --- time in stage, mix --------------------------------------------------------------------------


def time_in_stage(seed: int, n: int, replications: int) -> dict[str, float]:
    """The 80th percentile of won deals' stay where quick deals are won first; the naive beside."""
    random = np.random.default_rng([seed, n])
    size = n * replications
    # Within 30 days: 0.4 are won, after a stay that is most of the way to the win.
    won, lost = outcomes(random, size, 0.4)
    won = np.where(won < NEVER, won / 3, NEVER)
    lost = np.where(lost < NEVER, lost / 3, NEVER)
    left = np.where(won < NEVER, 0.8 * won, NEVER)
    age = 40 * DAY * random.random(size)
    segment = pd.Categorical.from_codes(np.repeat(np.arange(replications), n), range(replications))
    entered = AS_OF - age.astype("timedelta64[s]")
    reached = {"won": won, "lost": lost, "left": left}
    table = entries_frame(
        entered, np.zeros(size), reached, segment=segment, account_id=np.arange(size)
    )
    found = visits.time_in_stage(Entries(table), NO_OPEN_DEALS).query(
        "horizon_days == 30 and dimension == 'segment'"
    )
    true = np.quantile(np.ceil(30 * DAY * random.beta(1.2, 2.0, 2_000_000)), 0.8) * 0.8 / DAY
    seen = pd.Series(np.where(won <= age, left / DAY, np.nan)).groupby(
        np.repeat(np.arange(replications), n)
    )
    p80 = found["p80_days_in_stage"]
    reported = p80.notna()
    low, high = (
        found["low_p80_days_in_stage"].fillna(0),
        found["high_p80_days_in_stage"].fillna(1e9),
    )
    return {
        "true": true,
        "coverage": ((low <= true) & (true <= high))[reported].mean(),
        "bias": p80.mean() - true,
        "naive_bias": seen.quantile(0.8).mean() - true,
    }


def mix(seed: int, n: int, skill: float, replications: int) -> dict[str, float]:
    """The rate part of twelve sellers with different leads; all but the first are alike.

    Its true value takes the shares of leads as they are and the true rates of each cell.
    """
    random = np.random.default_rng([seed, n, int(skill * 100)])
    covered, errors = [], []
    for _ in range(replications):
        seller = random.integers(0, 12, 12 * n)
        segment = (random.random(12 * n) < 0.15 + 0.06 * seller).astype(int)
        source = random.integers(0, 3, 12 * n)
        chance = expit(-0.6 - 1.2 * segment + 0.3 * source + skill * (seller == 0))
        won = np.where(random.random(12 * n) < chance, 10.0 * DAY, NEVER)
        account = random.integers(0, 8 * n, 12 * n)
        columns = {"segment": segment, "source": source, "seller_id": seller}
        table = entries_frame(
            np.full(12 * n, AS_OF - np.timedelta64(100 * DAY, "s")),
            np.zeros(12 * n),
            {"won": won},
            account_id=account,
            **columns,
        )
        found = sellers.seller_mix(Entries(table)).query(
            "definition_id == 'won' and horizon_days == 30"
        )
        cells = pd.DataFrame({**columns, "chance": chance})
        weight = cells.groupby(["segment", "source"]).size() / len(cells)
        team = cells.groupby(["segment", "source"])["chance"].mean()
        for row in found.itertuples():
            own = cells[cells["seller_id"] == row.seller_id].groupby(["segment", "source"])
            share = (own.size() / own.size().sum()).reindex(weight.index, fill_value=0.0)
            rate = own["chance"].mean().reindex(weight.index).fillna(team)
            true = float(((share + weight) / 2 * (rate - team)).sum())
            covered.append(row.low_rate_difference <= true <= row.high_rate_difference)
            errors.append(row.rate_difference - true)
    return {"coverage": float(np.mean(covered)), "bias": float(np.mean(errors))}


def equals(seed: int, n_sellers: int, n: int, replications: int) -> dict[str, float]:
    """Shares of companies in which one of equal sellers, or of equal segments, seems apart: by the
    bounds of each alone, and by those of all at once.

    Sellers have `n` deals each and different leads; none is better. Segments are as many and alike,
    some of their deals still open; two are apart where their intervals do not meet.
    """
    random = np.random.default_rng([seed, n_sellers, n])
    found = []
    for _ in range(replications):
        size = n_sellers * n
        seller = np.repeat(np.arange(n_sellers), n)
        segment = (random.random(size) < 0.15 + 0.7 * seller / n_sellers).astype(int)
        source = random.integers(0, 3, size)
        chance = expit(-0.6 - 1.2 * segment + 0.3 * source)
        won = np.where(random.random(size) < chance, 10.0 * DAY, NEVER)
        leads = entries_frame(
            np.full(size, AS_OF - np.timedelta64(100 * DAY, "s")),
            np.zeros(size),
            {"won": won},
            account_id=random.integers(0, 2 * size // 3, size),
            segment=segment,
            source=source,
            seller_id=seller,
        )
        mix = _asked(sellers.seller_mix(Entries(leads)))
        won, lost = outcomes(random, size, 0.25)
        alike = entries_frame(
            AS_OF - (200 * DAY * random.random(size)).astype("timedelta64[s]"),
            np.zeros(size),
            {"won": won, "lost": lost},
            account_id=np.arange(size),
            segment=seller,
        )
        rates = _asked(conversion.conversion_tables(Entries(alike))[0], "dimension == 'segment'")
        found.append(
            [
                bool(((mix[low] > 0) | (mix[high] < 0)).any())
                for low, high in (
                    ("low_rate_difference", "high_rate_difference"),
                    ("low_simultaneous_rate_difference", "high_simultaneous_rate_difference"),
                )
            ]
            + [
                bool(rates[low].max() > rates[high].min())
                for low, high in (
                    ("low_rate", "high_rate"),
                    ("low_simultaneous_rate", "high_simultaneous_rate"),
                )
            ]
        )
    names = ("seller_alone", "seller_at_once", "segment_alone", "segment_at_once")
    return dict(zip(names, np.mean(found, axis=0), strict=True))


def _asked(table: pd.DataFrame, also: str = "n_entered > 0") -> pd.DataFrame:
    return table.query(f"definition_id == 'won' and horizon_days == 90 and {also}")
