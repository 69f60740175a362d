"""Whether what a home holds reads back as it was written: a set, or all of it.

Belongs here: comparing files and tables on disk with what their manifests and receipts say.
Does not belong here: what happens to a set that does not (`sets`), landing damaged loads anew.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb

from ingestion.files import damaged
from ingestion.home import Home
from ingestion.landing.manifest import undamaged
from ingestion.landing.receipts import Receipt
from ingestion.landing.report import last_report
from ingestion.reasons import Rejection
from ingestion.shown import printable
from ingestion.sql import identifier, literal
from ingestion.stored import DamagedFile, Stored
from publishing.check_ins import CheckIn
from publishing.content import is_same
from publishing.forecasts import Forecasts
from publishing.gate.checks import Refused
from publishing.looks import Looks
from publishing.set_manifest import FILE_NAME, read_manifest


def verify(folder: Path) -> Iterator[str]:
    """Faults of a written set: hashes of its files, and tables in marts.duckdb against Parquet.

    A Parquet file as it was written holds what the manifest's content hash was made of.
    """
    manifest = read_manifest(folder)
    if broken := damaged(folder, manifest.files):
        yield f"{', '.join(broken)} does not read back as written"
        return
    with duckdb.connect() as connection:
        connection.execute(f"attach {literal(str(folder / 'marts.duckdb'))} as marts (read_only)")
        for table in manifest.tables:
            stored = f"marts.{identifier(table)}"
            parquet = f"read_parquet({literal(str(folder / f'{table}.parquet'))})"
            if not is_same(connection, stored, parquet):
                yield f"{table} differs in marts.duckdb from its Parquet file"
        for view in manifest.views:
            connection.execute(f"describe marts.{identifier(view)}")


def verify_home(home: Home) -> Iterator[str]:
    """Faults of everything in a home that is stored with its hash, a line each, with the remedy."""
    for path in sorted(home.archive.glob("*.json")):
        try:
            receipt = Receipt.read(path)
        except DamagedFile as error:
            yield str(error)
            continue
        if damaged(home.archive, {receipt.sha256: receipt.sha256}):
            reason = Rejection.ARCHIVE_DAMAGED
            name = printable(receipt.first_name)
            yield f"archive/{receipt.sha256[:12]}… ({name}): is damaged; {reason.remedy}"
    try:
        report = last_report(home)
    except DamagedFile as error:
        yield str(error)
        report = None
    for load in report.loads if report else []:
        if undamaged(home.landed / load) is None:
            yield f"landed/{load}: is damaged; the next run makes it anew from the archive"
    kept: list[tuple[Path, type[Stored]]] = [(path, Looks) for path in home.looks.glob("*.json")]
    kept += [(path, CheckIn) for path in home.check_ins.glob("*.json")]
    kept += [(path, Forecasts) for path in home.forecasts.rglob("*.json")]
    for path, kind in sorted(kept, key=lambda item: item[0]):
        try:
            kind.read(path)
        except DamagedFile as error:
            yield str(error)
    for folder in sorted(path.parent for path in home.published.glob(f"*/{FILE_NAME}")):
        if folder.is_symlink():
            continue
        try:
            faults = list(verify(folder))
        except DamagedFile as error:
            faults = [str(error)]
        for fault in faults:
            yield f"published/{folder.name}: {fault}; restore it from backup or delete the folder"


def verify_in_fresh_process(folder: Path) -> None:
    """Raise Refused if the set does not read back as written.

    A fresh process reads what is on disk, not what this one still has in memory.
    """
    command = [sys.executable, "-m", "publishing.verification", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = done.stderr.strip().splitlines()
        raise Refused(f"verification: {reason[-1] if reason else 'no answer'}")


if __name__ == "__main__":
    sys.exit("; ".join(verify(Path(sys.argv[1]))) or 0)
