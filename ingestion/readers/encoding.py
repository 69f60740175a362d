"""Bytes into text: compression, byte-order marks, declared encodings.

Belongs here: decoding, strictly; the lines above the headers.
Does not belong here: splitting text into records (`delimited`).
"""

import codecs
import gzip
import io
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ingestion.errors import FileRejected
from ingestion.mappings.forms import Dialect
from ingestion.readers.limits import (
    MAX_FIELD_BYTES,
    MAX_INFLATED_BYTES,
    MAX_RATIO,
    reject_if_damaged,
)
from ingestion.reasons import Rejection


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as raw:
        return raw.read(2) == b"\x1f\x8b"


def open_unzipped(path: Path) -> Any:
    """The file open for its bytes, or for those inside it if it is gzipped."""
    return gzip.open(path) if _is_gzip(path) else path.open("rb")


def ends_open(path: Path) -> bool:
    """Whether a plain CSV file's last line has no end, as in a file still being written."""
    with path.open("rb") as file:
        head = file.read(4)
        file.seek(max(path.stat().st_size - 4, 0))
        tail = file.read().rstrip(b"\0")
    packed = head.startswith((b"\x1f\x8b", b"PK", b"PAR1", b"\xd0\xcf", b"{", b"[", b"<", b"%PDF"))
    return bool(tail) and not packed and not tail.endswith((b"\n", b"\r"))


def plain_text(path: Path, dialect: Dialect, scratch: Path) -> Path:
    """The file as plain UTF-8 without byte-order mark or Excel's `sep=` line.

    Decoding is strict: a file in another encoding than declared must not become odd letters. A file
    that is all that already is read where it lies; its letters are checked as it is read.
    """
    with path.open("rb") as raw:
        head = raw.read(1 << 16)
    is_plain = dialect.encoding == "utf-8" and not _is_gzip(path) and encoding_of(head) is None
    is_cut = dialect.skip_lines or dialect.skip_last_lines
    has_lines = b"\n" in head or b"\r" not in head
    if is_plain and has_lines and not is_cut and not head.lower().startswith(b"sep="):
        return path
    cuts = f"{dialect.skip_lines}-{dialect.skip_last_lines}"
    target = scratch / f"{path.name}.{dialect.encoding}.{cuts}.txt"
    if target.exists():
        return target
    partial = target.with_suffix(".part")
    with (
        reject_wrong_encoding(dialect),
        reject_if_damaged(),
        open_unzipped(path) as file,
        partial.open("w", encoding="utf-8", newline="") as out,
    ):
        _copy_decoded(file, out, dialect, path.stat().st_size)
    _cut_last_lines(partial, dialect.skip_last_lines)
    partial.rename(target)
    return target


def _cut_last_lines(path: Path, n: int) -> None:
    """Drop the last `n` lines that hold anything, and the empty ones around them."""
    with path.open("rb+") as file:
        for _ in range(n):
            size = file.seek(0, 2)
            start = max(size - MAX_FIELD_BYTES, 0)
            file.seek(start)
            tail = file.read().rstrip(b'\r\n\t ,;"')
            end = tail.rfind(b"\n") + 1
            file.truncate(start + end)


@contextmanager
def reject_wrong_encoding(dialect: Dialect) -> Iterator[None]:
    try:
        yield
    except UnicodeError as error:
        raise FileRejected(
            Rejection.WRONG_ENCODING,
            f"is not {dialect.encoding} text",
        ) from error


def _copy_decoded(file: Any, out: io.TextIOBase, dialect: Dialect, packed: int) -> None:
    first = file.read(1 << 16)
    decoder = codecs.getincrementaldecoder(encoding_of(first) or dialect.encoding)("strict")
    inflated = 0
    at_start, is_cr_only = True, False
    for chunk in itertools.chain([first], iter(lambda: file.read(1 << 22), b"")):
        inflated += len(chunk)
        if inflated > MAX_INFLATED_BYTES or (inflated > packed * MAX_RATIO and inflated > 1 << 26):
            raise FileRejected(Rejection.TOO_LARGE, "unpacks to far more than an export can hold")
        text = decoder.decode(chunk)
        if at_start:  # as Excel for Mac once ended lines
            is_cr_only = "\r" in text and "\n" not in text
        text = text.replace("\r", "\n") if is_cr_only else text
        out.write(_from_headers(text, dialect) if at_start else text)
        at_start = False
    out.write(decoder.decode(b"", final=True))


def decodes(path: Path, dialect: Dialect, scratch: Path) -> bool:
    """Whether a whole text file is in the dialect's encoding."""
    try:
        with reject_wrong_encoding(dialect):
            text = plain_text(path, dialect, scratch)
            with text.open(encoding="utf-8") as file:
                return all(True for _ in iter(lambda: file.read(1 << 22), ""))
    except FileRejected:
        return False


def start_of_text(path: Path, dialect: Dialect) -> str:
    """The first megabytes as text: enough for the headers of any file that is taken."""
    with reject_wrong_encoding(dialect), reject_if_damaged():
        with open_unzipped(path) as file:
            start = file.read(2 * MAX_FIELD_BYTES)
        decoder = codecs.getincrementaldecoder(encoding_of(start) or dialect.encoding)("strict")
        text = decoder.decode(start)
    if "\n" not in text:
        text = text.replace("\r", "\n")
    return _from_headers(text, dialect)


def encoding_of(start: bytes) -> str | None:
    """The encoding that a file's first bytes leave no doubt of; None where it must be declared.

    Text in UTF-16 that lacks its mark shows by a NUL in every other place.
    """
    if start.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    pairs = len(start) // 2
    for places, encoding in ((start[1::2], "utf-16-le"), (start[0::2], "utf-16-be")):
        if pairs and places.count(0) >= 0.9 * pairs:
            return encoding
    return None


def encoding_marked(path: Path) -> str | None:
    """The dialect's word for the encoding that a file's first bytes leave no doubt of, if any."""
    with path.open("rb") as file:
        found = encoding_of(file.read(512))
    return found[:6].rstrip("-") if found else None


def _from_headers(text: str, dialect: Dialect) -> str:
    """The start of a text, past the lines above the headers."""
    for _ in range(dialect.skip_lines + text.lower().startswith("sep=")):
        text = text.partition("\n")[2]
    return text
