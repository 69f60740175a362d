"""A column's text as its declared type, and the rules that text can break.

Belongs here: one function a type, as SQL.
Does not belong here: times (`times`), hashes (`hashing`), the statement around them (`plan`).
"""

from ingestion.casting.context import Cast, Context
from ingestion.casting.hashing import HASHED_TYPES
from ingestion.casting.numbers import plain_number
from ingestion.casting.times import time_cast
from ingestion.mappings.forms import Cell
from ingestion.reasons import Quarantine
from ingestion.shown import PERSONAL
from ingestion.sql import literal
from ingestion.tables import DEAL_IDS, TABLES, CellType, Column

# Money beyond this is a slipped decimal or an id in the wrong column; DECIMAL(18,2) ends there.
MONEY_DIGITS = 16
UNITS = {"thousands": 1_000, "millions": 1_000_000}  # what an amount may count
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


def cast_column(context: Context, column: Column, cell: Cell) -> Cast:
    """The typed value of a column's text, and for each rule the condition that breaks it."""
    cast, text = _by_kind(context, column, cell), f"t_{column.name}"
    value = cast.value
    broken: list[tuple[str, str]] = [
        (rule, f"{text} is not null and ({sql})") for rule, sql in cast.broken
    ]
    broken += [
        (Quarantine.NUL_BYTE, f"contains({text}, chr(0))"),
        (Quarantine.MOJIBAKE, f"is_mojibake({text})"),
        (Quarantine.ERROR_VALUE, f"is_error_value({text})"),
    ]
    if column.choices:
        allowed = ", ".join(literal(choice) for choice in column.choices)
        broken.append((Quarantine.UNKNOWN_VALUE, f"lower({text}) not in ({allowed})"))
        value = f"lower({value})"
    if column.is_label:
        broken.append((Quarantine.LOOKS_PERSONAL, _looks_personal(text)))
    if column.is_past:
        ahead = f"v_{column.name} > v_known_at and year(v_{column.name}) <= 2100"
        broken.append((Quarantine.AFTER_THE_EXPORT, ahead))
    if column.required:
        broken.append((Quarantine.MISSING, f"{text} is null"))
    return Cast(value, broken, cast.parsed, cast.is_ambiguous)


def _looks_personal(text: str) -> str:
    return f"regexp_matches({text}, {literal(PERSONAL)})"


def _by_kind(context: Context, column: Column, cell: Cell) -> Cast:
    name, text = column.name, f"t_{column.name}"
    if column.cell_type in HASHED_TYPES or cell.hashed:
        return _hashed(column)
    if column.cell_type is CellType.ID:
        return _whole_id(name) if cell.whole else _id(context, name)
    if column.cell_type in (CellType.MONEY, CellType.RATE, CellType.INTEGER, CellType.FRACTION):
        return _number(context, column, cell, name)
    if column.cell_type in (CellType.DATE, CellType.TIMESTAMP):
        return time_cast(context, cell, name, column.cell_type)
    if column.cell_type is CellType.BOOLEAN:
        yes, no = (", ".join(map(literal, words)) for words in (TRUE, FALSE))
        words = f"lower({text})"
        value = f"case when {words} in ({yes}) then true when {words} in ({no}) then false end"
        return Cast(value, [(Quarantine.NOT_YES_OR_NO, f"v_{name} is null")])
    if column.cell_type is CellType.CURRENCY:
        codes = "|".join(sorted(ISO_4217))
        unknown = f"not regexp_full_match({text}, '{codes}', 'i')"
        return Cast(f"upper({text})", [(Quarantine.UNKNOWN_CURRENCY, unknown)])
    if column.cell_type is CellType.CHANGE_VALUE:
        return _change_value(context, cell, name)
    return Cast(text)


INVALID = {
    CellType.EMAIL_HASH: Quarantine.NOT_A_VALID_EMAIL,
    CellType.PHONE_HASH: Quarantine.NOT_A_VALID_PHONE,
}


def _hashed(column: Column) -> Cast:
    name = column.name
    value = f"(select hash from hashes_{name} as hashes where hashes.text = t_{name})"
    rule = INVALID.get(column.cell_type)  # an id of whatever form has a hash
    return Cast(value, [(rule, f"v_{name} is null")] if rule else [])


def _id(context: Context, name: str) -> Cast:
    """An id in one form."""
    plain, unified = f"i_{name}", f"unified_id(t_{name})"
    scientific = f"is_in_scientific_notation({plain})"
    if context.file_kind.ids == "salesforce":
        unified = _with_check_characters(unified)
    value = f"{literal(context.file_kind.system + ':')} || {plain}"
    rules: list[tuple[str, str]] = [(Quarantine.ID_IN_SCIENTIFIC_NOTATION, scientific)]
    return Cast(value, rules, {plain: unified})


def _whole_id(name: str) -> Cast:
    """An id with its system before it, as published tables have it."""
    plain = f"i_{name}"
    bare = f"not regexp_matches({plain}, '^[a-z][a-z0-9_]*:.')"
    return Cast(plain, [(Quarantine.ID_WITHOUT_SYSTEM, bare)], {plain: f"t_{name}"})


