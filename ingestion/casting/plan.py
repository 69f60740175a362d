"""The typing statement of one input table: rows of text into typed rows, or rejects with a reason.

Belongs here: one vectorised SQL statement per input table, built from the declaration and the
mapping; rules that need more than one cell of a row.
Does not belong here: a cell's text (`cells`), a column's type (`types`), opening files.

A reason is `header: rule`, the header as the file has it, so that it can be found there. It never
holds the value: a reject list is read by many.
"""

import re

from ingestion.casting.cells import captured_text, cell_texts, header_of
from ingestion.casting.context import SPACES, Cast, Context, Part, TypedTable, projected
from ingestion.casting.hashing import HASHED_TYPES, hash_distinct
from ingestion.casting.times import known_at_cast
from ingestion.casting.types import cast_column
from ingestion.errors import FileRejected
from ingestion.mappings.forms import Cell, TableMapping
from ingestion.mappings.headers import place_of
from ingestion.reasons import Quarantine, Rejection
from ingestion.sql import literal
from ingestion.tables import TABLES, CellType, Table

# What a line opens with that sums up the lines above it.
TOTALS = ("summa", "totalt", "totalsumma", "delsumma", "total", "totals", "grand total", "sum",
          "subtotal", "summe", "gesamt")  # fmt: skip
# A rule needs both (`_rules_across`).
RULED_TOGETHER = ("amount", "currency")


def cast_table(context: Context, name: str, mapping: TableMapping) -> TypedTable:
    """Type every row of `source` for one input table, in one statement.

    Raises FileRejected if a required column has no header in the file.
    """
    table = TABLES[name]
    declared = _with_known_currency(context, mapping)
    absent = _absent(context, table, declared)
    mapping = _fillable(context, declared)
    for column, cell in mapping.columns.items():
        if table.by_name[column].cell_type in HASHED_TYPES or cell.hashed:
            hash_distinct(context, table.by_name[column], cell)
    parts = _parts(context, mapping)
    typed = [_typed(context, table, mapping, part) for part in parts]
    if mapping.each_of == "[]":
        typed += [_broken_list(table, mapping, part) for part in parts]
    context.connection.execute(
        f"create or replace table typed.{name} as "
        + ("\nunion all by name\n".join(typed) or _nothing(table, mapping))
    )
    flags = ["is_ambiguous", *_flags(table, mapping)]
    counts = ", ".join(f"count(*) filter ({flag})" for flag in flags)
    row = context.connection.execute(f"select {counts} from typed.{name}").fetchall()[0]
    n_flagged = {flag: n for flag, n in zip(flags, row, strict=True) if n}
    mapped, unified = (
        {flag.removeprefix(kind): n for flag, n in n_flagged.items() if flag.startswith(kind)}
        for kind in ("is_changed_", "is_unified_")
    )
    stated = _stated(context, declared)
    repeated = _repeated(context, table, mapping)
    return TypedTable(
        name, absent, stated, mapped, n_flagged.get("is_ambiguous", 0), repeated, unified
    )


def _with_known_currency(context: Context, mapping: TableMapping) -> TableMapping:
    """The mapping, with the amount in company currency where no column says another's currency."""
    amount, currency = mapping.columns.get("amount"), mapping.columns.get("currency")
    if not amount or not currency or not amount.in_company_currency:
        return mapping
    headers = context.sheet.headers
    wanted = [h for h in amount.in_company_currency if place_of(h, headers) is not None]
    if not wanted or any(place_of(h, headers) is not None for h in currency.all_headers):
        return mapping
    cells = {
        "amount": amount.model_copy(update={"headers": tuple(wanted), "first_filled": ()}),
        "currency": Cell.model_validate({"constant": context.file_kind.company.currency}),
    }
    return mapping.model_copy(update={"columns": {**mapping.columns, **cells}})


def _flags(table: Table, mapping: TableMapping) -> list[str]:
    """Flags of a typed row: which cells a value map changed, which ids were brought to one form."""
    changed = [f"is_changed_{column}" for column, cell in mapping.columns.items() if cell.values]
    return [*changed, *(f"is_unified_{column}" for column in _ids(table, mapping))]


def _ids(table: Table, mapping: TableMapping) -> list[str]:
    return [
        column
        for column, cell in mapping.columns.items()
        if table.by_name[column].cell_type is CellType.ID and not cell.hashed
    ]


