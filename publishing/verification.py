"""Whether a published set reads back as it was written.

Belongs here: comparing its files and tables on disk with what its manifest says; few imports, as
each run starts a process for it.
Does not belong here: what happens to a set that does not (`sets`), the rest of a home (`holdings`).
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb

from ingestion.files import damaged
from ingestion.sql import identifier, literal
from publishing.content import is_same
from publishing.gate.checks import Refused
from publishing.set_manifest import read_manifest


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
