"""The form of a mapping file: what each word of it means and may say.

Belongs here: strict models of files, tables, cells, dialects.
Does not belong here: finding and laying over mapping files (`loading`), reading cells.
"""

import re
from collections.abc import Mapping
from datetime import date
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from ingestion.company import checked_zone
from ingestion.mappings.headers import compiled, is_pattern
from ingestion.settings import Strict
from ingestion.tables import TABLES

Format = Literal["csv", "xlsx", "jsonl", "parquet"]


class Dialect(Strict):
    """How text is written in a file. Nothing is guessed from the content.

    `dates` are strptime formats, or `iso` (any ISO 8601 form), or `excel_serial`. `zone` is
    `company`, `UTC` or an IANA name, for times without an offset. `skip_lines` are lines above the
    headers, `skip_last_lines` filled lines below the records; `open_end` says that whole files of
    this kind end without a line end. `year` is that of dates written without one. Rows in which
    nothing but the `prefilled` headers is filled are no records.
    """

    _as_tuple = field_validator("dates", "nulls", "prefilled", mode="before")(lambda v: _listed(v))

    encoding: Literal["utf-8", "utf-16", "cp1252", "latin-1"] = "utf-8"
    separator: str = Field(",", min_length=1, max_length=1)
    decimal: Literal[".", ","] = "."
    thousands: str = Field("", max_length=1)
    dates: tuple[str, ...] = ("iso",)
    zone: str = "company"
    nulls: tuple[str, ...] = ()
    sheet: str | None = None
    skip_lines: int = Field(0, ge=0, le=100)
    skip_last_lines: int = Field(0, ge=0, le=100)
    open_end: bool = False
    year: int | None = Field(None, ge=1990, le=2100)
    prefilled: tuple[str, ...] = ()

    @field_validator("dates")
    @classmethod
    def _are_formats(cls, dates: tuple[str, ...]) -> tuple[str, ...]:
        for form in dates:
            known = re.sub(r"%-?[YymdHIMSfpbBzjyaAe]|[^%]", "", form) == "" and "%" in form
            if form not in ("iso", "excel_serial", "epoch", "epoch_ms") and not known:
                raise ValueError(
                    f"{form!r} is not iso, excel_serial, epoch, epoch_ms or strptime, "
                    "as in %d/%m/%Y"
                )
        return dates

    @field_validator("zone")
    @classmethod
    def _is_a_zone(cls, zone: str) -> str:
        return zone if zone == "company" else checked_zone(zone)

    @model_validator(mode="after")
    def _signs_differ(self) -> "Dialect":
        if self.thousands == self.decimal:
            raise ValueError("thousands and decimal are the same sign")
        return self


class Choice(Strict):
    """Which header a cell is read under, by what another cell of the row says, whatever its case.

    `by` lists headers, the first filled of which decides; `cells` says which header then.
    """

    by: tuple[str, ...]
    cells: Mapping[str, str]


