"""Sellers: rates within a stage and segment that lend each other strength, and mix against rate.

Belongs here: the tables seller_conversion and seller_mix.
Does not belong here: the estimators (incidence, pooling), other dimensions (conversion).
"""

from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtrit

from analysis.entries import (
    COMPETING_EVENTS,
    MAX_WIDTH,
    Entries,
    Groups,
    mean_interval_width,
)
from analysis.horizons import HORIZONS
from analysis.incidence import incidence_on
from analysis.intervals import LEVEL, NOTHING, Floats, Integers, level_of_all, rounded
from analysis.pooling import Pooled, normal_scores, pooled

# A seller is known by what is reached; what is lost is the rest of it.
DEFINITIONS = ("next_any", "won")
NO_RANK = "not enough data to rank"
# A range of this part of all places and more is no rank.
MAX_RANGE = 0.9


def seller_conversion(entries: Entries, random: np.random.Generator) -> pd.DataFrame:
    """Table seller_conversion: per stage, segment and seller, own and pooled rates, and ranks.

    What is pooled are the rates estimated with censoring, each as precise as its effective n. Every
    cell has the same draws for its ranks, so that none depends on the others.
    """
    parts = [
        (definition, names, _asked(entries, definition))
        for definition, (names, _) in zip(DEFINITIONS, COMPETING_EVENTS, strict=True)
    ]
    # Threads: nearly all of the time is spent in numpy and scipy, outside the interpreter's lock.
    with ThreadPoolExecutor(2) as threads:
        tables = list(chain.from_iterable(threads.map(lambda part: _observed(*part), parts)))
        scores = normal_scores(max(map(len, tables), default=0), random)
        seen: dict[bytes, Pooled] = {}
        pooled_tables = list(threads.map(lambda table: _with_pooled(table, scores, seen), tables))
    return rounded(pd.concat(pooled_tables, ignore_index=True)).assign(
        interval_id="credible_95", method_id="beta_binomial", as_of=entries.as_of
    )


def _observed(definition: str, names: tuple[str, str], part: Entries) -> list[pd.DataFrame]:
    """A table a horizon: of each seller's entries into a stage, by segment, the rate observed."""
    columns = ("pipeline_id", "stage_id", "segment", "seller_id")
    tables = []
    groups = Groups(**{name: part.codes[name] for name in columns})
    timeline = part.timelines["recorded"]
    subjects, _ = timeline.competing_events(names, groups)
    (incidence,) = incidence_on(subjects, HORIZONS, (1,))
    width = mean_interval_width(part, groups, names, 0)
    for place, horizon in enumerate(HORIZONS):
        is_reportable = width[:, horizon] <= MAX_WIDTH * horizon
        rate = np.where(is_reportable, incidence.rate[:, place], np.nan)
        n = np.where(is_reportable, incidence.effective_n[:, place], 0.0)
        low, high = (np.where(is_reportable, bound, np.nan) for bound in incidence.bounds(place))
        n_mature = groups.count(timeline.is_mature(horizon))
        table = pd.DataFrame(
            {
                **groups.values,
                "definition_id": definition,
                "horizon_days": horizon,
                "n_entered": groups.count(),
                "n_mature": n_mature,
                "n_events": incidence.n_events[:, place],
                "effective_n": n,
                "maturity_rate": n_mature / groups.count(),
                "estimated_rate": rate,
                "low_rate": low,
                "high_rate": high,
            }
        )
        tables.append(table[table["seller_id"].notna()])
    return tables


def _asked(entries: Entries, definition: str) -> Entries:
    """What a definition is asked of: after the entry into a pipeline there is no next stage."""
    return entries if definition == "won" else entries.of_stages


