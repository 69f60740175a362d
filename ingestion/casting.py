"""The typed pass: rows of text into rows of one input table, or into rejects with a reason.

Belongs here: one vectorised SQL statement per input table, built from the declaration and the
mapping; the reason codes.
Does not belong here: opening files, deciding where results go.

A reason is `header: rule`, the header as the file has it, so that it can be found there. It never
holds the value: a reject list is read by many.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import datetime

import duckdb
import phonenumbers

from ingestion.errors import FileRejected
from ingestion.mappings import Cell, Dialect, Entry, TableMapping
from ingestion.readers import Sheet, identifier, literal
from ingestion.tables import DEAL_IDS, TABLES, Column, Kind, Table

ISO_FORMATS = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%d %H:%M", "%Y-%m-%d")

# UTF-8 read as Latin-1 somewhere before us: the letters of å ä ö Å Ä Ö é ü and of the euro sign.
MOJIBAKE = "Ã[¥¤¶\u0085\u0084\u0096©¼…„–]|â‚¬"

# Money beyond this is a slipped decimal or an id in the wrong column; DECIMAL(18,2) ends there.
MONEY_DIGITS = 16

CURRENCY_CODES = (
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN "
    "BWP BYN BZD CAD CDF CHF CLF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR "
    "FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD "
    "JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT "
    "MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG "
    "QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS "
    "TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES VND VUV WST XAF XCD XOF XPF YER "
    "ZAR ZMW ZWG "
)
ISO_4217 = frozenset(CURRENCY_CODES.split())

TRUE, FALSE = ("true", "yes", "y", "1", "ja", "j"), ("false", "no", "n", "0", "nej")


# Spaces that people and spreadsheets put around words and inside numbers.
SPACES = "\\s\u00a0\u202f"

MIDNIGHT_TO_END = "interval '23 hours 59 minutes 59 seconds'"


@dataclass(frozen=True)
class Context:
    """What a cast needs to know beyond its own column."""

    entry: Entry
    sheet: Sheet
    known_at: datetime
    key: bytes
    connection: duckdb.DuckDBPyConnection

    @property
    def dialect(self) -> Dialect:
        return self.entry.mapping.dialect

    @property
    def zone(self) -> str:
        zone = self.dialect.zone
        return literal(self.entry.company.zone if zone == "company" else zone)


@dataclass(frozen=True)
class TypedTable:
    """What the typed pass made of one input table.

    The rows lie in the DuckDB table `typed_<name>`: record_number, the declared columns, known_at
    and `reasons`. `absent` are mapped columns the file lacks; `mapped` counts, per column, the
    cells whose text a value map changed; `ambiguous_times` local times that occur twice.
    """

    name: str
    absent: list[str]
    mapped: dict[str, int]
    ambiguous_times: int


def cast_table(context: Context, name: str, mapping: TableMapping) -> TypedTable:
    """Type every row of `source` for one input table, in one statement.

    Raises FileRejected if a required column has no header in the file.
    """
    table = TABLES[name]
    absent = _absent(context, table, mapping)
    parts: list[tuple[str | None, dict[str, str], str]] = [(None, {}, "true")]
    if mapping.unpivot:
        parts = _unpivoted(context, mapping)
    for column, cell in mapping.columns.items():
        if table.by_name[column].kind in (Kind.EMAIL_HASH, Kind.PHONE_HASH):
            _hash_distinct(context, table.by_name[column], cell)
    typed = [_typed(context, table, mapping, *part) for part in parts] or [_nothing(table)]
    context.connection.execute(
        f"create or replace table typed_{name} as " + "\nunion all by name\n".join(typed)
    )
    return TypedTable(
        name, absent, _mapped_counts(context, mapping), _ambiguous_times(context, table, mapping)
    )


def _absent(context: Context, table: Table, mapping: TableMapping) -> list[str]:
    headers = context.sheet.headers
    absent = []
    for column, cell in mapping.columns.items():
        wanted = cell.headers or cell.first_filled or cell.join
        if wanted and not set(wanted) & set(headers):
            if table.by_name[column].required:
                raise FileRejected(
                    "required_column_missing", f"has no column {wanted[0]!r}; export it too"
                )
            absent.append(wanted[0])
    return absent


def _unpivoted(
    context: Context, mapping: TableMapping
) -> list[tuple[str | None, dict[str, str], str]]:
    """Per header that the pattern matches: its column, the captured groups, the filled cells."""
    pattern = re.compile(mapping.unpivot or "")
    parts: list[tuple[str | None, dict[str, str], str]] = []
    for i, header in enumerate(context.sheet.headers):
        if match := pattern.fullmatch(header):
            parts.append((f"c{i}", match.groupdict(), f"nullif(trim(c{i}), '') is not null"))
    return parts


def _nothing(table: Table) -> str:
    """An empty part with the right columns, for a file that has nothing to unpivot."""
    columns = ", ".join(f"cast(null as {c.sql_type}) as {c.name}" for c in table.columns)
    return (
        f"select cast(null as bigint) as record_number, {columns}, cast(null as timestamp) as "
        "known_at, cast([] as varchar[]) as reasons where false"
    )


def _typed(
    context: Context,
    table: Table,
    mapping: TableMapping,
    cell_column: str | None,
    captured: dict[str, str],
    condition: str,
) -> str:
    texts, values, rules = ["record_number"], ["*"], []
    texts.append(f"{_known_at_text(context)} as t_known_at")
    for column in table.columns:
        cell = mapping.columns.get(column.name)
        if cell is None:
            values.append(f"cast(null as {column.sql_type}) as v_{column.name}")
            continue
        texts.append(f"{_text(context, cell, cell_column, captured)} as t_{column.name}")
        value, broken = _cast(context, column, cell, f"t_{column.name}")
        values.append(f"{value} as v_{column.name}")
        label = _header(context, cell, cell_column) or column.name
        rules += [_reason(label, rule, sql) for rule, sql in broken]
    known_at, broken = _known_at(context, "t_known_at")
    values.append(f"{known_at} as v_known_at")
    rules += [_reason("known_at", rule, sql) for rule, sql in broken]
    final = ", ".join(f"v_{c.name} as {c.name}" for c in table.columns)
    return f"""
        select record_number, {final}, v_known_at as known_at,
            list_filter([{", ".join(rules)}], lambda reason: reason is not null) as reasons
        from (
            select {", ".join(values)}
            from (
                select {", ".join(texts)} from {_rows(mapping, cell_column)} where {condition}
            ) as texts
        ) as typed
    """


def _rows(mapping: TableMapping, cell_column: str | None) -> str:
    """The rows of the file; where a cell is a list, as many as it has parts."""
    if not mapping.each_of or not cell_column:
        return "source"
    parts = f"string_split({cell_column}, {literal(mapping.each_of)})"
    return f"(select * replace (unnest({parts}) as {cell_column}) from source)"


def _reason(label: str, rule: str, sql: str) -> str:
    return f"case when {sql} then {literal(f'{label}: {rule}')} end"


# --- text ----------------------------------------------------------------------------------------


def _raw_text(
    context: Context,
    cell: Cell,
    cell_column: str | None = None,
    captured: dict[str, str] | None = None,
) -> str:
    """The cell's own text: tidied, empty as null, the dialect's words for unknown as null."""
    if cell.constant is not None:
        return f"nullif({literal(cell.constant)}, '')"
    if cell.captured:
        return f"nullif({literal((captured or {}).get(cell.captured) or '')}, '')"
    column = _column(context, cell, cell_column)
    tidy = f"regexp_replace(nfc_normalize({column}), '^[{SPACES}]+|[{SPACES}]+$', '', 'g')"
    if cell.first_of:
        tidy = f"trim(split_part({tidy}, {literal(cell.first_of)}, 1))"
    nulls = ", ".join(literal(text.lower()) for text in ("", *context.dialect.nulls))
    matches = f" and regexp_matches({tidy}, {literal(cell.matching)})" if cell.matching else ""
    return f"case when lower({tidy}) not in ({nulls}){matches} then {tidy} end"


def _column(context: Context, cell: Cell, cell_column: str | None) -> str:
    """SQL for the cell as it stands in `source`; null where the file has no such header."""
    headers, nothing = context.sheet.headers, "cast(null as varchar)"
    if cell.join:
        parts = ", ".join(f"c{headers.index(h)}" for h in cell.join if h in headers)
        return f"concat_ws(' ', {parts})" if parts else nothing
    if cell.first_filled:
        filled = [
            f"nullif(trim(c{headers.index(h)}), '')" for h in cell.first_filled if h in headers
        ]
        return f"coalesce({', '.join([*filled, nothing])})"
    found = _header(context, cell, cell_column)
    return nothing if found is None else f"c{headers.index(found)}"


def _header(context: Context, cell: Cell, cell_column: str | None) -> str | None:
    """The header a cell is read under; None where the file has none, or none is asked for."""
    headers = context.sheet.headers
    if cell.unpivoted:
        return headers[int(cell_column[1:])] if cell_column else None
    return next((h for h in (*cell.headers, *cell.first_filled) if h in headers), None)


def _text(
    context: Context,
    cell: Cell,
    cell_column: str | None = None,
    captured: dict[str, str] | None = None,
) -> str:
    """The cell's text after value map and default."""
    text = _raw_text(context, cell, cell_column, captured)
    if cell.values:
        other = text
        if "*" in cell.values:
            fallback = cell.values["*"]
            other = "null" if fallback is None else literal(fallback)
        mapped = f"{_value_map(cell)}[lower({text})]"
        text = (
            f"case when {text} is null then null when {_is_mapped(cell, text)} then {mapped} "
            f"else {other} end"
        )
    if cell.default == "company_currency":
        return f"coalesce({text}, {literal(context.entry.company.currency)})"
    return f"coalesce({text}, {literal(cell.default)})" if cell.default is not None else text


