"""Numbers as text: digits, signs and groups in a dialect.

Belongs here: the one form of a written number. Does not belong here: types (`types`).
"""

import re

from ingestion.casting.context import SPACES, Context
from ingestion.sql import literal


def plain_number(context: Context, text: str) -> str:
    """Digits, sign and a decimal point; what does not fit the dialect becomes `?` and fails.

    Groups must be of three digits: `1.234` with points for thousands is a number, `1234.50` is
    then written in another dialect and would be read a hundred times too large.
    """
    dialect = context.dialect
    group = "[" + SPACES + re.escape(dialect.thousands) + "]"
    decimal = re.escape(dialect.decimal)
    form = rf"^[+-]?(\d+|\d{{1,3}}({group}\d{{3}})+)({decimal}\d+)?[{SPACES}]?%?$"
    plain = f"ltrim(regexp_replace({text}, {literal(group)}, '', 'g'), '+')"
    if dialect.decimal == ",":
        plain = f"replace({plain}, ',', '.')"
    bare = rf"^-?\d+({decimal}\d+)?$" if dialect.decimal == "." else r"^-?\d+$"
    return (
        f"case when regexp_matches({text}, {literal(bare)}) then {text} "
        f"when regexp_matches({text}, {literal(form)}) then {plain} else '?' end"
    )
