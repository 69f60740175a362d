"""How commands tell of files, refusals and places, and with which exit code they end.

Belongs here: words shown in a terminal, shared by commands.
Does not belong here: commands.

Exit codes: 0 published · 1 the gate refused and the last good set stands · 2 wrong usage or
configuration · 3 the run could not be finished (another run holds the home, or a fault).
"""

import gc
import logging
import os
import sys
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import click

from ingestion.company import Company
from ingestion.errors import UserError, fault_in_words
from ingestion.landing.manifest import LoadManifest
from ingestion.landing.report import FileOutcome
from ingestion.reasons import remedy_of
from ingestion.shown import printable
from publishing.lease import LeaseHeld

REFUSED, USAGE, UNFINISHED = 1, 2, 3

OUTCOMES = {
    "landed": "landed",
    "relanded": "landed again, under a changed mapping or over damage",
    "already_landed": "already landed",
    "rejected": "rejected",
    "held": "held until whole",
}


@contextmanager
def errors_as_messages() -> Iterator[None]:
    """A person's mistake is one line, as is a fault of the machine; a defect has its traceback."""
    try:
        yield
    except UserError as error:
        fail(USAGE, str(error))
    except LeaseHeld as error:
        fail(UNFINISHED, f"{error}; wait for it, nothing was changed")
    except KeyboardInterrupt:
        fail(UNFINISHED, "interrupted; the last good set stands, run again")
    except OSError as error:
        fail(UNFINISHED, fault_in_words(error))
    except (click.ClickException, click.exceptions.Exit):
        raise
    except Exception:
        traceback.print_exc()
        fail(UNFINISHED, "failed through a defect; please report what stands above")


def fail(code: int, message: str) -> None:
    """End with this exit code and one line on standard error."""
    say(f"mellantid: {message}", err=True)
    sys.exit(code)


def say(text: str, err: bool = False) -> None:
    """Print lines; what comes from outside cannot colour or move what is printed."""
    click.echo("\n".join(map(printable, text.split("\n"))), err=err)


def leave(code: int) -> None:
    """Exit without DuckDB 2.0's report of leaked objects at interpreter shutdown.

    It is written by its binding to file descriptor 2 and says nothing about this run.
    """
    # Of a run: spares Python 0.9 s of looking through all that was imported.
    gc.freeze()
    sys.stderr.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    sys.exit(code)


def as_day(_context: click.Context, _parameter: click.Parameter, text: str | None) -> date | None:
    """A day option, or a usage error."""
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise click.BadParameter("write the day as 2026-03-31") from error


def checked_day(as_of: date | None, company: Company) -> date:
    """The day to speak of: today if left out. Raises UserError for one out of range."""
    today = company.today()
    if as_of is None:
        return today
    if not date(2010, 1, 1) <= as_of <= today:
        raise UserError(f"--as-of {as_of}: choose a day from 2010-01-01 to today ({today})")
    return as_of


def show_progress() -> None:
    """Our own log on standard error, with the seconds since the start."""
    begin = time.monotonic()

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            say(f"{time.monotonic() - begin:6.1f} s  {record.getMessage()}", err=True)

    logger = logging.getLogger("mellantid")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(Lines())
    warnings.simplefilter("ignore")


def shown(path: Path) -> str:
    """A path as it is shortest from here."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


def say_files(files: list[FileOutcome], every: bool) -> None:
    """The count of files by outcome; each new or rejected one (or every one) on a line."""
    counts = {o: sum(f.outcome == o for f in files) for o in OUTCOMES}
    shown = [f"{n} {OUTCOMES[o]}" for o, n in counts.items() if n or o == "rejected"]
    say(f"files      {len(files)} in the inbox: {', '.join(shown)}")
    for file in files:
        if file.outcome == "rejected":
            say(f"  rejected  {file.message}")
        elif file.outcome == "held":
            say(f"  held      {file.message}")
        elif file.outcome == "already_landed" and (every or not file.message.endswith(file.name)):
            say(f"  known     {file.message}")
        elif every:
            detail = f"{file.accepted:,} of {file.records:,} records, known {file.known_at}"
            say(f"  {file.outcome:<9} {file.name} by {file.file_kind}: {detail}")
            _say_details(file)
        elif file.unused and file.outcome in ("landed", "relanded"):
            unused = ", ".join(file.unused)
            say(f"  {file.outcome:<9} {file.name}: not asked for by the mapping: {unused}")


def said_of_rejects(of: FileOutcome | LoadManifest) -> list[str]:
    """Per rule what became of the records that break it, the first of them, and the remedy."""
    first = {rule: record for record, rule in reversed(of.first_rejects)}
    found = [(rule, f"quarantined {n:,}") for rule, n in of.rules.items()]
    found += [(rule, f"one cell left out of {n:,}") for rule, n in of.left_out.items()]
    return [
        f"{done} of {of.records:,} records: {rule}"
        + (f", first in record {first[rule]}" if rule in first else "")
        + f"; {remedy_of(rule)}"
        for rule, done in found
    ]


def _say_details(file: FileOutcome) -> None:
    for line in said_of_rejects(file):
        say(f"            {line}")
    for note, n in file.notes.items():
        say(f"            {note.replace('_', ' ')}: {n:,}, read like the others")
    if file.unused:
        say(f"            not asked for by the mapping: {', '.join(file.unused)}")
