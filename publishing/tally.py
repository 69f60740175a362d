"""The tally workbook: a sheet to write down by hand what was done, with the company's own lists.

Belongs here: its columns, and the lists that the published set has for them.
Does not belong here: reading it back (ingestion/sources/tally.yml).
"""

import secrets
from pathlib import Path

import duckdb
from openpyxl import Workbook
from openpyxl.styles import Font
from openpyxl.worksheet.datavalidation import DataValidation

from publishing.marts import opened

N_LINES = 500
# Columns, and how wide each is.
COLUMNS = {
    "No": 14, "When": 18, "Seller": 20, "What": 10, "Company": 24, "Phone": 16, "Mail": 24,
    "Message": 16, "Signed by": 20, "Reminder": 10, "Campaign": 16, "Outcome": 14, "Segment": 16,
}  # fmt: skip
FIXED = {
    "What": ["call", "mail", "message", "meeting", "sign-up", "seminar"],
    "Outcome": ["answered", "no answer", "booked", "held", "came", "did not come", "called off"],
}
# What the published set knows, by column.
NAMES = "select name from dim_sellers where is_active is not false and name is not null"
KNOWN = {
    "Seller": NAMES,
    "Signed by": NAMES,
    "Message": "select message_variant from fct_activities where message_variant is not null",
    "Segment": "select segment from dim_deals where segment is not null",
}
ADVICE = (
    "One line for each call, mail, message or meeting; it counts once more than No is filled.",
    "A seminar: a line of its own with its day and Campaign; each sign-up to it a line with the "
    "same Campaign, dated when it came in; Reminder is 0 for the first mail, then 1, 2, …",
    "When: 2026-11-27 9:30, or the day alone; without a time nothing is said of hours.",
    "What and Outcome take what is in their lists; in the others something new may be written.",
    "Phone or mail finds the person in the CRM again; tables hold a keyed hash of it only.",
    "Save the workbook into the inbox whenever you like: lines that came before count once.",
)


def write_tally(target: Path, published: Path | None) -> dict[str, int]:
    """Write the workbook; return how many entries each list has. `published` is the current set."""
    lists = {**FIXED, **(_known(published) if published else {})}
    book = Workbook()
    sheet, choices = book.active, book.create_sheet("Choices")
    sheet.title = "Tally"
    number = secrets.token_hex(3)
    for place, (header, width) in enumerate(COLUMNS.items(), start=1):
        cell = sheet.cell(1, place, header)
        cell.font = Font(bold=True)
        letter = cell.column_letter
        sheet.column_dimensions[letter].width = width
        rows = f"{letter}2:{letter}{N_LINES + 1}"
        if header == "When":
            for (when,) in sheet[rows]:
                when.number_format = "yyyy-mm-dd hh:mm"
        if entries := lists.get(header):
            for row, entry in enumerate(entries, start=2):
                choices.cell(row, place, entry)
            allowed = f"=Choices!${letter}$2:${letter}${len(entries) + 1}"
            validation = DataValidation(
                type="list", formula1=allowed, showErrorMessage=header in FIXED
            )
            validation.add(rows)
            sheet.add_data_validation(validation)
    for line in range(1, N_LINES + 1):
        sheet.cell(line + 1, 1, f"{number}-{line:03d}")
    sheet.freeze_panes = "B2"
    advice = book.create_sheet("Advice")
    for row, text in enumerate(ADVICE, start=1):
        advice.cell(row, 1, text)
    book.save(target)
    return {header: len(entries) for header, entries in lists.items()}


def _known(published: Path) -> dict[str, list[str]]:
    with opened(published) as connection:
        return {header: _column(connection, query) for header, query in KNOWN.items()}


def _column(connection: duckdb.DuckDBPyConnection, query: str) -> list[str]:
    rows = connection.execute(f"select distinct * from ({query}) order by 1").fetchall()
    return [str(value) for (value,) in rows]
