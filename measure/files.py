"""How fast files land, beside pandas with the same casts.

Belongs here: made-up exports of a size, rows a second, the reader's peak memory.
Does not belong here: what is made of what landed (`weigh`), the document (`bench`).
"""

import csv
import random
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd

from ingestion.home import Home
from ingestion.landing.deciding import Landing
from ingestion.worker import READERS

HEADERS = ["Record ID", "Deal Name", "Pipeline", "Deal Stage", "Amount", "Currency", "Close Date",
           "Create Date", "Deal owner", "Deal Type", "Original Traffic Source",
           "Deal probability"]  # fmt: skip
STAGES = ["Appointment Scheduled", "Qualified To Buy", "Presentation Scheduled", "Contract Sent",
          "Closed Won", "Closed Lost"]  # fmt: skip


def deals(n: int) -> Iterator[list[Any]]:
    draw = random.Random(1)
    start = datetime(2024, 1, 1)
    for i in range(n):
        created = start + timedelta(minutes=i % 900_000)
        closed = created + timedelta(days=draw.randint(1, 300))
        yield [10**9 + i, f"Affär {i} med Åkeri AB", "Sales Pipeline", draw.choice(STAGES),
               draw.randint(1_000, 9_999_999) / 100, "SEK", closed, created, f"Seller {i % 40}",
               "newbusiness", "Organic Search", draw.randint(1, 9) / 10]  # fmt: skip


def write_csv(path: Path, n: int) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(HEADERS)
        for row in deals(n):
            row[6:8] = [f"{at:%Y-%m-%d %H:%M}" for at in row[6:8]]
            writer.writerow(row)


def write_xlsx(path: Path, n: int) -> None:
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("Deals")
    sheet.append(HEADERS)
    for row in deals(n):
        sheet.append(row)
    book.save(path)


def land(file: Path, folder: Path) -> tuple[float, float]:
    """(seconds, peak MB of the reader): archived, typed, checked and visible."""
    home = Home.at(folder / f"home-{file.name}")
    home.prepare()
    READERS.stop()
    # The reader is started by the first file of a run; this is the second.
    write_csv(home.inbox / "hubspot-crm-exports-deals-first.csv", 10)
    Landing(home).run()
    target = home.inbox / file.name
    file.rename(target)
    begin = time.perf_counter()
    outcome = next(f for f in Landing(home).run().files if f.name == file.name)
    seconds = time.perf_counter() - begin
    if outcome.outcome != "landed":
        sys.exit(outcome.message)
    target.rename(file)
    status = READERS.call(Path.read_text, Path("/proc/self/status"))
    peak = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    return seconds, int(peak) / 1_000


def with_pandas(read: Callable[..., pd.DataFrame], file: Path) -> float:
    """Seconds to read the file and cast the same columns to the same types."""
    begin = time.perf_counter()
    frame = read(file)
    for column in ("Close Date", "Create Date"):
        local = pd.to_datetime(frame[column])
        zoned = local.dt.tz_localize("Europe/Stockholm", ambiguous="NaT", nonexistent="NaT")
        frame[column] = zoned.dt.tz_convert("UTC")
    for column in ("Amount", "Deal probability"):
        frame[column] = pd.to_numeric(frame[column])
    frame["Deal Stage"] = frame["Deal Stage"].map({s: s.replace(" ", "").lower() for s in STAGES})
    frame["Record ID"] = "hubspot:" + frame["Record ID"]
    return time.perf_counter() - begin


with_openpyxl = partial(pd.read_excel, dtype=str, engine="openpyxl")


def compared(folder: Path) -> list[list[str]]:
    """Per kind and size of file: rows a second landed, peak MB of the reader, and pandas' rows."""
    found = []
    for kind, sizes, write, read in (
        ("csv", (250_000, 1_000_000), write_csv, partial(pd.read_csv, dtype=str)),
        ("xlsx", (50_000, 150_000), write_xlsx, with_openpyxl),
    ):
        for n in sizes:
            file = folder / f"hubspot-crm-exports-deals-{n}.{kind}"
            write(file, n)
            seconds, peak = land(file, folder)
            beside = n / with_pandas(read, file)
            found.append([f"{n:,} {kind}", f"{n / seconds:,.0f}", f"{peak:,.0f}", f"{beside:,.0f}"])
    return found
