"""Landing: inbox files to the archive, and from there, exactly once by content, to typed Parquet.

Belongs here: receipts, load identity, quarantine, the atomic rename that makes a load visible,
which loads are in force.
Does not belong here: which mapping a file is for (`recognition`), reading formats (`readers`),
types (`casting`), who may run (the lease).

archive/<sha256>        the bytes as they came, copied before any parser sees them
archive/<sha256>.json   the receipt: names it came under, when it was known, what recognised it
landed/<load_id>/       one load: <table>.parquet, rejects.parquet, manifest.json
"""

import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb

from ingestion import readers
from ingestion.casting import Context, TypedTable, cast_table
from ingestion.errors import FileRejected, UserError
from ingestion.home import Company, Home, fsync_folder, write_json
from ingestion.mappings import (
    Cell,
    Entry,
    FileMapping,
    KnownAt,
    Mappings,
    TableMapping,
)
from ingestion.readers import Sheet, literal
from ingestion.recognition import recognised
from ingestion.tables import TABLES

UNFINISHED = (".part", ".tmp", ".crdownload", ".partial")
LITTER = ("thumbs.db", "desktop.ini")
SIDECAR = ".known_at"

# A file with more broken records than this is read with the wrong dialect or cut in the middle;
# what is left of it would look like a fall in sales. Small files are judged by hand.
MAX_QUARANTINED_SHARE, MIN_RECORDS_FOR_SHARE = 0.2, 20
MAX_MOJIBAKE_SHARE = 0.01

Say = Callable[[str], None]


@dataclass(frozen=True)
class FileOutcome:
    """What became of one file. `outcome`: landed, relanded, already_landed or rejected."""

    name: str
    outcome: str
    sha256: str = ""
    load_id: str = ""
    entry: str = ""
    known_at: str = ""
    records: int = 0
    accepted: int = 0
    quarantined: int = 0
    rules: dict[str, int] = field(default_factory=dict)
    rule: str = ""
    message: str = ""


@dataclass(frozen=True)
class Report:
    """What one pass over the inbox found. `loads` are the load ids now in force."""

    files: list[FileOutcome]
    loads: list[str]

    def having(self, *outcomes: str) -> list[FileOutcome]:
        return [file for file in self.files if file.outcome in outcomes]


