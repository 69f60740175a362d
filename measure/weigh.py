"""What a run costs: seconds by step, memory, the size of the set.

Belongs here: running the command on a home and reading what it says of itself.
Does not belong here: which homes (`bench`), what is in them (`load`, `simulation`).
"""

import re
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import NamedTuple

import numpy as np

from analysis import entries, sellers
from ingestion.home import Home
from ingestion.landing.deciding import Landing
from ingestion.landing.inbox import is_new
from publishing.frames import read_mart
from publishing.marts import opened
from publishing.sets import PublishedSets

MELLANTID = str(Path(sys.executable).with_name("mellantid"))
# What each step ends with, in the order of a day.
STEPS = ("landing", "dbt", "estimates", "gate", "publishing")
BEGINNINGS = {"landed": 0, "estimating": 1, "asking": 2, "publishing": 3}


class Cost(NamedTuple):
    """Of one run: seconds as a whole and by step, most memory of all its processes in MB."""

    seconds: float
    steps: dict[str, float]
    peak_mb: float


class SetSize(NamedTuple):
    """Of the current set: MB on disk, the stored table with most rows, how many those are."""

    megabytes: float
    table: str
    rows: int


def simulated(folder: Path, deals: int, days: int) -> Home:
    """A home with the exports of an invented company."""
    command = [MELLANTID, "simulate", "--deals", str(deals), "--days", str(days)]
    subprocess.run([*command, "--out", str(folder)], check=True, capture_output=True)
    return Home.at(folder)


def run(home: Path, as_of: date | None = None, *options: str) -> Cost:
    """Run a home's day. Raises CalledProcessError with what was said if it did not publish."""
    day = ("--as-of", as_of.isoformat()) if as_of else ()
    command = [MELLANTID, "--home", str(home), "run", *day, *options]
    begin, has_ended = time.perf_counter(), threading.Event()
    with (
        subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        ) as process,
        ThreadPoolExecutor(1) as meanwhile,
    ):  # fmt: skip
        peak = meanwhile.submit(_peak, process.pid, has_ended)
        said = process.stderr.read() if process.stderr else ""
        process.wait()
        seconds = time.perf_counter() - begin
        has_ended.set()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, stderr=said)
    return Cost(seconds, _steps(said, seconds), peak.result() / 1_000)


def _peak(session: int, has_ended: threading.Event) -> int:
    """Most KB that the processes of a session hold at once, looked at twice a second; what several
    share counts once.
    """
    most = 0
    while not has_ended.wait(0.5):
        held = 0
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if int((process / "stat").read_text().rpartition(")")[2].split()[3]) == session:
                    rollup = (process / "smaps_rollup").read_text()
                    held += int(re.findall(r"^Pss: +(\d+)", rollup, re.MULTILINE)[0])
        most = max(most, held)
    return most


def _steps(said: str, seconds: float) -> dict[str, float]:
    """Seconds of each step, out of the progress on standard error; the start is landing's."""
    ends = [0.0] * len(STEPS)
    for moment, word in re.findall(r"^ *([\d.]+) s  (\w+)", said, re.MULTILINE):
        if word in BEGINNINGS:
            ends[BEGINNINGS[word]] = float(moment)
    ends[-1] = seconds
    return {
        step: max(end - before, 0.0)
        for step, end, before in zip(STEPS, ends, [0.0, *ends], strict=False)
    }


def set_size(home: Path) -> SetSize:
    """How large the current set is."""
    sets = PublishedSets(Home.at(home))
    folder, manifest = sets.current(), sets.current_manifest()
    if folder is None or manifest is None:
        raise LookupError(f"{home} has no published set")
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    rows = {name: table.rows for name, table in manifest.tables.items()}
    largest = max(rows, key=lambda name: rows[name])
    return SetSize(size / 1e6, largest, rows[largest])


def landing(home: Home) -> float:
    """Seconds of one pass over the inbox."""
    home.prepare()
    begin = time.perf_counter()
    Landing(home).run()
    return time.perf_counter() - begin


def sensor(home: Home) -> float:
    """Seconds in which the sensor sees that nothing is new."""
    begin = time.perf_counter()
    if is_new(home):
        raise LookupError("something is new")
    return time.perf_counter() - begin


def seller_conversion(folder: Path) -> tuple[float, int]:
    """Seconds of seller_conversion alone, from the marts of a set; and its rows."""
    with opened(folder) as connection:
        frame = read_mart(connection, "fct_stage_entries", entries.COLUMNS, entries.ORDER)
    found = entries.Entries(frame)
    _ = found.of_stages
    begin = time.perf_counter()
    table = sellers.seller_conversion(found, np.random.default_rng(1))
    return time.perf_counter() - begin, len(table)
