"""Holds the estimates against known truth, and their speed beside lifelines': `make calibrate`.

Belongs here: which trials are run, and the tables of docs/calibration.md.
Does not belong here: what is drawn and estimated (`trials`).
"""

import os
import sys
import textwrap
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from importlib.metadata import version
from itertools import product
from pathlib import Path

import numpy as np

from measure.speed import company, estimated, with_lifelines
from measure.tables import table_of
from measure.trials import (
    GROUPS,
    PATTERNS,
    RATES,
    SIZES,
    Cell,
    coverage,
    equals,
    mix,
    pooling,
    time_in_stage,
)

DOCUMENT = Path(__file__).parents[1] / "docs" / "calibration.md"
HEAD = """\
# Calibration

What the estimates of `analysis/` say of invented deals whose true rates are known. Written by
`make calibrate` on {day}: {replications:,} replications a cell (of 30 deals four times as many),
{cores} cores, {minutes:.0f} minutes. `make test` asks the same of fewer replications.
"""

INCIDENCE = """
## Conversion: shares won within 90 days

True rates stand above the columns, deals per replication beside the rows.

{patterns}

Share of replications whose 95 % interval holds the true rate, in per cent:

{coverage}
Lowest cell {lowest:.1f} %, mean of all {mean:.1f} %. Replications in which nobody was left to
follow before 90 days, with more than 2 % still open, have no estimate and no interval:
{unreported}.

Mean estimate less true rate, in points, and in brackets the same of the naive rate (won so far by
all entered, the open ones as if they had ended):

{bias}
Largest difference of an estimate: {worst_bias:.2f} points; of a naive rate: {worst_naive:.1f}.
"""

SELLERS = """
## Sellers: pooled rates and ranks

{replications} replications. Sellers of one stage and segment; deals each ("5/20/80": a third
of them has 5); `spread` is the standard deviation of their log-odds. Share of true rates within the
95 % interval: of all sellers, and of the one truly best and worst, whom pooling draws to the
middle; of true ranks within their range; and how wide the interval is, that of the seller's own
deals being 1.

{table}
Mean of all: {mean:.1f} %; of groups whose sellers differ {differing:.1f} %, from {lowest:.1f} to
{highest:.1f}. Of alike sellers pooled intervals hold more than they promise: without spread in
truth there is still some in the posterior. The best and the worst of many are the price of
shrinking: an interval that holds for the average seller does not hold for one picked because it is
extreme.
"""

OTHERS = """
## Stays of won deals: the 80th percentile

{visits_replications} replications, deals not older than 40 days, won within 30. Naive: of those
already won.

{visits_table}
## Mix against rate

{mix_replications} replications of twelve sellers, six cells, deals in accounts. Share of true rate
parts within the interval, and the mean error.

{mix}
## Many at once

{equals_replications} companies of equal sellers with different leads, and of as many equal
segments. Share of companies, in per cent, in which the interval of a seller's rate part leaves zero
out, or the intervals of two segments do not meet: by bounds that hold for each alone, and by those
that hold for all of them at once, which the first page shows.

{equals}
"""

SPEED = """
## Speed

1,000,000 stage entries of ten stages, 40 sellers, 5 segments, 3 areas, 10 sources, 500,000
accounts, on {cores} cores; all tables, curves and clustered intervals included:

{speed}
lifelines {lifelines} on the same groups and events, one after the other: rates alone, without
variance and curves by account, {rates:.0f} s for the 1,000,000. With its variance, which takes no
account of clusters, 5,000 entries took {variance:.0f} s; all tables here took {ours:.2f} s of them.
Its rates differ between two seeds, as it breaks ties by noise.
"""


def of_conversion(seed: int, replications: int, pool: ProcessPoolExecutor) -> str:
    asked = list(product(PATTERNS, SIZES, RATES))
    jobs = [pool.submit(coverage, seed, *cell, replications) for cell in asked]
    cells = dict(zip(asked, (job.result() for job in jobs), strict=True))
    head = ["", *(f"{100 * rate:.0f} %" for rate in RATES)]

    def rows(show: Callable[[Cell], str]) -> str:
        return table_of(
            head,
            (
                [f"{pattern}, {n:,}", *(show(cells[pattern, n, rate]) for rate in RATES)]
                for pattern, n in product(PATTERNS, SIZES)
            ),
        )

    found = list(cells.values())
    least_reported = min(found, key=lambda cell: cell.reported)
    of_patterns = "; ".join(f"*{name}*: {text}" for name, text in PATTERNS.items())
    return INCIDENCE.format(
        patterns=textwrap.fill(f"{of_patterns}.", 100),
        coverage=rows(lambda c: f"{100 * c.coverage:.1f}"),
        lowest=100 * min(c.coverage for c in found),
        mean=100 * np.mean([c.coverage for c in found]),
        unreported=f"at most {100 - 100 * least_reported.reported:.0f} % of a cell "
        f"({least_reported.pattern}, {least_reported.n})",
        bias=rows(lambda c: f"{100 * c.bias:+.2f} ({100 * c.naive_bias:+.1f})"),
        worst_bias=100 * max((c.bias for c in found), key=abs),
        worst_naive=100 * max((c.naive_bias for c in found), key=abs),
    )