class Landing:
    """One pass over the inbox of a home.

    With `dry_run` everything is read and typed in a scratch folder and nothing is kept.
    """

    def __init__(self, home: Home, dry_run: bool = False, say: Say = lambda text: None) -> None:
        self.home = home
        self.company: Company = home.company()
        self.mappings = Mappings.of(home, self.company)
        self.dry_run = dry_run
        self.say = say
        self.key = home.hash_key() if not dry_run else bytes(32)

    def run(self) -> Report:
        """Land what is new, land again what a changed mapping or declaration makes new."""
        with tempfile.TemporaryDirectory(prefix="mellantid-") as scratch:
            self.scratch = Path(scratch)
            self._clean()
            outcomes = [self._arrived(path) for path in inbox_files(self.home)]
            outcomes += self._relanded({outcome.sha256 for outcome in outcomes})
            return Report(outcomes, self._in_force(outcomes))

    # --- what is there ---------------------------------------------------------------------------

    @cached_property
    def _landed(self) -> Path:
        return self.scratch / "landed" if self.dry_run else self.home.landed

    def _clean(self) -> None:
        """Remove what a killed run left half written."""
        self._landed.mkdir(parents=True, exist_ok=True)
        if not self.dry_run:
            for folder in (self.home.landed, self.home.archive):
                for left in folder.glob(".tmp-*"):
                    shutil.rmtree(left) if left.is_dir() else left.unlink()

    def _receipt_file(self, sha256: str) -> Path:
        return self.home.archive / f"{sha256}.json"

    def _receipt(self, sha256: str) -> dict[str, Any] | None:
        path = self._receipt_file(sha256)
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    # --- one file --------------------------------------------------------------------------------

    def _arrived(self, path: Path) -> FileOutcome:
        name = path.relative_to(self.home.inbox).as_posix()
        shown = _printable(name)
        self.say(f"reading {shown}")
        sha256 = ""
        try:
            sha256, archived = self._archived(path)
            receipt = self._with_name(sha256, path, name)
            return self._land(shown, archived, receipt)
        except FileRejected as error:
            return FileOutcome(
                shown, "rejected", sha256, rule=error.rule, message=f"{shown}: {error}"
            )

    def _archived(self, path: Path) -> tuple[str, Path]:
        """Copy the bytes under their hash; refuse what is not a plain file or changes meanwhile."""
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as error:
            raise FileRejected(
                "not_readable", "is a link or cannot be opened; put the file itself there"
            ) from error
        with os.fdopen(handle, "rb") as source:
            before = os.fstat(handle)
            if not stat.S_ISREG(before.st_mode):
                raise FileRejected("not_a_file", "is not a plain file; remove it from the inbox")
            folder = self.scratch if self.dry_run else self.home.archive
            temporary = folder / f".tmp-{os.getpid()}"
            digest = hashlib.sha256()
            with temporary.open("wb") as target:
                while chunk := source.read(1 << 22):
                    digest.update(chunk)
                    target.write(chunk)
                target.flush()
                os.fsync(target.fileno())
            after = os.fstat(handle)
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            temporary.unlink()
            raise FileRejected(
                "still_being_written", "changed while it was read; it is taken up by the next run"
            )
        archived = folder / digest.hexdigest()
        temporary.chmod(0o600)
        temporary.replace(archived)
        return digest.hexdigest(), archived

    def _with_name(self, sha256: str, path: Path, name: str) -> dict[str, Any]:
        """The receipt of these bytes, with this name and the file's size and time added."""
        known = self._receipt(sha256)
        status = path.stat()
        receipt = known or {
            "sha256": sha256,
            "bytes": status.st_size,
            "arrived_at": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S"),
            "known_at": None,
            "is_known_at_declared": False,
            "entry": None,
            "names": [],
        }
        receipt["sidecar"] = _sidecar(path) or receipt.get("sidecar")
        seen = {"name": name, "size": status.st_size, "mtime_ns": status.st_mtime_ns}
        receipt["names"] = [n for n in receipt["names"] if n["name"] != name] + [seen]
        receipt.setdefault("first_name", name)
        self._keep(receipt)
        return receipt

    def _keep(self, receipt: dict[str, Any]) -> None:
        if not self.dry_run:
            write_json(self._receipt_file(receipt["sha256"]), receipt)

    def _land(self, name: str, archived: Path, receipt: dict[str, Any]) -> FileOutcome:
        """Land archived bytes unless this very load is there already."""
        sha256 = receipt["sha256"]
        before = receipt["entry"]
        entry = self.mappings.entries.get(before or "")
        if entry is None or not self._done(load_id(sha256, entry)):
            names = [Path(seen["name"]).name for seen in receipt["names"]]
            entry = recognised(archived, names, self.mappings, self.scratch)
            self._settle_known_at(entry, receipt)
        receipt["entry"] = entry.label
        identity = load_id(sha256, entry)
        if done := self._done(identity):
            outcome, manifest = "already_landed", json.loads(done.read_text(encoding="utf-8"))
        else:
            outcome = "relanded" if before else "landed"
            manifest = self._write_load(identity, archived, entry, receipt)
        self._keep(receipt)
        first = receipt["first_name"]
        message = f"{name}: already landed as {first}" if outcome == "already_landed" else ""
        return FileOutcome(
            name,
            outcome,
            sha256,
            identity,
            entry.label,
            receipt["known_at"],
            manifest["records"],
            manifest["accepted"],
            manifest["quarantined"],
            manifest["rules"],
            message=message,
        )

    def _done(self, identity: str) -> Path | None:
        """The manifest of a load that is there already."""
        paths = (folder / identity / "manifest.json" for folder in (self._landed, self.home.landed))
        return next((path for path in paths if path.exists()), None)

    def _settle_known_at(self, entry: Entry, receipt: dict[str, Any]) -> None:
        """Fix when the bytes were known, once it is declared; until then their arrival counts."""
        if receipt["known_at"] and receipt["is_known_at_declared"]:
            return
        declared = self._declared_known_at(entry, receipt)
        known_at = declared or datetime.fromisoformat(receipt["arrived_at"])
        receipt["known_at"] = f"{known_at:%Y-%m-%d %H:%M:%S}"
        receipt["is_known_at_declared"] = declared is not None

    def _relanded(self, seen: set[str]) -> list[FileOutcome]:
        """Archived files that left the inbox but whose mapping or declaration has changed."""
        outcomes = []
        for path in sorted(self.home.archive.glob("*.json")):
            receipt = json.loads(path.read_text(encoding="utf-8"))
            if receipt["sha256"] in seen or receipt["entry"] is None:
                continue
            name = _printable(receipt["first_name"])
            try:
                outcome = self._land(name, path.with_suffix(""), receipt)
            except FileRejected as error:
                message = f"{name} (archived): {error}"
                outcome = FileOutcome(name, "rejected", rule=error.rule, message=message)
            if outcome.outcome != "already_landed":
                outcomes.append(outcome)
        return outcomes

    def _in_force(self, outcomes: list[FileOutcome]) -> list[str]:
        """The loads the marts are built from: one per archived file, as its mapping now says."""
        loads = {outcome.load_id for outcome in outcomes if outcome.load_id}
        for path in self.home.archive.glob("*.json"):
            receipt = json.loads(path.read_text(encoding="utf-8"))
            if entry := self.mappings.entries.get(receipt["entry"] or ""):
                identity = load_id(receipt["sha256"], entry)
                if (self._landed / identity).exists():
                    loads.add(identity)
        loads |= {self._declared_stages(system) for system in self.mappings.stages}
        return sorted(loads - {""})

    def _declared_stages(self, system: str) -> str:
        """Land the stages a mapping declares. They are configuration: known from the beginning."""
        stages = self.mappings.stages[system]
        if not stages:
            return ""
        text = "".join(json.dumps(dict(row), sort_keys=True, default=str) + "\n" for row in stages)
        sha256 = hashlib.sha256(text.encode()).hexdigest()
        entry = Entry(system, "stages", _own_columns("stages"), self.company)
        identity = load_id(sha256, entry)
        if not (self._landed / identity / "manifest.json").exists():
            written = self.scratch / sha256
            written.write_text(text, encoding="utf-8")
            receipt = {"sha256": sha256, "known_at": "1970-01-01 00:00:00"}
            try:
                manifest = self._write_load(identity, written, entry, receipt)
            except FileRejected as error:
                raise UserError(f"mapping of {system}: stages: {error}") from error
            if manifest["quarantined"]:
                faults = ", ".join(manifest["rules"])
                raise UserError(f"mapping of {system}: stages: {faults}; correct the stage list")
        return identity

    def _declared_known_at(self, entry: Entry, receipt: dict[str, Any]) -> datetime | None:
        """When the export knew what it says: by mapping, file name or sidecar."""
        known_at = entry.mapping.known_at
        if known_at.constant:
            return self.company.end_of(known_at.constant)
        if known_at.file_name:
            for seen in receipt["names"]:
                if match := re.search(known_at.file_name, Path(seen["name"]).name):
                    return self.company.end_of(_day(match.group(1), seen["name"]))
        if receipt.get("sidecar"):
            return self.company.end_of(_day(receipt["sidecar"], receipt["first_name"] + SIDECAR))
        return None

    # --- writing a load --------------------------------------------------------------------------

    def _write_load(
        self, identity: str, archived: Path, entry: Entry, receipt: dict[str, Any]
    ) -> dict[str, Any]:
        """Type the file and make the load visible by one rename. Returns its manifest."""
        known_at = datetime.fromisoformat(receipt["known_at"])
        with duckdb.connect() as connection:
            connection.execute("set timezone = 'UTC'")
            connection.execute(f"set temp_directory = {literal(str(self.scratch / 'spill'))}")
            file_format = readers.format_of(archived)
            sheet = readers.read(
                archived, file_format, entry.mapping.dialect, connection, self.scratch
            )
            if not sheet.n_records:
                raise FileRejected("no_records", "has headers but no records; export it again")
            context = Context(entry, sheet, known_at, self.key, connection)
            typed = [cast_table(context, name, m) for name, m in entry.mapping.tables.items()]
            return self._store(identity, entry, receipt, sheet, typed, connection)

    def _store(
        self,
        identity: str,
        entry: Entry,
        receipt: dict[str, Any],
        sheet: Sheet,
        typed: list[TypedTable],
        connection: duckdb.DuckDBPyConnection,
    ) -> dict[str, Any]:
        rules, quarantined = _quarantine(connection, sheet, typed)
        _check_share(sheet, rules, quarantined)
        temporary = self._landed / f".tmp-{identity}"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True, mode=0o700)
        for table in typed:
            connection.execute(
                f"""
                copy (
                    select {", ".join(c.name for c in TABLES[table.name].columns)},
                        {literal(identity)} as load_id, record_number, known_at,
                        {str(entry.mapping.complete).lower()} as is_complete
                    from typed_{table.name}
                    where record_number not in (select record_number from rejects)
                    order by all
                ) to {literal(str(temporary / f"{table.name}.parquet"))} (format parquet)
                """
            )
        connection.execute(
            f"copy (select * from rejects order by all) to "
            f"{literal(str(temporary / 'rejects.parquet'))} (format parquet)"
        )
        manifest = {
            "load_id": identity,
            "sha256": receipt["sha256"],
            "entry": entry.label,
            "mapping_hash": entry.hash,
            "known_at": receipt["known_at"],
            "records": sheet.n_records,
            "accepted": sheet.n_records - quarantined,
            "quarantined": quarantined,
            "rules": rules,
            "tables": {table.name: _table_facts(connection, table) for table in typed},
            "unmapped_headers": _unmapped(entry, sheet),
            "control_totals": _control_totals(connection, typed),
        }
        write_json(temporary / "manifest.json", manifest)
        for path in temporary.iterdir():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        fsync_folder(temporary)
        temporary.replace(self._landed / identity)
        fsync_folder(self._landed)
        return manifest


