"""The text of a cell, from the file's columns to the mapped value.

Belongs here: where a cell comes from, trimming, words for unknown, value maps, defaults.
Does not belong here: types (`types`).
"""

import re
from collections.abc import Mapping, Sequence

from ingestion.casting.context import SPACES, Context, Part, projected
from ingestion.mappings.forms import Cell, TableMapping
from ingestion.mappings.headers import place_of
from ingestion.sql import identifier, literal


def cell_texts(
    context: Context, cells: Mapping[str, Cell], mapping: TableMapping, part: Part
) -> str:
    """The rows of one part with, per column, `r_` the cell's own text and `t_` the mapped one.

    The text is in NFC, without space around it, empty and the dialect's words for unknown as null.
    """
    query = f"select * from {_rows(mapping, part)}"
    found = {name: _column(context, cell, part) for name, cell in cells.items()}
    steps = [
        {f"e_{name}": sql for name, sql in found.items()},
        {f"y_{name}": f"visible(e_{name})" for name in cells},
        {f"z_{name}": _trimmed(f"y_{name}", cell) for name, cell in cells.items()},
        {f"r_{name}": _known(context, f"z_{name}", cell) for name, cell in cells.items()},
        {f"t_{name}": _mapped(context, f"r_{name}", cell) for name, cell in cells.items()},
    ]
    for step in steps:
        query = projected(query, step)
    return query


def _rows(mapping: TableMapping, part: Part) -> str:
    """The rows of the file that have this part; where a cell is a list, as many as its parts."""
    if not part.column:
        return "source"
    filled = f"nullif(trim({part.column}), '') is not null"
    if not mapping.each_of:
        return f"(select * from source where {filled})"
    if mapping.each_of == "[]":
        parts = f"json_extract_string({part.column}, '$[*]')"
        filled += f" and json_valid({part.column})"
    else:
        split = f"string_split({part.column}, {literal(mapping.each_of)})"
        parts = f"list_filter({split}, lambda part: trim(part) <> '')"
    return f"(select * replace (unnest({parts}) as {part.column}) from source where {filled})"


def _column(context: Context, cell: Cell, part: Part) -> str:
    """SQL for the cell as it stands in `source`; null where the file has no such header."""
    if cell.row_number:
        return f"{literal(context.sha256[:8] + '-')} || record_number"
    if cell.constant is not None:
        return f"cast({literal(cell.constant)} as varchar)"
    if cell.captured:
        return literal(part.captured.get(cell.captured, ""))
    if isinstance(cell.unpivoted, str):
        return f"json_extract_string({part.column}, {literal('$.' + identifier(cell.unpivoted))})"
    if cell.unpivoted:
        return part.column or "null"
    if cell.join:
        parts = ", ".join(_places(context, cell.join))
        return f"concat_ws(' ', {parts})" if parts else "cast(null as varchar)"
    if cell.first_filled:
        return _first_filled(context, cell.first_filled)
    if cell.choose:
        by = f"lower(trim({_first_filled(context, cell.choose.by)}))"
        cases = " ".join(
            f"when {literal(value.lower())} then {_first_filled(context, (header,))}"
            for value, header in cell.choose.cells.items()
        )
        return f"case {by} {cases} end"
    return next(iter(_places(context, cell.headers)), "cast(null as varchar)")


def captured_text(mapping: TableMapping, column: str, groups: Mapping[str, str]) -> str:
    """What a column captures of a header, after its value map; an empty text if nothing."""
    cell = mapping.columns.get(column)
    text = groups.get(cell.captured, "") if cell and cell.captured else ""
    values = {key.lower(): value for key, value in cell.values.items()} if cell else {}
    return values.get(text.lower(), text) or ""


def _places(context: Context, wanted: Sequence[str]) -> list[str]:
    """The columns of `source` for those of these headers that the file has."""
    found = (place_of(header, context.sheet.headers) for header in wanted)
    return [f"c{i}" for i in found if i is not None]


def _first_filled(context: Context, wanted: Sequence[str]) -> str:
    nulls = ", ".join(literal(word.lower()) for word in ("", *context.dialect.nulls))
    filled = [
        f"case when lower(trim({column})) not in ({nulls}) then {column} end"
        for column in _places(context, wanted)
    ]
    return f"coalesce({', '.join([*filled, 'cast(null as varchar)'])})"


def header_of(context: Context, cell: Cell, part: Part) -> str | None:
    """The header a cell is read under; None where the file has none, or none is asked for."""
    if cell.unpivoted:
        return part.header
    places = (place_of(header, context.sheet.headers) for header in cell.all_headers)
    return next((context.sheet.headers[i] for i in places if i is not None), None)


def _trimmed(text: str, cell: Cell) -> str:
    tidy = f"trimmed({text})"
    if cell.without:
        units = "|".join(re.escape(unit) for unit in cell.without)
        around = literal(rf"^({units})[{SPACES}]*|[{SPACES}]*({units})$")
        return f"trim(regexp_replace({tidy}, {around}, '', 'gi'))"
    return f"trim(split_part({tidy}, {literal(cell.first_of)}, 1))" if cell.first_of else tidy


def _known(context: Context, text: str, cell: Cell) -> str:
    nulls = ", ".join(literal(word.lower()) for word in ("", *context.dialect.nulls))
    matches = f" and regexp_matches({text}, {literal(cell.matching)})" if cell.matching else ""
    return f"case when lower({text}) not in ({nulls}){matches} then {text} end"


def _mapped(context: Context, text: str, cell: Cell) -> str:
    """The cell's text after value map and default."""
    mapped = text
    if cell.values:
        cases = " ".join(
            f"when {literal(key.lower())} then {'null' if value is None else literal(value)}"
            for key, value in cell.values.items()
            if key != "*"
        )
        other = text
        if "*" in cell.values:
            fallback = cell.values["*"]
            other = "null" if fallback is None else literal(fallback)
        mapped = f"case lower({text}) {cases} else {other} end" if cases else other
        mapped = f"case when {text} is not null then {mapped} end"
    if cell.default == "company_currency":
        return f"coalesce({mapped}, {literal(context.file_kind.company.currency)})"
    return f"coalesce({mapped}, {literal(cell.default)})" if cell.default is not None else mapped