def _value_map(cell: Cell) -> str:
    pairs = (
        f"{literal(key.lower())}: {'null' if value is None else literal(value)}"
        for key, value in cell.values.items()
    )
    return f"map {{{', '.join(pairs)}}}"


def _is_mapped(cell: Cell, text: str) -> str:
    return f"map_contains({_value_map(cell)}, lower({text}))"


def _mapped_counts(context: Context, mapping: TableMapping) -> dict[str, int]:
    """Cells per column whose text the value map changed."""
    counts = {}
    for column, cell in mapping.columns.items():
        if cell.values and cell.headers:
            text = _raw_text(context, cell)
            mapped = f"{_value_map(cell)}[lower({text})]"
            changed = f"{_is_mapped(cell, text)} and {mapped} is distinct from {text}"
            counts[column] = _number(context, f"select count(*) from source where {changed}")
    return {column: n for column, n in counts.items() if n}


def _number(context: Context, query: str) -> int:
    row = context.connection.execute(query).fetchone()
    assert row is not None
    return int(row[0])


# --- values --------------------------------------------------------------------------------------

Broken = list[tuple[str, str]]


def _cast(context: Context, column: Column, cell: Cell, text: str) -> tuple[str, Broken]:
    """SQL for the typed value of `text`, and for each rule the condition that breaks it."""
    value, broken = _by_kind(context, column, cell, text)
    broken = [(rule, f"{text} is not null and ({sql})") for rule, sql in broken]
    broken.append(("nul_byte", f"contains({text}, chr(0))"))
    broken.append(("mojibake", f"regexp_matches({text}, {literal(MOJIBAKE)})"))
    if column.choices:
        allowed = ", ".join(literal(choice) for choice in column.choices)
        broken.append(("unknown_value", f"lower({text}) not in ({allowed})"))
        value = f"lower({value})"
    if column.is_past:
        broken.append(
            ("after_the_export_was_made", f"{value} > {_known_at(context, 't_known_at')[0]}")
        )
    if column.required:
        broken.append(("missing", f"{text} is null"))
    return value, broken