def load_id(sha256: str, entry: Entry) -> str:
    """A load is these bytes, read by this mapping, into this declaration."""
    return hashlib.sha256(f"{sha256}|{entry.hash}".encode()).hexdigest()[:16]


def inbox_files(home: Home) -> Iterator[Path]:
    """Files to be landed, in a fixed order; without hidden, half-written ones and sidecars."""
    for path in sorted(home.inbox.rglob("*")):
        parts = path.relative_to(home.inbox).parts
        if any(part.startswith((".", "~$")) for part in parts):
            continue
        if path.is_dir() and not path.is_symlink():
            continue
        if path.suffix.lower() not in (*UNFINISHED, SIDECAR) and path.name.lower() not in LITTER:
            yield path


def is_new(home: Home) -> bool:
    """Whether the inbox holds a file that no receipt knows by name, size and time.

    For the sensor: cheap, and only a trigger. What has landed is decided by content.
    """
    known = set()
    for path in home.archive.glob("*.json"):
        for seen in json.loads(path.read_text(encoding="utf-8"))["names"]:
            known.add((seen["name"], seen["size"], seen["mtime_ns"]))
    for path in inbox_files(home):
        status = path.lstat()
        name = path.relative_to(home.inbox).as_posix()
        # A link or pipe never gets a receipt; it must not trigger a run a minute.
        if stat.S_ISREG(status.st_mode) and (name, status.st_size, status.st_mtime_ns) not in known:
            return True
    return False


