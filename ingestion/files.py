"""Files that a crash leaves whole: written beside, flushed, renamed; and the hash of any.

Belongs here: writing small files of the home, whatever is in them; whether a file is as written.
Does not belong here: what they hold (`stored`), exports (`readers`).
"""

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path


def fsync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_atomically(path: Path, text: str) -> None:
    """Write a small file so that a reader, or a crash, sees the old or the new one whole."""
    temporary = path.with_name(f".tmp-{path.name}-{os.getpid()}")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    fsync_folder(path.parent)


def write_once(path: Path, text: str) -> None:
    """Write a small secret file whole, unless another process was first."""
    temporary = path.with_name(f".tmp-{path.name}-{os.getpid()}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    with suppress(FileExistsError):
        os.link(temporary, path)
    temporary.unlink()
    fsync_folder(path.parent)


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def damaged(folder: Path, hashes: Mapping[str, str]) -> list[str]:
    """Of the files named with their SHA-256, those that are gone or hold other bytes."""
    return [
        name
        for name, digest in hashes.items()
        if not (folder / name).is_file() or file_hash(folder / name) != digest
    ]
