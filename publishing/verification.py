"""Whether a written set reads back as its manifest says.

Belongs here: comparing files and tables on disk with the manifest.
Does not belong here: what happens to a set that does not (`sets`).
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb

from ingestion.sql import identifier, literal
from publishing.content import content_hash
from publishing.gate.checks import Refused
from publishing.set_manifest import file_hash, read_manifest


def verify(folder: Path) -> Iterator[str]:
    """Faults of a written set: tables against the manifest, in both forms, and file hashes."""
    manifest = read_manifest(folder)
    damaged = [
        name for name, digest in manifest.files.items() if file_hash(folder / name) != digest
    ]
    if damaged:
        yield f"{', '.join(damaged)} does not read back as written"
        return
    with duckdb.connect() as connection:
        connection.execute(f"attach {literal(str(folder / 'marts.duckdb'))} as marts (read_only)")
        for table, content in manifest.tables.items():
            parquet = f"read_parquet({literal(str(folder / f'{table}.parquet'))})"
            for relation in (f"marts.{identifier(table)}", parquet):
                if content_hash(connection, relation) != content.content_hash:
                    yield f"{table} differs from what was checked"


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