def manifests(home: Home, loads: list[str]) -> list[dict[str, Any]]:
    """The manifests of these loads."""
    paths = [home.landed / identity / "manifest.json" for identity in loads]
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]


def _own_columns(name: str) -> FileMapping:
    """A mapping for rows that already have the declared column names."""
    columns = {c.name: Cell.model_validate(c.name) for c in TABLES[name].columns}
    return FileMapping(
        doc=f"{name} as declared",
        formats=("jsonl",),
        headers=tuple((c.name,) for c in TABLES[name].columns if c.required),
        known_at=KnownAt(constant=date(1970, 1, 1)),
        tables={name: TableMapping(columns=columns)},
    )


def _printable(name: str) -> str:
    """A file name that cannot write lines or colours of its own into a terminal."""
    return "".join(c if c.isprintable() else "?" for c in name)


def _sidecar(path: Path) -> str | None:
    sidecar = path.with_name(path.name + SIDECAR)
    return (
        sidecar.read_text(encoding="utf-8", errors="replace").strip()[:40]
        if sidecar.is_file()
        else None
    )


def _day(text: str, name: str) -> date:
    digits = re.sub(r"\D", "", text)[:8]
    try:
        day = date.fromisoformat(digits)
        if not 1990 <= day.year <= 2100:
            raise ValueError(day)
        return day
    except ValueError as error:
        raise FileRejected(
            "known_at_unreadable", f"{name}: the date it was known must read like 2026-03-31"
        ) from error


