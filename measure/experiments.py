"""Holds what is said of experiments against trials whose truth is known: `make calibrate`.

Belongs here: the trials, and docs/calibration-experiments.md.
Does not belong here: estimators (analysis).
"""

import os
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from analysis.experiments import MIN_ACCOUNTS, MIN_EVENTS
from analysis.plans import Baseline, plan
from analysis.randomised import effect, without_what_was_known
from measure.tables import table_of

DOCUMENT = Path(__file__).parents[1] / "docs" / "calibration-experiments.md"
REPLICATIONS, DAYS, UNITS_A_DAY, RATE = 2_000, 60, 20, 0.1
SIZES = (1, 4)
EFFECT = 0.06
HEAD = """\
# Calibration of what is said of experiments

Written by `make calibrate` on {day} ({cores} cores, {minutes:.0f} minutes): {replications:,}
experiments of {days} days with {a_day} units a day, of which {rate:.0f} % have the outcome;
companies differ in how ready they are, and a company's units are assigned together. Looked at every
day from {min_events} outcomes and {min_accounts} companies in each variant on.

## Nothing is different

How often two variants that do the same are told apart, looking every day, in % of experiments:

{alike}
"One look" is the 95 % interval of a day that was fixed before the start.

## One variant is better

{points:.0f} points are planted. How often the difference is settled within the {days} days; how
often the interval of every look holds the truth on all days at once, and that of one look on the
last day:

{better}
## Planned

How often an experiment of the planned size settles the planned difference (80 % is asked):

{planned}"""


class Trial(NamedTuple):
    """Of one experiment: whether told apart ever, by bounds of every look, and of one look each day
    and on the last, with companies and without; whether bounds held the truth.
    """

    ever: bool
    ever_by_one_look: bool
    ever_without_companies: bool
    at_the_end: bool
    held_always: bool
    held_at_the_end: bool


def main() -> None:
    began = time.monotonic()
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        runs = {
            (size, planted): list(
                pool.map(partial(_trial, size, planted), range(REPLICATIONS), chunksize=50)
            )
            for planted in (0.0, EFFECT)
            for size in SIZES
        }
        settled = {size: list(pool.map(partial(_planned, size), range(REPLICATIONS), chunksize=50))
                   for size in SIZES}  # fmt: skip
    text = HEAD.format(
        day=date.today(),
        cores=os.cpu_count(),
        minutes=(time.monotonic() - began) / 60,
        replications=REPLICATIONS,
        days=DAYS,
        a_day=UNITS_A_DAY,
        rate=100 * RATE,
        min_events=MIN_EVENTS,
        min_accounts=MIN_ACCOUNTS,
        points=100 * EFFECT,
        alike=table_of(
            ("units of a company", "every look", "one look, each day", "and companies ignored",
             "one look, last day"),
            [(f"{size}", *_shares(runs[size, 0.0], "ever", "ever_by_one_look",
                                  "ever_without_companies", "at_the_end")) for size in SIZES],
        ),
        better=table_of(
            ("units of a company", "settled", "held on all days", "held on the last"),
            [(f"{size}", *_shares(runs[size, EFFECT], "ever", "held_always", "held_at_the_end"))
             for size in SIZES],
        ),
        planned=table_of(
            ("units of a company", "units planned", "settled, %"),
            [(f"{size}", f"{_needed(size):,}", f"{100 * np.mean(settled[size]):.1f}")
             for size in SIZES],
        ),
    )  # fmt: skip
    DOCUMENT.write_text(text, encoding="utf-8")


def _shares(trials: list[Trial], *names: str) -> list[str]:
    return [f"{100 * np.mean([getattr(trial, name) for trial in trials]):.1f}" for name in names]


def _drawn(
    random: np.random.Generator, size: int, n: int, planted: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Units in the order they come: their outcome, variant, company and what was known before."""
    account = np.arange(n) // size
    n_accounts = account[-1] + 1
    is_variant = random.random(n_accounts) < 0.5
    # Beta distributed over companies; alike within one as far as 600 simulated companies are.
    ready = random.beta(RATE * 4, (1 - RATE) * 4, n_accounts)
    chance = np.clip(ready + planted * is_variant, 0, 1)[account]
    before = random.poisson(3 * ready)[account].astype(float)
    value = (random.random(n) < chance).astype(float)
    return value, is_variant[account], account, np.log1p(before)[:, None]


def _trial(size: int, planted: float, seed: int) -> Trial:
    random = np.random.default_rng([seed, size])
    value, is_variant, account, known = _drawn(random, size, DAYS * UNITS_A_DAY, planted)
    ever = by_one_look = ignoring = False
    held = True
    for n in range(UNITS_A_DAY, len(value) + 1, UNITS_A_DAY):
        arm, seen = is_variant[:n], account[:n]
        events = [value[:n][arm == side].sum() for side in (True, False)]
        companies = [len(np.unique(seen[arm == side])) for side in (True, False)]
        if min(events) < MIN_EVENTS or min(companies) < MIN_ACCOUNTS:
            continue
        adjusted, _ = without_what_was_known(value[:n], arm.astype(int), known[:n])
        found = effect(adjusted, arm, seen)
        low, high = found.bounds_of_every_look()
        ever |= low > 0 or high < 0
        held &= low <= planted <= high
        low, high = found.bounds()
        by_one_look |= low > 0 or high < 0
        alone = effect(adjusted, arm, np.arange(n)).bounds()
        ignoring |= alone[0] > 0 or alone[1] < 0
    return Trial(ever, by_one_look, ignoring, low > 0 or high < 0, held, low <= planted <= high)


def _needed(size: int) -> int:
    """Units planned from what half a year of such units would have counted."""
    value, _, account, _ = _drawn(np.random.default_rng(size), size, 40_000, 0.0)
    k = np.bincount(account, value).astype(int)
    n = np.bincount(account)
    baseline = Baseline(len(n), int(n.sum()), int(k.sum()), int((n**2).sum()),
                        int((n * k).sum()), int((k**2).sum()))  # fmt: skip
    return plan(baseline, [0.5, 0.5], EFFECT).n_units


def _planned(size: int, seed: int) -> bool:
    random = np.random.default_rng([seed, size, 1])
    value, is_variant, account, _ = _drawn(random, size, _needed(size), EFFECT)
    return effect(value, is_variant, account).bounds_of_every_look()[0] > 0


if __name__ == "__main__":
    main()