def _with_pooled(table: pd.DataFrame, scores: Floats, seen: dict[bytes, Pooled]) -> pd.DataFrame:
    """The table of one definition and horizon with what its sellers say of each other; `seen`: what
    cells have come to: a third are as at a shorter horizon.
    """
    columns: dict[str, Any] = {
        name: np.full(len(table), np.nan)
        for name in ("pooled_rate", "low_pooled_rate", "high_pooled_rate",
                     "first_rank", "last_rank", "n_ranked")
    }  # fmt: skip
    columns["rank"] = np.full(len(table), NO_RANK, dtype=object)
    n, rate = table["effective_n"].to_numpy(), table["estimated_rate"].to_numpy()
    cells = table.groupby(["pipeline_id", "stage_id", "segment"], dropna=False, sort=True)
    for rows in map(np.asarray, cells.indices.values()):
        known = rows[n[rows] > 0]
        if not len(known):
            continue
        numbers = np.stack([rate[known] * n[known], n[known]])
        key = numbers.tobytes()
        if key not in seen:
            seen[key] = pooled(numbers[0], numbers[1], scores)
        estimate = seen[key]
        columns["pooled_rate"][known] = estimate.rate
        columns["low_pooled_rate"][known] = estimate.low
        columns["high_pooled_rate"][known] = estimate.high
        columns["n_ranked"][known] = len(known)
        # Sellers of whom nothing is known have ranges of 95 % of all places.
        is_ranked = estimate.last_rank - estimate.first_rank + 1 < MAX_RANGE * len(known)
        for row, first, last in zip(
            known[is_ranked],
            estimate.first_rank[is_ranked],
            estimate.last_rank[is_ranked],
            strict=True,
        ):
            columns["first_rank"][row], columns["last_rank"][row] = first, last
            columns["rank"][row] = f"{first}–{last} of {len(known)}"
    return table.assign(**columns)


def seller_mix(entries: Entries) -> pd.DataFrame:
    """Table seller_mix: why a seller's rate differs from that of all who sell from the stage.

    difference = mix + rate, exactly (Kitagawa 1955, JASA 50, 1168–1194), over the cells c of
    segment × source: mix = Σ (w_c − W_c) (r_c + R_c) / 2 is what other leads explain, rate =
    Σ (w_c + W_c) / 2 (r_c − R_c) what is left with the same leads; w, r are the seller's shares and
    rates, W, R those of all. Where the seller has nothing in a cell, r_c is R_c.

    Counts, of deals followed from their entry for the whole horizon: only rates of one set of
    deals add up. Null where what all reached is known only to within a quarter of the horizon, on
    average.
    """
    tables = []
    for definition in DEFINITIONS:
        part = _asked(entries, definition)
        timeline = part.timelines["recorded"]
        earliest = part.timelines.get("short", timeline)
        columns = {name: part.codes[name] for name in ("pipeline_id", "stage_id")}
        sellers = Groups(**columns, seller_id=part.codes["seller_id"])
        stages = Groups(**columns)
        cells = Groups(segment=part.codes["segment"], source=part.codes["source"])
        stage_of = np.zeros(sellers.n, dtype=np.int64)
        stage_of[sellers.of_row] = stages.of_row
        is_seller = pd.notna(sellers.values["seller_id"])
        interval_widths = part.interval_widths(definition)
        for horizon in HORIZONS:
            is_mature = timeline.is_mature(horizon)
            reached = timeline.days[definition][is_mature] <= horizon
            counts = _Mix(
                sellers.of_row[is_mature],
                is_seller,
                stage_of,
                cells.of_row[is_mature],
                cells.n,
                reached,
                part.accounts[is_mature],
            )
            parts = counts.differences()
            may_be = earliest.days[definition][is_mature] <= horizon
            stage = stages.of_row[is_mature][may_be]
            width = np.bincount(stage, interval_widths[is_mature][may_be], stages.n)
            n_may_be = np.bincount(stage, minlength=stages.n)
            is_reportable = (width <= MAX_WIDTH * horizon * n_may_be)[stage_of]
            for name in parts.keys() - {"effective_n", "is_reversed"}:
                parts[name] = np.where(is_reportable, parts[name], np.nan)
            tables.append(
                pd.DataFrame(
                    {
                        **sellers.values,
                        "definition_id": definition,
                        "horizon_days": horizon,
                        "n_entered": sellers.count(),
                        "n_mature": counts.n.sum(axis=1),
                        "n_events": counts.k.sum(axis=1),
                        "maturity_rate": counts.n.sum(axis=1) / sellers.count(),
                        **parts,
                        "is_reversed": parts["is_reversed"] & is_reportable,
                    }
                )
            )
    table = pd.concat(tables, ignore_index=True)
    return table[table["seller_id"].notna()].assign(
        interval_id="clustered_t_95", method_id="kitagawa", as_of=entries.as_of
    )