def _quarantine(
    connection: duckdb.DuckDBPyConnection, sheet: Sheet, typed: list[TypedTable]
) -> tuple[dict[str, int], int]:
    """Table `rejects` (record_number, table_name, rule); counts per rule and of records."""
    connection.execute(
        "create or replace table rejects (record_number bigint, table_name varchar, rule varchar)"
    )
    if sheet.defects:
        connection.executemany("insert into rejects values (?, 'file', ?)", sheet.defects)
    for table in typed:
        connection.execute(
            f"insert into rejects select distinct record_number, {literal(table.name)}, "
            f"unnest(reasons) from typed_{table.name}"
        )
    rows = connection.execute(
        "select rule, count(distinct record_number) from rejects group by rule order by rule"
    ).fetchall()
    total = connection.execute("select count(distinct record_number) from rejects").fetchone()
    return dict(rows), int(total[0]) if total else 0


def _check_share(sheet: Sheet, rules: dict[str, int], quarantined: int) -> None:
    mojibake = sum(n for rule, n in rules.items() if rule.endswith(": mojibake"))
    if mojibake > max(1, MAX_MOJIBAKE_SHARE * sheet.n_records):
        raise FileRejected(
            "mojibake", "has letters broken by an earlier conversion (Ã¶ for ö); export as UTF-8"
        )
    too_many = sheet.n_records >= MIN_RECORDS_FOR_SHARE and (
        quarantined > MAX_QUARANTINED_SHARE * sheet.n_records
    )
    if too_many or quarantined == sheet.n_records:
        rule, n = max(rules.items(), key=lambda item: item[1])
        raise FileRejected(
            "too_many_bad_records",
            f"{quarantined} of {sheet.n_records} records cannot be read, most for {rule} ({n}); "
            "check the export and the mapping's dialect",
        )


def _table_facts(connection: duckdb.DuckDBPyConnection, table: TypedTable) -> dict[str, Any]:
    row = connection.execute(
        f"select count(*) from typed_{table.name} "
        "where record_number not in (select record_number from rejects)"
    ).fetchone()
    facts = asdict(table) | {"rows": int(row[0]) if row else 0}
    facts.pop("name")
    return facts


def _unmapped(entry: Entry, sheet: Sheet) -> list[str]:
    used: set[str] = set()
    for table in entry.mapping.tables.values():
        for cell in table.columns.values():
            used |= {*cell.headers, *cell.first_filled, *cell.join}
        if table.unpivot:
            used |= {h for h in sheet.headers if re.fullmatch(table.unpivot, h)}
    return [h for h in sheet.headers if h and h not in used]


def _control_totals(
    connection: duckdb.DuckDBPyConnection, typed: list[TypedTable]
) -> dict[str, str]:
    """Accepted money per currency, to be found again in the marts."""
    if "deals" not in {table.name for table in typed}:
        return {}
    rows = connection.execute(
        "select coalesce(currency, 'unknown'), sum(amount) from typed_deals "
        "where amount is not null and record_number not in (select record_number from rejects) "
        "group by all order by all"
    ).fetchall()
    return {currency: str(total) for currency, total in rows}