def of_sellers(seed: int, replications: int, pool: ProcessPoolExecutor) -> str:
    jobs = [pool.submit(pooling, seed, group, replications) for group in GROUPS]
    found = [job.result() for job in jobs]
    rows = [
        [
            f"{group.n_sellers} × {'/'.join(map(str, group.sizes))}",
            f"{100 * group.rate:.0f} %",
            group.spread,
            *(f"{100 * result[name]:.1f}" for name in ("sellers", "best", "worst", "ranks")),
            f"{result['width']:.2f}",
        ]
        for group, result in zip(GROUPS, found, strict=True)
    ]
    head = ["sellers × deals", "rate", "spread", "covered", "best", "worst", "ranks", "width"]
    pairs = zip(GROUPS, found, strict=True)
    differing = [100 * result["sellers"] for group, result in pairs if group.spread > 0]
    return SELLERS.format(
        replications=replications,
        table=table_of(head, rows),
        mean=100 * np.mean([result["sellers"] for result in found]),
        differing=np.mean(differing),
        lowest=min(differing),
        highest=max(differing),
    )


def of_others(seed: int, replications: int, pool: ProcessPoolExecutor) -> str:
    sizes, skills = (50, 200, 1_000), (0.0, 0.5)
    of_visits = [pool.submit(time_in_stage, seed, n, replications) for n in sizes]
    of_mix = {
        (n, skill): pool.submit(mix, seed, n, skill, replications // 20)
        for n, skill in product((15, 60), skills)
    }
    of_equals = {
        (n_sellers, n): pool.submit(equals, seed, n_sellers, n, replications // 4)
        for n_sellers, n in product((12, 40), (20, 60))
    }
    return OTHERS.format(
        equals_replications=replications // 4,
        equals=table_of(
            ["sellers × deals", "sellers: alone", "at once", "segments: alone", "at once"],
            (
                [f"{k} × {n}", *(f"{100 * share:.1f}" for share in job.result().values())]
                for (k, n), job in of_equals.items()
            ),
        ),
        visits_replications=replications,
        mix_replications=replications // 20,
        visits_table=table_of(
            ["deals", "covered, %", "bias, days", "naive bias, days", "true, days"],
            (
                [
                    n,
                    f"{100 * r['coverage']:.1f}",
                    f"{r['bias']:+.2f}",
                    f"{r['naive_bias']:+.2f}",
                    f"{r['true']:.1f}",
                ]
                for n, r in zip(sizes, (job.result() for job in of_visits), strict=True)
            ),
        ),
        mix=table_of(
            ["deals each, better by (log-odds)", "covered, %", "mean error, points"],
            (
                [
                    f"{n}, {skill}",
                    f"{100 * job.result()['coverage']:.1f}",
                    f"{100 * job.result()['bias']:+.2f}",
                ]
                for (n, skill), job in of_mix.items()
            ),
        ),
    )


def of_speed() -> str:
    large, small = company(1_000_000), company(5_000)
    estimated(small)
    seconds = estimated(large)
    rows = [*seconds.items(), ("together", sum(seconds.values()))]
    return SPEED.format(
        cores=os.cpu_count(),
        speed=table_of(["table", "seconds"], ([name, f"{s:.1f}"] for name, s in rows)),
        lifelines=version("lifelines"),
        rates=with_lifelines(large, has_variance=False),
        variance=with_lifelines(small, has_variance=True),
        ours=sum(estimated(small).values()),
    )


def main(replications: int) -> None:
    warnings.simplefilter("ignore")
    begin, seed = time.monotonic(), 20_261_122
    # First, while nothing else runs.
    speed = of_speed()
    with ProcessPoolExecutor(2) as pool:
        parts = [
            of_conversion(seed, replications, pool),
            of_sellers(seed, replications // 10, pool),
            of_others(seed, replications // 2, pool),
        ]
    head = HEAD.format(
        day=date.today(),
        replications=replications,
        cores=os.cpu_count(),
        minutes=(time.monotonic() - begin) / 60,
    )
    DOCUMENT.write_text("".join([head, *parts, speed]), encoding="utf-8")
    print(DOCUMENT.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 4_000)