def _absent(context: Context, table: Table, mapping: TableMapping) -> list[str]:
    absent = []
    for column, cell in mapping.columns.items():
        if _is_absent(context, cell):
            wanted = cell.all_headers[0]
            if table.by_name[column].required and cell.default is None:
                raise FileRejected(Rejection.REQUIRED_COLUMN_MISSING, f"has no column {wanted!r}")
            absent.append(wanted)
    return absent


def _is_absent(context: Context, cell: Cell) -> bool:
    """Whether a cell is read from headers, and the file has none of them."""
    places = [place_of(header, context.sheet.headers) for header in cell.all_headers]
    return bool(places) and all(place is None for place in places)


def _fillable(context: Context, mapping: TableMapping) -> TableMapping:
    """The mapping without columns of which nothing could be but null: planning how to type them
    took half of a small file's time.
    """
    columns = {
        column: cell
        for column, cell in mapping.columns.items()
        if column in RULED_TOGETHER or cell.default is not None or not _is_absent(context, cell)
    }
    return mapping.model_copy(update={"columns": columns})


def _repeated(context: Context, table: Table, mapping: TableMapping) -> int:
    """Records of a table of states whose id and moment another record has too."""
    changes = context.file_kind.mapping.tables.get("deal_changes")
    is_log = changes is not None and not changes.columns["occurred_at"].unpivoted
    if table.name not in ("deals", "leads", "accounts") or is_log:
        return 0
    identity = f"({table.key[0]}, known_at)"
    query = f"select count({table.key[0]}) - count(distinct {identity}) from typed.{table.name}"
    row = context.connection.execute(f"{query} where {table.key[0]} is not null").fetchone()
    return int(row[0]) if row else 0


def _stated(context: Context, mapping: TableMapping) -> list[str]:
    """The columns of which the file says something: it has a header for them, or needs none."""
    return [column for column, cell in mapping.columns.items() if not _is_absent(context, cell)]


def _parts(context: Context, mapping: TableMapping) -> list[Part]:
    """Per header that an unpivot pattern matches, its column and the captured groups."""
    if not mapping.unpivot:
        return [Part()]
    return [
        Part(header, f"c{i}", captured)
        for i, header in enumerate(context.sheet.headers)
        if (captured := _captured(context, mapping, header)) is not None
    ]


def _captured(context: Context, mapping: TableMapping, header: str) -> dict[str, str] | None:
    """The groups captured of a header; None if no pattern matches it.

    `Won (SQL)` may be a stage's label, or a stage and its pipeline: of several matches the first
    that captures a declared stage is right, else the first that captures no unknown pipeline.
    """
    matches = (re.fullmatch(pattern, header, re.IGNORECASE) for pattern in mapping.unpivot)
    found = [{k: v or "" for k, v in match.groupdict().items()} for match in matches if match]
    declared = context.file_kind.stages
    pairs = [
        (captured_text(mapping, "pipeline_id", groups), captured_text(mapping, "new_value", groups))
        for groups in found
    ]
    stages = {stage for _, stage in declared}
    is_declared = [pair in declared if pair[0] else pair[1] in stages for pair in pairs]
    is_possible = [not pair[0] or pair[0] in {p for p, _ in declared} for pair in pairs]
    for marks in (is_declared, is_possible):
        if True in marks:
            return found[marks.index(True)]
    return found[0] if found else None


def _broken_list(table: Table, mapping: TableMapping, part: Part) -> str:
    """The records whose cell should be a list in JSON and is none, each with its reason."""
    empty = _nothing(table, mapping).removesuffix(" where false")
    reason = literal(f"{part.header}: {Quarantine.NOT_JSON}")
    return (
        f"select * replace (broken.record_number as record_number, [{reason}] as reasons) "
        f"from ({empty}) cross join (select record_number from source where {part.column} is not "
        f"null and not json_valid({part.column})) as broken(record_number)"
    )


def _nothing(table: Table, mapping: TableMapping) -> str:
    """An empty table with the right columns, for a file that has nothing to unpivot."""
    columns = [f"cast(null as {c.sql_type}) as {c.name}" for c in table.columns]
    columns += [f"false as {flag}" for flag in _flags(table, mapping)]
    return (
        f"select cast(null as bigint) as record_number, {', '.join(columns)}, false as "
        "is_ambiguous, cast(null as timestamp) as known_at, cast([] as varchar[]) as reasons, "
        "false as is_record_broken where false"
    )


