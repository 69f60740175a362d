"""Dates and times as text, into UTC or into days on the company's wall.

Belongs here: forms of dates, zones, changes of the clock, when a row was known.
Does not belong here: other types (`types`).
"""

import itertools
import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from ingestion.casting.context import Cast, Context
from ingestion.casting.numbers import plain_number
from ingestion.mappings.forms import Cell
from ingestion.reasons import Quarantine
from ingestion.sql import literal
from ingestion.tables import CellType

# ISO 8601 as exports write it; synced tables write the hour with one digit.
ISO_DAY = r"\d{4}-\d{2}-\d{2}"
ISO_TIME = r"[ T]\d{1,2}:\d{2}(:\d{2}([.]\d{1,9})?)?"
ISO_OFFSET = r" ?(Z|UTC|[+-]\d{2}(:?\d{2})?)"
TO_END = "interval '23 hours 59 minutes 59 seconds'"

# 03/04/2026 and no declaration which of the two is the day: a fault of the mapping, not of a row.


def _instant(context: Context, cell: Cell, text: str) -> tuple[str, str]:
    """SQL for (local time if written without offset, UTC instant if written with one)."""
    local, utc = [], []
    for form in cell.dates or context.dialect.dates:
        if form == "excel_serial":
            # Days since 1899-12-30; 20000–80000 are the years 1954–2119. Some workbooks of Excel
            # for Mac begin four years later.
            serial = f"try_cast({plain_number(context, cell, text)} as double)"
            first = "1904-01-01" if context.sheet.is_1904 else "1899-12-30"
            seconds = f"to_seconds(cast(round({serial} * 86400) as bigint))"
            local.append(
                f"case when {serial} between 20000 and 80000 "
                f"then timestamp '{first}' + {seconds} end"
            )
        elif form in ("epoch", "epoch_ms"):
            # 9 and 10 digits are the years 1973–2286 in seconds; three more in milliseconds.
            n_digits, to_micros = ("9,10", 1_000_000) if form == "epoch" else ("12,13", 1_000)
            micros = f"round(try_cast({text} as double) * {to_micros})"
            utc.append(
                f"case when regexp_matches({text}, '^\\d{{{n_digits}}}([.]\\d+)?$') "
                f"then make_timestamp(cast({micros} as bigint)) end"
            )
        elif form == "iso":
            # By form first: a cast alone would drop an offset and read the rest.
            local.append(
                f"case when regexp_matches({text}, '^{ISO_DAY}({ISO_TIME})?$') "
                f"then try_cast({text} as timestamp) end"
            )
            offset = (
                f"regexp_replace(regexp_replace({text}, ' ?(Z|UTC)$', '+00'), ' ([+-])', '\\1')"
            )
            utc.append(
                f"case when regexp_matches({text}, '^{ISO_DAY}{ISO_TIME}{ISO_OFFSET}$') "
                f"then timezone('UTC', try_cast({offset} as timestamptz)) end"
            )
        elif form.endswith("%z"):
            utc.append(f"timezone('UTC', try_strptime({text}, [{literal(form)}]))")
        elif form.startswith("%Y%m%d"):  # without signs between, 2026111 would be read somehow
            digits = 14 if form == "%Y%m%d%H%M%S" else 8
            whole = f"regexp_matches({text}, '^\\d{{{digits}}}(\\D|$)')"
            local.append(f"case when {whole} then try_strptime({text}, [{literal(form)}]) end")
        elif context.dialect.year and not re.search("%-?[Yyc]", form):
            dated = f"{text} || {literal(f' {context.dialect.year}')}"
            local.append(f"try_strptime({dated}, [{literal(form + ' %Y')}])")
        else:
            local.append(f"try_strptime({text}, [{literal(form)}])")
    nothing = "cast(null as timestamp)"
    return f"coalesce({', '.join([*local, nothing])})", f"coalesce({', '.join([*utc, nothing])})"


def _from_local(zone: str, local: str) -> str:
    """SQL for the UTC instant of a local time; one that occurs twice is read as the later."""
    return local if zone == "UTC" else f"timezone('UTC', timezone({literal(zone)}, {local}))"


def _from_clock(context: Context, text: str, local: str) -> str:
    """SQL for the UTC instant of a local time in the file's zone, of a bare date in the company's.

    An export that writes times in UTC writes days as people see them: Salesforce's CloseDate is the
    day in the office, whatever CreatedDate's offset is.
    """
    if context.zone == context.file_kind.company.zone:
        return _from_local(context.zone, local)
    is_day = f"{local} = date_trunc('day', {local}) and not regexp_matches({text}, ':|^\\d{{14}}')"
    day = _from_local(context.file_kind.company.zone, local)
    return f"case when {is_day} then {day} else {_from_local(context.zone, local)} end"


