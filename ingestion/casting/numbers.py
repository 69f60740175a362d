"""Numbers as text: digits, signs and groups in a dialect.

Belongs here: the one form of a written number. Does not belong here: types (`types`).
"""

import re

from ingestion.casting.context import SPACES, Context
from ingestion.mappings.forms import Cell
from ingestion.sql import literal

# The sign that typesetters write for minus.
MINUS = "\u2212"


def plain_number(context: Context, cell: Cell, text: str) -> str:
    """Digits, sign and a decimal point; what does not fit the dialect becomes `?` and fails.

    Groups must be of three digits: `1.234` with points for thousands is a number, `1234.50` is
    then written in another dialect and would be read a hundred times too large. What the file
    itself holds as a number is in no dialect.
    """
    dialect = context.dialect
    if context.holds_numbers(cell):
        return f"case when regexp_matches({text}, '^-?\\d+(\\.\\d+)?$') then {text} else '?' end"
    group = "[" + SPACES + re.escape(dialect.thousands) + "]"
    decimal = re.escape(dialect.decimal)
    digits = rf"(\d+|\d{{1,3}}({group}\d{{3}})+)({decimal}\d+)?"
    form = rf"^[+-]?{digits}[{SPACES}]?%?$"
    plain = _without_groups(f"translate({text}, '{MINUS}', '-')", group, dialect.decimal)
    bare = rf"^-?\d+({decimal}\d+)?$" if dialect.decimal == "." else r"^-?\d+$"
    signed = f"translate({text}, '{MINUS}', '-')"
    cases = [
        f"when regexp_matches({text}, {literal(bare)}) then {text}",
        f"when regexp_matches({signed}, {literal(form)}) then {plain}",
    ]
    if cell.negative:  # (1 234,50) and 1 234,50-
        below = rf"^[(]{digits}[)]$|^{digits}-$"
        inner = _without_groups(f"translate({signed}, '()-', '')", group, dialect.decimal)
        cases.append(f"when regexp_matches({signed}, {literal(below)}) then '-' || {inner}")
    return f"case {' '.join(cases)} else '?' end"


def _without_groups(text: str, group: str, decimal: str) -> str:
    plain = f"ltrim(regexp_replace({text}, {literal(group)}, '', 'g'), '+')"
    return f"replace({plain}, ',', '.')" if decimal == "," else plain