class _Mix:
    """Counts per seller (of a stage) and cell, arrays of shape (sellers, cells)."""

    def __init__(
        self,
        seller: Integers,
        is_seller: NDArray[np.bool_],
        stage_of: Integers,
        cell: Integers,
        n_cells: int,
        reached: NDArray[np.bool_],
        account: Integers,
    ) -> None:
        shape = (len(stage_of), n_cells)
        self.keys, self.seller, self.reached = seller * n_cells + cell, seller, reached
        self.account, self.is_seller, self.stage_of = account, is_seller, stage_of
        size = shape[0] * shape[1]
        self.n = np.bincount(self.keys, minlength=size).reshape(shape)
        self.k = np.bincount(self.keys[reached], minlength=size).reshape(shape)
        n_stages = int(stage_of.max(initial=-1)) + 1
        of_all = []
        for counts in (self.n, self.k):
            total = np.zeros((n_stages, n_cells), dtype=np.int64)
            np.add.at(total, stage_of, counts)
            of_all.append(total[stage_of])
        self.all_n, self.all_k = of_all

    def differences(self) -> dict[str, Any]:
        all_rate = _rate(self.all_k, self.all_n)
        rate = np.where(self.n > 0, _rate(self.k, self.n), all_rate)
        own, all_ = _shares(self.n), _shares(self.all_n)
        seller_rate = _rate(self.k.sum(axis=1), self.n.sum(axis=1))
        all_sellers_rate = _rate(self.all_k.sum(axis=1), self.all_n.sum(axis=1))
        by_mix = np.nansum((own - all_) * (rate + all_rate) / 2, axis=1)
        by_rate = np.nansum((own + all_) / 2 * (rate - all_rate), axis=1)
        half, half_of_all, effective_n = self._precision((own + all_) / 2)
        difference = seller_rate - all_sellers_rate
        is_known = ~np.isnan(difference)
        by_mix, by_rate = (np.where(is_known, part, np.nan) for part in (by_mix, by_rate))
        return {
            "effective_n": effective_n,
            "seller_rate": seller_rate,
            "all_sellers_rate": all_sellers_rate,
            "difference": difference,
            "mix_difference": by_mix,
            "rate_difference": by_rate,
            "low_rate_difference": by_rate - half,
            "high_rate_difference": by_rate + half,
            "low_simultaneous_rate_difference": by_rate - half_of_all,
            "high_simultaneous_rate_difference": by_rate + half_of_all,
            # Opposite signs, and not by what subtraction leaves of nothing.
            "is_reversed": (difference * by_rate < 0) & (np.abs(by_rate) > NOTHING),
        }

    def _precision(self, weight: Floats) -> tuple[Floats, Floats, Floats]:
        """Half of the 95 % interval of the rate part, of that alone and of all sellers of the stage
        at once, and the effective n of its weights.

        Each deal counts with its cell's weight and its distance from the cell's rate, added up by
        account and squared; that the seller is part of all takes n / N of a cell's variance away.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            per_deal = np.where(self.n > 0, weight / self.n, 0.0)
            apart = np.sqrt(np.where(self.n > 0, 1 - self.n / self.all_n, 0.0))
        # Of the rate of all, and not quite 0 or 1: where nothing happened, something may have.
        likely = (self.all_k + 0.5) / (self.all_n + 1)
        distance = self.reached - likely.ravel()[self.keys]
        value = (per_deal * apart).ravel()[self.keys] * distance
        n_sellers, n_accounts = len(self.n), int(self.account.max(initial=0)) + 1
        pairs, of_pair = np.unique(self.seller * n_accounts + self.account, return_inverse=True)
        squared = np.bincount(of_pair, value, minlength=len(pairs)) ** 2
        owner = pairs // n_accounts
        clusters = np.bincount(owner, minlength=n_sellers)
        variance = np.bincount(owner, squared, n_sellers).astype(float)
        with np.errstate(divide="ignore", invalid="ignore"):
            variance = variance * clusters / (clusters - 1)
            total = (per_deal * self.n).sum(axis=1)
            effective_n = total**2 / (per_deal**2 * self.n).sum(axis=1)
        # Without variance nobody else has leads like these.
        is_known = (clusters > 1) & (variance > NOTHING)
        error, freedom = np.sqrt(np.where(is_known, variance, np.nan)), np.maximum(clusters - 1, 1)
        n_compared = np.bincount(self.stage_of, is_known & self.is_seller)[self.stage_of]
        half, half_of_all = (
            error * stdtrit(freedom, (1 + level) / 2) for level in (LEVEL, level_of_all(n_compared))
        )
        return half, half_of_all, np.nan_to_num(effective_n)


def _rate(numerator: Any, denominator: Any) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(denominator > 0, numerator / denominator, np.nan)


def _shares(n: Any) -> Floats:
    return _rate(n, n.sum(axis=1)[:, None])
