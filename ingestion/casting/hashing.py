"""Keyed hashes of mail addresses, phone numbers and ids that would name a person.

Belongs here: normalising them and hashing each distinct one once.
Does not belong here: the key (`home`).
"""

import hashlib
import hmac
import re

import phonenumbers
import pyarrow as pa

from ingestion.casting.cells import cell_texts
from ingestion.casting.context import Context, Part
from ingestion.mappings.forms import Cell, TableMapping
from ingestion.sql import identifier
from ingestion.tables import CellType, Column

# An address or number that whoever synced the table has hashed already; hashed again like others.
OPAQUE = r"(?=.*[A-Za-z])[A-Za-z0-9+/_-]{16,}={0,2}"
HASHED_TYPES = (CellType.EMAIL_HASH, CellType.PHONE_HASH)


def hash_distinct(context: Context, column: Column, cell: Cell) -> None:
    """Table `hashes_<column>` (text, hash): each distinct value normalised and hashed once."""
    found = context.connection.execute(
        f"select distinct t_{column.name} from "
        f"({cell_texts(context, {column.name: cell}, TableMapping(columns={}), Part())}) "
        f"where t_{column.name} is not null"
    ).fetchall()
    rows = []
    for (text,) in found:
        plain = _normalised(column.cell_type, text, context.file_kind.company.country)
        if plain is not None:
            rows.append((text, hmac.new(context.key, plain.encode(), hashlib.sha256).hexdigest()))
    prefix = f"{context.file_kind.system}:" if column.cell_type is CellType.ID else ""
    hashes = pa.table(  # noqa: F841  (read by name below)
        [[text for text, _ in rows], [prefix + digest for _, digest in rows]],
        schema=pa.schema([("text", pa.string()), ("hash", pa.string())]),
    )
    context.connection.execute(
        f"create or replace temp table {identifier(f'hashes_{column.name}')} as from hashes"
    )


def _normalised(cell_type: CellType, text: str, country: str) -> str | None:
    if re.fullmatch(OPAQUE, text):
        return text
    if cell_type is CellType.EMAIL_HASH:
        return normalised_email(text)
    return normalised_phone(text, country) if cell_type is CellType.PHONE_HASH else text


def normalised_email(text: str) -> str | None:
    """The address in lower case, or None if it is not one."""
    address = text.strip().lower()
    return address if re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", address) else None


def normalised_phone(text: str, country: str) -> str | None:
    """The number in E.164, or None if it is none; `country` (ISO 3166) for national numbers.

    Some systems write an international number without its plus.
    """
    candidates = [text, f"+{text}"] if text.isdigit() else [text]
    parsed = [number for c in candidates if (number := _parsed_phone(c, country))]
    number = next(filter(phonenumbers.is_valid_number, parsed), next(iter(parsed), None))
    if number is None:
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _parsed_phone(text: str, country: str) -> phonenumbers.PhoneNumber | None:
    try:
        number = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException:
        return None
    return number if phonenumbers.is_possible_number(number) else None