class Cell(Strict):
    """Where one column's value comes from; written as a plain header for the common case.

    One of: `from` (the first of these headers that the file has), `first_filled` (the first of
    these cells that is filled), `join` (several cells put together with a space), `constant`,
    `choose` (by what another cell says), `captured` (a named group of the unpivoted header),
    `unpivoted` (the unpivoted cell itself or, of a list of JSON objects, this key), `row_number`
    (the place of the record in its file, as an id that holds for this one file).

    `default` fills an empty cell; `company_currency` as a default takes it from the company file.
    `values` maps text to text, whatever its case, `*` being any other; null means unknown.
    `first_of` keeps the first of a list with that separator; `matching` keeps only what the pattern
    is found in; `hashed` turns an id that would name a person into its keyed hash; `whole` is an id
    that names its system, `hubspot:123`, as published tables do. `unit` is what
    a number counts; `without` takes units such as `kr` or `:-` away from it; `negative` allows
    amounts below zero, also in brackets, as credit notes have them. `in_company_currency` are
    headers of the same amount in the company's currency, taken where the file lacks the column that
    says which the amount is in.
    """

    headers: tuple[str, ...] = Field((), alias="from")
    first_filled: tuple[str, ...] = ()
    join: tuple[str, ...] = ()
    constant: str | None = None
    captured: str | None = None
    unpivoted: bool | str = False
    choose: Choice | None = None
    row_number: bool = False
    hashed: bool = False
    whole: bool = False
    default: str | None = None
    values: Mapping[str, str | None] = {}
    first_of: str | None = None
    matching: str | None = None
    dates: tuple[str, ...] | None = None
    unit: Literal["ms", "percent", "thousands", "millions"] | None = None
    without: tuple[str, ...] = ()
    negative: bool = False
    in_company_currency: tuple[str, ...] = ()

    _without_as_tuple = field_validator("without", mode="before")(lambda v: _listed(v))

    @model_validator(mode="before")
    @classmethod
    def _from_header(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"from": (value,)}
        if isinstance(value, dict) and isinstance(value.get("from"), str):
            return {**value, "from": (value["from"],)}
        return value

    @model_validator(mode="after")
    def _has_one_origin(self) -> "Cell":
        origins = [
            self.headers,
            self.first_filled,
            self.join,
            self.constant is not None,
            self.captured,
            self.unpivoted,
            self.choose,
            self.row_number,
        ]
        if sum(map(bool, origins)) != 1:
            raise ValueError(
                "needs exactly one of from, first_filled, join, constant, captured, unpivoted, "
                "choose, row_number"
            )
        return self

    @property
    def plain_headers(self) -> tuple[str, ...]:
        """Headers that the cell is read under as it stands."""
        return (*self.headers, *self.first_filled)

    @property
    def all_headers(self) -> tuple[str, ...]:
        """Every header of the file that the cell may be read under."""
        chosen = tuple(self.choose.cells.values()) if self.choose else ()
        others = (*self.join, *chosen, *self.in_company_currency)
        return (*self.headers, *self.first_filled, *others)

    @field_validator("matching")
    @classmethod
    def _is_a_pattern(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            compiled(pattern)
        return pattern


class TableMapping(Strict):
    """How rows of a file become rows of one input table.

    `unpivot` are regular expressions for headers: each matching column of each row makes a row of
    its own if its cell is filled; with `each_of`, a row for each part of the cell, which is a list
    with that separator, or, for `[]`, a list in JSON. Where several match a header, the stages that
    the mappings declare decide which captures one.
    """

    _as_tuple = field_validator("unpivot", mode="before")(lambda v: _listed(v))

    columns: Mapping[str, Cell]
    unpivot: tuple[str, ...] = ()
    each_of: str | None = None

    @field_validator("unpivot")
    @classmethod
    def _are_patterns(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            compiled(pattern)
        return patterns


class KnownAt(Strict):
    """When the export knew what it says: a pattern in its name, a fixed day, or a column.

    A day ends in `zone`, or in the company's.
    """

    file_name: str | None = None
    constant: date | None = None
    column: Cell | None = None
    zone: str | None = None

    @field_validator("zone")
    @classmethod
    def _is_a_zone(cls, zone: str | None) -> str | None:
        return checked_zone(zone) if zone else None

    @field_validator("file_name")
    @classmethod
    def _has_a_group(cls, pattern: str | None) -> str | None:
        if pattern is not None and compiled(pattern).groups < 1:
            raise ValueError("needs (brackets) around the date")
        return pattern


class FileMapping(Strict):
    """One kind of file a system exports.

    A file is recognised by having all `headers` (each a header, a /pattern/ or a list of
    alternatives); its name (`names`, shell patterns) decides where several mappings fit, and tells
    a file of this kind that lacks a header from a strange one. Where the headers are any system's,
    `named` says that the name must fit too. `complete` says that such a file names every record
    there is, so that one it no longer names has been deleted.
    """

    doc: str
    formats: tuple[Format, ...] = ("csv", "xlsx")
    names: tuple[str, ...] = ()
    named: bool = False
    headers: tuple[tuple[str, ...], ...]
    dialect: Dialect = Dialect()
    known_at: KnownAt = KnownAt()
    complete: bool = False
    tables: Mapping[str, TableMapping]

    @field_validator("headers", mode="before")
    @classmethod
    def _alternatives(cls, headers: Any) -> Any:
        listed = tuple((h,) if isinstance(h, str) else tuple(h) for h in headers or ())
        if not listed:
            raise ValueError("needs the headers that such a file is recognised by")
        for wanted in (w for alternatives in listed for w in alternatives):
            if is_pattern(str(wanted)):
                compiled(str(wanted)[1:-1])
        return listed

    @model_validator(mode="after")
    def _names_declared_columns(self) -> "FileMapping":
        for name, table in self.tables.items():
            if name not in TABLES:
                raise ValueError(f"{name} is not an input table; there are {', '.join(TABLES)}")
            known = TABLES[name].by_name
            for column in table.columns:
                if column not in known:
                    raise ValueError(f"{name} has no column {column}; it has {', '.join(known)}")
            has_money = "amount" in table.columns and "currency" in known
            if has_money and "currency" not in table.columns:
                raise ValueError(
                    f"{name} maps amount and so needs currency: a header, or {{constant: SEK}}"
                )
            missing = [c.name for c in known.values() if c.required and c.name not in table.columns]
            if missing:
                raise ValueError(
                    f"{name} needs {', '.join(missing)}: add to its columns where each comes from"
                )
        return self


class SystemMapping(Strict):
    """All that is known of one CRM or sheet.

    `system` prefixes its ids. `ids: salesforce`: it writes one id with 15 or with 18 characters.
    """

    system: str = Field(pattern="^[a-z][a-z0-9_]*$")
    doc: str
    ids: Literal["plain", "salesforce"] = "plain"
    files: Mapping[str, FileMapping]
    stages: tuple[Mapping[str, Any], ...] = ()

    @field_validator("stages")
    @classmethod
    def _are_stages(cls, stages: tuple[Mapping[str, Any], ...]) -> tuple[Mapping[str, Any], ...]:
        seen, starts = set(), set()
        for stage in stages:
            if unknown := set(stage) - set(TABLES["stages"].by_name):
                known = ", ".join(TABLES["stages"].by_name)
                raise ValueError(f"a stage has no {sorted(unknown)[0]!r}; it has {known}")
            identity = tuple(stage.get(k) for k in TABLES["stages"].key)
            if identity in seen:
                raise ValueError(f"{stage.get('stage_id')} is there twice")
            seen.add(identity)
            start = (stage.get("pipeline_id"), stage.get("valid_from"))
            if stage.get("is_start") and start in starts:
                raise ValueError(f"{stage.get('stage_id')} is not the pipeline's only is_start")
            if stage.get("is_start"):
                starts.add(start)
        return stages


def _listed(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value
