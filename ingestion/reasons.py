"""Every reason for which a file is rejected or a record quarantined, each with its remedy.

Belongs here: the codes, what is found where a raise says nothing more exact, what to do.
Does not belong here: finding them (`readers`, `casting`, `landing`), showing them (`cli`).
"""

from enum import StrEnum


class _Reason(StrEnum):
    """A code with the remedy that a person is told."""

    remedy: str

    def __new__(cls, code: str, remedy: str) -> "_Reason":
        reason = str.__new__(cls, code)
        reason._value_ = code
        reason.remedy = remedy
        return reason


class Rejection(_Reason):
    """Why a file cannot be trusted as a whole."""

    AMBIGUOUS = "ambiguous", "give one of them a name pattern in mappings/"
    ARCHIVE_DAMAGED = (
        "archive_damaged",
        "restore archive/ from backup, or put the file into the inbox again",
    )
    BINARY_WORKBOOK = "binary_workbook", "save it as .xlsx"
    BROKEN_ARCHIVE = "broken_archive", "transfer it again"
    BROKEN_QUOTES = "broken_quotes", "export it again"
    BROKEN_WORKBOOK = "broken_workbook", "save it again"
    DUPLICATE_HEADER = "duplicate_header", "rename one"
    DUPLICATE_MEMBER = "duplicate_member", "give each file a name of its own"
    EMPTY_FILE = "empty_file", "export it again"
    FORMULAS_WITHOUT_RESULTS = (
        "formulas_without_results",
        "open it in Excel, let it calculate, save it",
    )
    KNOWN_AT_UNREADABLE = "known_at_unreadable", "write 2026-03-31"
    LOST_ON_DISK = "lost_on_disk", "its disk may be failing; copy the file there again"
    MARKUP = "markup", "export CSV or XLSX"
    MERGED_HEADERS = "merged_headers", "unmerge them, one header a column"
    MOJIBAKE = "mojibake", "export as UTF-8"
    NESTED_ARCHIVE = "nested_archive", "unpack it once"
    NO_RECORDS = "no_records", "export it again"
    NOT_A_FILE = "not_a_file", "put a copy of the file itself there"
    NOT_A_TABLE = "not_a_table", "export CSV or XLSX"
    NOT_PERMITTED = "not_permitted", "give the user that runs Mellantid the right to read it"
    NOT_JSON_LINES = "not_json_lines", "write one object a line (JSON Lines)"
    OLD_OR_ENCRYPTED_WORKBOOK = "old_or_encrypted_workbook", "save it as plain .xlsx or CSV"
    OPEN_DOCUMENT = "open_document", "save it as .xlsx or CSV"
    ORDER_NOT_DECLARED = (
        "order_of_day_and_month_not_declared",
        "set dialect.dates in its mapping, as in ['%d/%m/%Y']",
    )
    REQUIRED_COLUMN_MISSING = (
        "required_column_missing",
        "export it with that column, name the new header in mappings/, or, if another system wrote "
        "the file, let `mellantid map` propose a mapping",
    )
    TOO_LARGE = "too_large", "export it as CSV, or in parts"
    TOO_MANY_BAD_RECORDS = "too_many_bad_records", "check the export and the mapping's dialect"
    TOO_MANY_COLUMNS = "too_many_columns", "export fewer"
    TOO_MANY_MEMBERS = "too_many_members", "put them into several archives"
    TOO_SLOW = "too_slow", "export it as CSV, or in parts"
    TRUNCATED = "truncated", "export or transfer it again"
    UNREADABLE = "unreadable", "open it, save it again, or check its mapping"
    UNRECOGNISED = (
        "unrecognised",
        "`mellantid map` proposes a mapping for it, or take it out of the inbox",
    )
    UNSAFE_NAME = "unsafe_name", "put plain files in"
    UNTERMINATED_QUOTE = "unterminated_quote", "export it again"
    WRONG_ENCODING = (
        "wrong_encoding",
        "set dialect.encoding in the mapping (often cp1252 for Swedish Excel) or export as UTF-8",
    )