def _by_kind(context: Context, column: Column, cell: Cell, text: str) -> tuple[str, Broken]:
    if column.kind is Kind.ID:
        return _id(context, text)
    if column.kind in (Kind.MONEY, Kind.RATE, Kind.INTEGER, Kind.FRACTION):
        return _number_cast(context, column, cell, text)
    if column.kind in (Kind.DATE, Kind.TIMESTAMP):
        return _time(context, cell, text, column.kind)
    if column.kind is Kind.BOOLEAN:
        yes, no = (", ".join(map(literal, words)) for words in (TRUE, FALSE))
        words = f"lower({text})"
        value = f"case when {words} in ({yes}) then true when {words} in ({no}) then false end"
        return value, [("not_yes_or_no", f"{value} is null")]
    if column.kind is Kind.CURRENCY:
        codes = ", ".join(map(literal, sorted(ISO_4217)))
        return f"upper({text})", [("unknown_currency", f"upper({text}) not in ({codes})")]
    if column.kind in (Kind.EMAIL_HASH, Kind.PHONE_HASH):
        value = f"(select hash from hashes_{column.name} as hashes where hashes.text = {text})"
        return value, [(f"not_a_valid_{column.name.removesuffix('_hash')}", f"{value} is null")]
    if column.kind is Kind.CHANGE_VALUE:
        return _change_value(context, cell, text)
    return text, []


def _id(context: Context, text: str) -> tuple[str, Broken]:
    # As Excel writes it, sign and all: Olist has the true id 401013266745e5661589292315434968.
    scientific = rf"regexp_matches({text}, '^\d([.,]\d+)?[eE]\+\d{{1,3}}$')"
    value = f"{literal(context.entry.system + ':')} || {text}"
    return value, [("id_in_scientific_notation", scientific)]