def _with_check_characters(text: str) -> str:
    """SQL for the 18-character form of a Salesforce id; any other text as it is.

    The 15-character form tells letters apart by case alone. Each of the three check characters
    says which of five letters are capitals, the first being the lowest bit.
    """
    checks = []
    for start in (1, 6, 11):
        bits = " + ".join(
            f"case when substr({text}, {start + bit}, 1) between 'A' and 'Z' then {1 << bit} "
            "else 0 end"
            for bit in range(5)
        )
        checks.append(f"substr('ABCDEFGHIJKLMNOPQRSTUVWXYZ012345', 1 + {bits}, 1)")
    is_short = f"regexp_full_match({text}, '[a-zA-Z0-9]{{15}}') and regexp_matches({text}, '[0-9]')"
    return f"case when {is_short} then {text} || {' || '.join(checks)} else {text} end"


def _number(context: Context, column: Column, cell: Cell, name: str) -> Cast:
    text, plain, typed = f"t_{name}", f"n_{name}", f"v_{name}"
    is_number = context.holds_numbers(cell)
    parsed = {plain: plain_number(context, cell, text)}
    broken: list[tuple[str, str]] = []
    factor = UNITS.get(cell.unit or "", 1)
    if column.cell_type is CellType.FRACTION:
        digits = f"rtrim({plain}, '%')"
        percent = "true" if cell.unit == "percent" else f"{text} like '%\\%' escape '\\'"
        if context.is_fraction(cell):  # 0.75, shown as 75 %
            percent = "false"
        number = f"try_cast({digits} as double)"
        value = f"case when {percent} then {number} / 100 else {number} end"
        broken.append((Quarantine.NOT_BETWEEN_0_AND_1, f"not {typed} between 0 and 1"))
        plain = digits
    elif column.cell_type is CellType.INTEGER:
        number = f"try_cast({plain} as decimal(38, 6))"
        value = f"try_cast({number} as bigint)"
        if cell.unit == "ms":
            value = f"try_cast(floor({number} / 1000) as bigint)"
        broken.append(
            (Quarantine.NOT_A_WHOLE_NUMBER, rf"not regexp_matches({plain}, '^-?\d+(\.0+)?$')")
        )
    elif is_number and column.cell_type is CellType.MONEY:
        # To the nearest öre: a number in a file has no writer who may have meant thousands.
        value = f"round(try_cast({plain} as decimal(38, 12)) * {factor}, 2)"
        value = f"try_cast({value} as {column.sql_type})"
        broken.append((Quarantine.TOO_LARGE, f"{typed} is null"))
    else:
        places = 2 if column.cell_type is CellType.MONEY else 8
        value = f"try_cast({plain} as {column.sql_type})"
        if factor > 1:
            value = f"try_cast({value} * {factor} as {column.sql_type})"
        # 1.000 is a thousand to one writer and one to another; no price has three decimals.
        three = rf"regexp_matches({plain}, '^-?\d+\.\d{{3}}$')"
        decimals = rf"regexp_matches({plain}, '^-?\d+\.\d{{{places}}}\d*[1-9]\d*$')"
        broken += [(Quarantine.TOO_MANY_DECIMALS, decimals), (Quarantine.THREE_DECIMALS, three)]
        too_large = rf"regexp_matches({plain}, '^-?0*[1-9]\d{{{MONEY_DIGITS - 1},}}(\.|$)')"
        is_plain = places == 2 and factor == 1
        broken.append((Quarantine.TOO_LARGE, too_large if is_plain else f"{typed} is null"))
    broken.append((Quarantine.NOT_A_NUMBER, rf"not regexp_matches({plain}, '^-?\d+(\.\d+)?$')"))
    if column.minimum is not None and not cell.negative:
        broken.append((Quarantine.BELOW_MINIMUM, f"{typed} < {column.minimum}"))
    return Cast(value, broken, parsed)


def _change_value(context: Context, cell: Cell, name: str) -> Cast:
    """A changed value in the form that `deals` holds the field in, as text."""
    text, amount_name, day_name = f"t_{name}", f"amount_{name}", f"day_{name}"
    is_id = f"t_field in ({', '.join(map(literal, DEAL_IDS))})"
    is_stage = "t_field in ('stage_id', 'pipeline_id')"
    is_amount, is_day = "t_field = 'amount'", "t_field in ('expected_close_on', 'next_step_on')"
    amount = _number(context, TABLES["deals"].by_name["amount"], cell, amount_name)
    day = time_cast(context, cell, day_name, CellType.DATE)
    prefixed = _id(context, name)
    parsed = {
        **prefixed.parsed,
        f"t_{amount_name}": f"case when {is_amount} then {text} end",
        **amount.parsed,
        f"v_{amount_name}": amount.value,
        f"t_{day_name}": f"case when {is_day} then {text} end",
        **day.parsed,
        f"v_{day_name}": day.value,
    }
    value = f"""case
        when {is_id} then {prefixed.value}
        when {is_amount} then cast(v_{amount_name} as varchar)
        when {is_day} then cast(v_{day_name} as varchar)
        when t_field = 'currency' then upper({text})
        else {text} end"""
    return Cast(
        value,
        [
            *((rule, f"{is_id} and {sql}") for rule, sql in prefixed.broken),
            *((rule, f"{is_amount} and ({sql})") for rule, sql in amount.broken),
            *((rule, f"{is_day} and ({sql})") for rule, sql in day.broken),
            (Quarantine.LOOKS_PERSONAL, f"{is_stage} and {_looks_personal(text)}"),
        ],
        parsed,
    )