class Quarantine(_Reason):
    """Why a record is put aside. A column's own reasons are shown as `header: code`."""

    AFTER_THE_EXPORT = (
        "after_the_export_was_made",
        "no export can know a later time; check the day in its name, and its zone",
    )
    BELOW_MINIMUM = "below_minimum", "correct it in the CRM"
    BROKEN_QUOTES = "broken_quotes", "a quotation mark is missing or too many; export it again"
    DATE_OUT_OF_RANGE = "date_out_of_range", "a year from 1990 to 2100 is needed; correct it"
    DUPLICATE_KEY = "duplicate_key", "one key stands there twice; export it again"
    ERROR_VALUE = "error_value", "a formula shows an error; mend it in the workbook"
    FIELD_TOO_LARGE = "field_too_large", "no cell may hold more than a million bytes"
    ID_IN_SCIENTIFIC_NOTATION = (
        "id_in_scientific_notation",
        "a spreadsheet cut the id; format the column as text and export it again",
    )
    ID_WITHOUT_SYSTEM = (
        "id_without_system",
        "write the id as published tables have it, with its system: hubspot:123",
    )
    LAST_LINE_WITHOUT_END = (
        "last_line_without_end",
        "the file may be cut short; export it again, or set open_end if such files are whole",
    )
    LOOKS_PERSONAL = (
        "looks_personal",
        "a mail address or number of a person names no stage; the mapping takes another column",
    )
    MISSING = "missing", "the table needs it; fill it in the CRM"
    MISSING_BESIDE_AN_AMOUNT = (
        "missing_beside_an_amount",
        "money needs its currency; export the column, or give it a default in the mapping",
    )
    MOJIBAKE = "mojibake", "letters were broken by an earlier conversion; export as UTF-8"
    NOT_A_DATE = "not_a_date", "say in dialect.dates how its dates are written"
    NOT_A_NUMBER = (
        "not_a_number",
        "say in dialect.decimal and dialect.thousands how its numbers are written",
    )
    NOT_A_VALID_EMAIL = "not_a_valid_email", "correct it in the CRM"
    NOT_A_VALID_PHONE = "not_a_valid_phone", "correct it in the CRM, or `country` in company.yml"
    NOT_A_WHOLE_NUMBER = "not_a_whole_number", "check that the mapping names the right column"
    NOT_AN_OBJECT = "not_an_object", "each line must be one JSON object"
    NOT_BETWEEN_0_AND_1 = "not_between_0_and_1", "set unit: percent if it is in per cent"
    NOT_JSON = "not_json", "it is not JSON; export it again"
    NOT_YES_OR_NO = "not_yes_or_no", "map its words to true and false with `values`"
    NUL_BYTE = "nul_byte", "the file is damaged, or in another encoding; export it again"
    ORDER_NOT_DECLARED = (
        "order_of_day_and_month_not_declared",
        "set dialect.dates in its mapping, as in ['%d/%m/%Y']",
    )
    SKIPPED_BY_SUMMER_TIME = (
        "local_time_skipped_by_summer_time",
        "no clock showed this time; check dialect.zone",
    )
    THREE_DECIMALS = (
        "three_decimals",
        "1.000 may be one or a thousand; set dialect.decimal and dialect.thousands",
    )
    TOO_LARGE = "too_large", "a decimal sign may have slipped; check dialect.decimal"
    TOO_MANY_DECIMALS = "too_many_decimals", "money has two decimals; round it in the export"
    TOTALS_ROW = "totals_row", "a line that sums up others is no record; nothing to do"
    UNKNOWN_CURRENCY = "unknown_currency", "map it to its ISO 4217 code with `values`"
    UNKNOWN_VALUE = "unknown_value", "map it to one of the column's values with `values`"
    WRONG_NUMBER_OF_CELLS = (
        "wrong_number_of_cells",
        "a separator stands in a cell without quotation marks; export it again",
    )


def remedy_of(rule: str) -> str:
    """The remedy for a rule as manifests count it (`header: code`, or `code`); empty if unknown."""
    code = rule.rpartition(": ")[2]
    return next((reason.remedy for reason in Quarantine if reason == code), "")