def _plain_number(context: Context, text: str) -> str:
    """Digits, sign and a decimal point; what does not fit the dialect becomes `?` and fails.

    Groups must be of three digits: `1.234` with points for thousands is a number, `1234.50` is
    then written in another dialect and would be read a hundred times too large.
    """
    dialect = context.dialect
    group = "[" + SPACES + re.escape(dialect.thousands) + "]"
    decimal = re.escape(dialect.decimal)
    form = rf"^[+-]?(\d+|\d{{1,3}}({group}\d{{3}})+)({decimal}\d+)?[{SPACES}]?%?$"
    plain = f"regexp_replace({text}, {literal(group)}, '', 'g')"
    if dialect.decimal == ",":
        plain = f"replace({plain}, ',', '.')"
    return f"case when regexp_matches({text}, {literal(form)}) then {plain} else '?' end"


def _number_cast(context: Context, column: Column, cell: Cell, text: str) -> tuple[str, Broken]:
    plain = _plain_number(context, text)
    broken: Broken = []
    if column.kind is Kind.FRACTION:
        digits = f"rtrim({plain}, '%')"
        percent = "true" if cell.unit == "percent" else f"{text} like '%\\%' escape '\\'"
        number = f"try_cast({digits} as double)"
        value = f"case when {percent} then {number} / 100 else {number} end"
        broken.append(("not_between_0_and_1", f"not {value} between 0 and 1"))
        plain = digits
    elif column.kind is Kind.INTEGER:
        number = f"try_cast({plain} as decimal(38, 6))"
        value = f"try_cast({number} as bigint)"
        if cell.unit == "ms":
            value = f"try_cast(floor({number} / 1000) as bigint)"
        broken.append(("not_a_whole_number", rf"not regexp_matches({plain}, '^-?\d+(\.0+)?$')"))
    else:
        places = 2 if column.kind is Kind.MONEY else 8
        value = f"try_cast({plain} as {column.sql_type})"
        decimals = rf"regexp_matches({plain}, '^-?\d+\.\d{{{places}}}\d*[1-9]\d*$')"
        broken.append(("too_many_decimals", decimals))
        # 1.000 is a thousand to one writer and one to another; no price has three decimals.
        broken.append(("three_decimals", rf"regexp_matches({plain}, '^-?\d+\.\d{{3}}$')"))
        too_large = rf"regexp_matches({plain}, '^-?0*[1-9]\d{{{MONEY_DIGITS - 1},}}(\.|$)')"
        broken.append(("too_large", too_large if places == 2 else f"{value} is null"))
    broken.append(("not_a_number", rf"not regexp_matches({plain}, '^-?\d+(\.\d+)?$')"))
    if column.minimum is not None:
        broken.append(("below_minimum", f"{value} < {column.minimum}"))
    return value, broken


def _instant(context: Context, cell: Cell, text: str) -> tuple[str, str]:
    """SQL for (local time if written without offset, UTC instant if written with one)."""
    iso = rf"regexp_replace({text}, '^(\d{{4}}-\d{{2}}-\d{{2}})T', '\1 ')"
    iso = f"regexp_replace({iso}, '( ?Z| UTC)$', '+00:00')"
    local, utc = [], []
    for form in cell.dates or context.dialect.dates:
        if form == "excel_serial":
            # Days since 1899-12-30; 20000–80000 are the years 1954–2119.
            serial = f"try_cast({_plain_number(context, text)} as double)"
            seconds = f"to_seconds(cast(round({serial} * 86400) as bigint))"
            local.append(
                f"case when {serial} between 20000 and 80000 "
                f"then timestamp '1899-12-30' + {seconds} end"
            )
        elif form == "iso":
            offsets = ", ".join(literal(f + "%z") for f in ISO_FORMATS)
            local.append(f"try_strptime({iso}, [{', '.join(map(literal, ISO_FORMATS))}])")
            utc.append(f"timezone('UTC', try_strptime({iso}, [{offsets}]))")
        elif form.endswith("%z"):
            utc.append(f"timezone('UTC', try_strptime({text}, [{literal(form)}]))")
        else:
            local.append(f"try_strptime({text}, [{literal(form)}])")
    nothing = "cast(null as timestamp)"
    return f"coalesce({', '.join([*local, nothing])})", f"coalesce({', '.join([*utc, nothing])})"


