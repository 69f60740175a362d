"""Headers that a mapping asks for, found in those that a file has.

Belongs here: patterns and letter case. Does not belong here: mappings themselves (`forms`).
"""

import re


def compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ValueError(f"is not a regular expression: {error}") from error


def is_pattern(wanted: str) -> bool:
    return len(wanted) > 2 and wanted[0] == wanted[-1] == "/"


def has_header(headers: list[str], wanted: str) -> bool:
    if is_pattern(wanted):
        return any(re.fullmatch(wanted[1:-1], header, re.IGNORECASE) for header in headers)
    return place_of(wanted, headers) is not None


def place_of(wanted: str, headers: list[str]) -> int | None:
    """Where a file has this header: written just so, else in other case (`Est. revenue`)."""
    if wanted in headers:
        return headers.index(wanted)
    folded = wanted.casefold()
    return next((i for i, header in enumerate(headers) if header.casefold() == folded), None)
