"""The content hash of a table: its schema and its rows, whatever file or engine holds them.

Belongs here: hashing content. Does not belong here: hashes of files (`set_manifest`).
"""

import hashlib
import json
import os
import threading
from collections.abc import Iterator

import duckdb


def content_hash(connection: duckdb.DuckDBPyConnection, relation: str) -> str:
    """SHA-256 of a table's column names, types and rows in canonical order.

    Independent of file bytes, file split, row order and threads: rows are sorted by all columns
    and written as CSV in which null and empty text differ. `relation` is SQL after `from`.
    """
    columns = connection.execute(f"describe select * from {relation}").fetchall()
    digest = hashlib.sha256(json.dumps([row[:2] for row in columns]).encode())
    for batch in _csv_chunks(connection, relation):
        digest.update(batch)
    return digest.hexdigest()


def _csv_chunks(connection: duckdb.DuckDBPyConnection, relation: str) -> Iterator[bytes]:
    """The rows as CSV bytes, streamed through a pipe: memory stays flat."""
    read_end, write_end = os.pipe()
    query = (
        f"copy (select * from {relation} order by all) to '/dev/fd/{write_end}' "
        "(format csv, header false, force_quote *, nullstr '\\N')"
    )
    failure: list[BaseException] = []

    def write() -> None:
        try:
            connection.execute(query)
        except BaseException as error:
            failure.append(error)
        finally:
            os.close(write_end)

    writer = threading.Thread(target=write)
    writer.start()
    with os.fdopen(read_end, "rb") as pipe:
        while chunk := pipe.read(1 << 20):
            yield chunk
    writer.join()
    if failure:
        raise failure[0]