def _time(context: Context, cell: Cell, text: str, kind: Kind) -> tuple[str, Broken]:
    local, utc = _instant(context, cell, text)
    from_local = f"timezone('UTC', timezone({context.zone}, {local}))"
    value = f"coalesce({utc}, {from_local})"
    broken = [("not_a_date", f"{value} is null")]
    if kind is Kind.DATE:
        # A date is the day on the company's wall, whatever offset it was written with.
        company_zone = literal(context.entry.company.zone)
        in_zone = f"timezone({company_zone}, timezone('UTC', {utc}))"
        value = f"cast(coalesce({local}, {in_zone}) as date)"
    else:
        # A bare date is meant as that day, even where summer time skips its midnight (Brazil).
        shifted = f"{local} <> timezone({context.zone}, timezone({context.zone}, {local}))"
        gap = f"{text} like '%:%' and {shifted}"
        broken.append(("local_time_skipped_by_summer_time", gap))
    broken.append(("date_out_of_range", f"not year({value}) between 1990 and 2100"))
    return value, broken


def _ambiguous_times(context: Context, table: Table, mapping: TableMapping) -> int:
    """Local times in the hour that the end of summer time repeats; read as the later one."""
    total = 0
    for column, cell in mapping.columns.items():
        if table.by_name[column].kind is Kind.TIMESTAMP and (cell.headers or cell.first_filled):
            local, _ = _instant(context, cell, "text")
            instant = f"timezone({context.zone}, {local})"
            twice = (
                f"timezone({context.zone}, {instant} - interval 1 hour) = {local} or "
                f"timezone({context.zone}, {instant} + interval 1 hour) = {local}"
            )
            texts = f"(select {_text(context, cell)} as text from source)"
            query = f"select count(*) from {texts} where {twice}"
            total += _number(context, query)
    return total


def _known_at_text(context: Context) -> str:
    cell = context.entry.mapping.known_at.column
    return "cast(null as varchar)" if cell is None else _text(context, cell)


def _known_at(context: Context, text: str) -> tuple[str, Broken]:
    """When a row was known: its own snapshot date, else the file's."""
    cell = context.entry.mapping.known_at.column
    if cell is None:
        return f"timestamp '{context.known_at:%Y-%m-%d %H:%M:%S}'", []
    local, utc = _instant(context, cell, text)
    whole_day = f"case when {text} like '%:%' then {local} else {local} + {MIDNIGHT_TO_END} end"
    value = f"coalesce({utc}, timezone('UTC', timezone({context.zone}, {whole_day})))"
    years = f"not year({value}) between 1990 and 2100"
    return value, [("not_a_date", f"{value} is null"), ("date_out_of_range", years)]


def _change_value(context: Context, cell: Cell, text: str) -> tuple[str, Broken]:
    """A changed value in the form that `deals` holds the field in, as text."""
    amount, amount_broken = _number_cast(context, TABLES["deals"].by_name["amount"], cell, text)
    day, day_broken = _time(context, cell, text, Kind.DATE)
    prefixed, id_broken = _id(context, text)
    ids = f"t_field in ({', '.join(map(literal, DEAL_IDS))})"
    dates = "t_field in ('expected_close_on', 'next_step_on')"
    value = f"""case
        when {ids} then {prefixed}
        when t_field = 'amount' then cast({amount} as varchar)
        when {dates} then cast({day} as varchar)
        when t_field = 'currency' then upper({text})
        else {text} end"""
    return value, [
        *((rule, f"{ids} and {sql}") for rule, sql in id_broken),
        *((rule, f"t_field = 'amount' and ({sql})") for rule, sql in amount_broken),
        *((rule, f"{dates} and ({sql})") for rule, sql in day_broken),
    ]


# --- keyed hashes --------------------------------------------------------------------------------


def _hash_distinct(context: Context, column: Column, cell: Cell) -> None:
    """Table `hashes_<column>` (text, hash): each distinct value normalised and hashed once."""
    found = context.connection.execute(
        f"select distinct text from (select {_text(context, cell)} as text from source) "
        "where text is not null"
    ).fetchall()
    normalise = normalised_email if column.kind is Kind.EMAIL_HASH else normalised_phone
    rows = []
    for (text,) in found:
        plain = normalise(text, context.entry.company.country)
        if plain is not None:
            rows.append((text, hmac.new(context.key, plain.encode(), hashlib.sha256).hexdigest()))
    name = identifier(f"hashes_{column.name}")
    context.connection.execute(f"create or replace temp table {name} (text varchar, hash varchar)")
    if rows:
        context.connection.executemany(f"insert into {name} values (?, ?)", rows)


def normalised_email(text: str, _country: str) -> str | None:
    """The address in lower case, or None if it is not one."""
    address = text.strip().lower()
    return address if re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", address) else None


def normalised_phone(text: str, country: str) -> str | None:
    """The number in E.164, or None if it is none; `country` (ISO 3166) for national numbers."""
    try:
        number = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