def _typed(context: Context, table: Table, mapping: TableMapping, part: Part) -> str:
    """The typing statement: one projection a step, so that no step is computed twice."""
    cells = {c.name: mapping.columns[c.name] for c in table.columns if c.name in mapping.columns}
    casts = {name: cast_column(context, table.by_name[name], cell) for name, cell in cells.items()}
    known_at_cell = context.file_kind.mapping.known_at.column
    known_at = Cast(f"timestamp '{context.known_at:%Y-%m-%d %H:%M:%S}'")
    if known_at_cell is not None:
        cells["known_at"], known_at = known_at_cell, known_at_cast(context, known_at_cell)
    texts = cell_texts(context, cells, mapping, part)
    steps = [
        {k: sql for cast in (*casts.values(), known_at) for k, sql in cast.parsed.items()},
        {f"v_{name}": cast.value for name, cast in casts.items()} | {"v_known_at": known_at.value},
    ]
    query = texts
    for step in steps:
        query = projected(query, step)
    labels = {name: header_of(context, cell, part) or name for name, cell in cells.items()}
    own, shared = (
        [
            _reason(labels.get(name, name), rule, sql)
            for name, cast in (*casts.items(), ("known_at", known_at))
            for rule, sql in cast.broken
            if bool(name in cells and cells[name].unpivoted) == is_own
        ]
        for is_own in (True, False)
    )
    shared += _rules_across(context, table, mapping, labels)
    values = [
        (f"v_{c.name}" if c.name in casts else f"cast(null as {c.sql_type})") + f" as {c.name}"
        for c in table.columns
    ]
    values += [
        f"coalesce(r_{name} is distinct from t_{name}, false) as is_changed_{name}"
        for name, cell in cells.items()
        if cell.values and name != "known_at"
    ]
    edges = literal(f"^[{SPACES}]+|[{SPACES}]+$")
    values += [
        f"coalesce(i_{name} is distinct from t_{name} or r_{name} is distinct from "
        f"regexp_replace(e_{name}, {edges}, '', 'g') and r_{name} is not null, false) "
        f"as is_unified_{name}"
        for name in _ids(table, mapping)
    ]
    twice = [c.is_ambiguous for c in casts.values() if c.is_ambiguous != "false"]
    query = projected(query, {"record_reasons": _told(shared), "cell_reasons": _told(own)})
    return f"""
        select record_number, {", ".join(values)}, {" or ".join(twice) or "false"} as is_ambiguous,
            v_known_at as known_at, list_concat(record_reasons, cell_reasons) as reasons,
            len(record_reasons) > 0 as is_record_broken
        from ({query})
    """


def _told(reasons: list[str]) -> str:
    """The list of those that are not null."""
    if not reasons:
        return "cast([] as varchar[])"
    return f"list_filter([{', '.join(reasons)}], lambda reason: reason is not null)"


def _reason(label: str, rule: str, sql: str) -> str:
    return f"case when {sql} then {literal(f'{label}: {rule}')} end"


def _rules_across(
    context: Context, table: Table, mapping: TableMapping, labels: dict[str, str]
) -> list[str]:
    """Rules that need more than one cell of the row."""
    rules = [_reason("row", Quarantine.TOTALS_ROW, _is_totals_row(context))]
    if set(RULED_TOGETHER) <= set(mapping.columns) & set(table.by_name):
        lacks = "v_amount is not null and t_currency is null"
        rules.append(_reason(labels["currency"], Quarantine.MISSING_BESIDE_AN_AMOUNT, lacks))
    return rules


def _is_totals_row(context: Context) -> str:
    """A line that sums those above: it opens with such a word, and ends the file or is sparse."""
    columns = [f"c{i}" for i in range(len(context.sheet.headers))]
    row = context.connection.execute("select max(record_number) from source").fetchone()
    last = (row[0] if row else None) or 0
    first = f"lower(trim(coalesce({', '.join(columns)})))"
    filled = " + ".join(f"cast({column} is not null as integer)" for column in columns)
    is_sparse = f"(record_number > {last - 3} or 2 * ({filled}) <= {len(columns)})"
    return (
        f"case when {is_sparse} then "
        rf"regexp_full_match({first}, '({'|'.join(TOTALS)})\s*(\(.*\))?\s*:?') end"
    )
