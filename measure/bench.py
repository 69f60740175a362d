"""What the house weighs, beside hand-written statements and pandas: `make bench`.

Belongs here: what is measured, what was asked of it, and docs/performance.md.
Does not belong here: running (`weigh`), homes (`load`), files beside pandas (`files`).
"""

import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

from measure import files, load, weigh
from measure.tables import table_of

DOCUMENT = Path(__file__).parents[1] / "docs" / "performance.md"
AS_OF = date(2026, 11, 20)
# Deals with about 4.85 stage events and as many activities each.
DOUBLINGS = (25_775, 51_550, 103_100, 206_200)
LARGEST = 2_062_000
ACTIVITIES = 5

HEAD = """\
# Performance

Written by `make bench` on {day}: {cores} cores, {memory:.0f} GB, Python {python},
{minutes:.0f} minutes. Seconds, unless said otherwise; each figure was measured once, but for the
daily run (median of three).

## Asked, and measured

{asked}
"""

WEIGHT = """
## Growth with the company

Stage events and about as many activities, 500 sellers, 12 segments; a home's first run, landing
included. `by hand`: visits, outcomes and three conversion marts by plain statements in DuckDB,
which know no late entries, unknown times, corrections or re-entries. `growth`: the run's seconds by
those of half as many events.

{weight}
## A day of 3,000 deals

{day}
## Days of operation

{days}
A year of daily full lists of 3,000 deals, beside their last list alone, which shows no history, and
beside thirteen lists of the same year, which show the same history in larger steps:

{lists}
## Files

Rows a second from a file to typed Parquet, checked and visible, beside pandas reading and casting
the same columns without a check:

{files}"""


class Asked:
    """What was asked, as a limit, beside what was measured."""

    def __init__(self) -> None:
        self.rows: list[list[str]] = []

    def at_most(self, what: str, limit: float, measured: float, unit: str) -> None:
        verdict = "yes" if measured <= limit else "**missed**"
        self.rows.append([what, f"{limit:g} {unit}", f"{measured:.3g} {unit}", verdict])


def weight(folder: Path, asked: Asked, sizes: tuple[int, ...]) -> str:
    rows, before = [], None
    for n_deals in sizes:
        home = folder / f"load-{n_deals}"
        n_events = load.write_load_home(home, n_deals, ACTIVITIES, AS_OF)
        by_hand = seconds_of(lambda home=home: load.by_hand(home, AS_OF))
        try:
            cost = weigh.run(home, AS_OF)
        except subprocess.CalledProcessError as error:
            reason = error.stderr.strip().splitlines()[-2][:200]
            asked.rows.append([f"{n_events:,} events: whole run", "", reason, "**missed**"])
            continue
        size = weigh.set_size(home)
        growth = f"{cost.seconds / before:.2f}" if before and n_deals in DOUBLINGS else "–"
        rows.append(
            [
                f"{n_events:,}",
                f"{cost.seconds:.1f}",
                growth,
                *(f"{seconds:.1f}" for seconds in cost.steps.values()),
                f"{by_hand:.1f}",
                f"{cost.peak_mb:,.0f}",
                f"{size.megabytes:,.0f}",
                f"{size.rows / n_events:.2f} ({size.table})",
            ]
        )
        before = cost.seconds
        if n_deals == DOUBLINGS[-1]:
            asked.at_most("1 M events: whole run", 75, cost.seconds, "s")
            asked.at_most("1 M events: memory", 3_000, cost.peak_mb, "MB")
            asked.at_most("1 M events: set", 200, size.megabytes, "MB")
            asked.at_most("1 M events: rows of a table per event", 3, size.rows / n_events, "")
            seconds, n_rows = weigh.seller_conversion(home / "published" / "current")
            asked.at_most(f"seller_conversion alone, {n_rows:,} rows", 4, seconds, "s")
        if n_deals == LARGEST:
            asked.at_most("10 M events: whole run", 12 * 60, cost.seconds, "s")
            asked.at_most("10 M events: memory", 12_000, cost.peak_mb, "MB")
    head = [
        "events",
        "run",
        "growth",
        *weigh.STEPS,
        "by hand",
        "memory, MB",
        "set, MB",
        "rows/event",
    ]
    return table_of(head, rows)