def time_cast(context: Context, cell: Cell, name: str, cell_type: CellType) -> Cast:
    text, local, utc = f"t_{name}", f"l_{name}", f"u_{name}"
    parsed = dict(zip((local, utc), _instant(context, cell, text), strict=True))
    unread = f"{local} is null and {utc} is null"
    is_declared = any("%" in form for form in cell.dates or context.dialect.dates)
    numbered = rf"regexp_matches({text}, '^\d{{1,2}}[/.-]\d{{1,2}}[/.-]\d{{4}}')"
    numbered = "false" if is_declared else numbered
    broken: list[tuple[str, str]] = [
        (Quarantine.NOT_A_DATE, f"{unread} and not {numbered}"),
        (Quarantine.ORDER_NOT_DECLARED, f"{unread} and {numbered}"),
        (Quarantine.DATE_OUT_OF_RANGE, f"not year(v_{name}) between 1990 and 2100"),
    ]
    is_ambiguous = "false"
    if cell_type is CellType.DATE:
        # A date is the day on the company's wall, whatever offset it was written with.
        company_zone = literal(context.file_kind.company.zone)
        in_zone = f"timezone({company_zone}, timezone('UTC', {utc}))"
        value = f"cast(coalesce({local}, {in_zone}) as date)"
    else:
        value = f"coalesce({utc}, {_from_clock(context, text, local)})"
        skipped, repeated = clock_changes(context.zone)
        is_ambiguous = _in_half_hours(local, repeated)
        # A bare date is meant as that day, even where summer time skips its midnight (Brazil).
        gap = f"{_in_half_hours(local, skipped)} and {text} like '%:%'"
        broken.append((Quarantine.SKIPPED_BY_SUMMER_TIME, gap))
    return Cast(value, broken, parsed, is_ambiguous)


@lru_cache
def clock_changes(zone: str) -> tuple[list[datetime], list[datetime]]:
    """The local half hours that changes of the clock skip, and those they repeat, 1990–2100."""
    tz, step, one_day = ZoneInfo(zone), timedelta(minutes=30), timedelta(days=1)
    skipped: list[datetime] = []
    repeated: list[datetime] = []

    def is_changed(start: datetime, days: int) -> bool:
        end = start + days * one_day
        return start.astimezone(tz).utcoffset() != end.astimezone(tz).utcoffset()

    first, n_weeks = datetime(1990, 1, 1, tzinfo=UTC), 5_792
    weeks = (first + 7 * n * one_day for n in range(n_weeks))
    days = (week + n * one_day for week in weeks if is_changed(week, 7) for n in range(7))
    for day in (day for day in days if is_changed(day, 1)):
        times = [(day + n * step).astimezone(tz).replace(tzinfo=None) for n in range(49)]
        for before, after in itertools.pairwise(times):
            expected = before + step
            found, start = (skipped, expected) if after > expected else (repeated, after)
            found += [start + i * step for i in range(abs(after - expected) // step)]
    return skipped, repeated


def _in_half_hours(local: str, starts: list[datetime]) -> str:
    if not starts:
        return "false"
    hours = ", ".join(sorted({str(start.hour) for start in starts}))
    # In one text, each of the same length: as two hundred timestamps they took a third of the time
    # that a small file's statement takes to be planned.
    listed = literal(" ".join(f"{start:%Y%m%d%H%M}" for start in starts))
    half_hour = f"strftime(time_bucket(interval '30 minutes', {local}), '%Y%m%d%H%M')"
    is_listed = f"contains({listed}, {half_hour})"
    return f"case when hour({local}) in ({hours}) then {is_listed} else false end"


def known_at_cast(context: Context, cell: Cell) -> Cast:
    """When a row was known: its own snapshot date, else the file's."""
    text = "t_known_at"
    local, utc = _instant(context, cell, text)
    # A workbook writes a date as its midnight.
    has_time = f"{text} like '%:%' and l_known_at <> date_trunc('day', l_known_at)"
    whole_day = f"case when {has_time} then l_known_at else l_known_at + {TO_END} end"
    return Cast(
        f"coalesce(u_known_at, {_from_local(context.zone, f'({whole_day})')})",
        [
            (Quarantine.NOT_A_DATE, "v_known_at is null"),
            (Quarantine.DATE_OUT_OF_RANGE, "not year(v_known_at) between 1990 and 2100"),
        ],
        {"l_known_at": local, "u_known_at": utc},
    )