def a_day(folder: Path, asked: Asked) -> str:
    home = weigh.simulated(folder / "day", 3_000, 1).root
    first = weigh.run(home)
    again = [weigh.run(home, None, "--force") for _ in range(3)]
    median = sorted(again)[1]
    nothing = weigh.run(home)
    asked.at_most("daily run of 3,000 deals", 16, median.seconds, "s")
    asked.at_most("nothing new since the day's set", 3, nothing.seconds, "s")
    return table_of(
        ["run", "seconds", *weigh.STEPS],
        [
            [name, f"{cost.seconds:.1f}", *(f"{s:.1f}" for s in cost.steps.values())]
            for name, cost in (("first", first), ("with everything landed", median))
        ]
        + [["nothing new", f"{nothing.seconds:.1f}", *["–"] * len(weigh.STEPS)]],
    )


def days_of_operation(folder: Path, asked: Asked) -> str:
    rows = []
    for days in (60, 365):
        home = weigh.simulated(folder / f"days-{days}", 100, days)
        n_files = sum(1 for path in home.inbox.iterdir())
        first = weigh.landing(home)
        # What was written just before is read once more; then it is known.
        again = [weigh.landing(home) for _ in range(2)][-1]
        sensor = weigh.sensor(home)
        rows.append([f"{n_files:,}", f"{first:.1f}", f"{again:.2f}", f"{sensor:.2f}"])
        if days == 60:
            asked.at_most("first landing of 60 days of small files", 25, first, "s")
        else:
            asked.at_most("a year of landed files: a pass", 1.5, again, "s")
            asked.at_most("a year of landed files: the sensor", 1.5, sensor, "s")
    return table_of(["files", "first landing", "landed before", "sensor"], rows)


def lists(folder: Path, asked: Asked) -> str:
    days = [AS_OF - timedelta(days=n) for n in reversed(range(365))]
    found = {}
    for name, chosen in (("1", days[-1:]), ("13", days[::-30][::-1]), ("365", days)):
        home = folder / f"lists-{name}"
        load.write_lists(home, 3_000, chosen)
        weigh.run(home, AS_OF)
        found[name] = weigh.run(home, AS_OF, "--force")
    year = found["365"].seconds
    asked.at_most("a year of lists by one list", 1.5, year / found["1"].seconds, "times")
    asked.at_most("a year of lists by thirteen", 1.5, year / found["13"].seconds, "times")
    return table_of(
        ["lists", "run", *weigh.STEPS],
        [
            [name, f"{cost.seconds:.1f}", *(f"{s:.1f}" for s in cost.steps.values())]
            for name, cost in found.items()
        ],
    )


def seconds_of(job: Callable[[], None]) -> float:
    begin = time.perf_counter()
    job()
    return time.perf_counter() - begin


def main(sizes: tuple[int, ...]) -> None:
    begin, asked = time.monotonic(), Asked()
    with tempfile.TemporaryDirectory(prefix="mellantid-bench-") as name:
        folder = Path(name)
        os.environ["MELLANTID_KEY_FILE"] = str(folder / "hash.key")
        text = WEIGHT.format(
            day=a_day(folder, asked),
            days=days_of_operation(folder, asked),
            lists=lists(folder, asked),
            weight=weight(folder, asked, sizes),
            files=table_of(
                ["file", "rows/s", "reader MB", "pandas rows/s"], files.compared(folder)
            ),
        )
    head = HEAD.format(
        day=date.today(),
        cores=os.cpu_count(),
        memory=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9,
        python=platform.python_version(),
        minutes=(time.monotonic() - begin) / 60,
        asked=table_of(["what", "at most", "measured", "kept"], asked.rows),
    )
    DOCUMENT.write_text(head + text, encoding="utf-8")
    print(DOCUMENT.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main(DOUBLINGS if "--without-largest" in sys.argv else (*DOUBLINGS, LARGEST))
