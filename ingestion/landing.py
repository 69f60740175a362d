"""Landing: inbox files to the archive, and from there, exactly once by content, to typed Parquet.

Belongs here: receipts, load identity, the atomic rename that makes a load visible, which loads are
in force.
Does not belong here: which mapping a file is for (`recognition`), reading it (`loads`, in a bounded
process of its own), who may run (the lease).

archive/<sha256>        the bytes as they came, copied before any parser sees them
archive/<sha256>.json   the receipt: names it came under, when it was known, what recognised it
landed/<load_id>/       one load: <table>.parquet, rejects.parquet, manifest.json
"""

import errno
import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from ingestion.company import Company
from ingestion.errors import FileHeld, FileRejected, UserError
from ingestion.files import fsync_folder, write_json
from ingestion.home import Home
from ingestion.loads import Job, unknown_stages, write_load
from ingestion.mappings.forms import Cell, FileMapping, KnownAt, TableMapping
from ingestion.mappings.loading import Entry, Mappings
from ingestion.readers import archive, encoding
from ingestion.recognition import recognised
from ingestion.tables import TABLES
from ingestion.worker import READER

UNFINISHED = (".part", ".tmp", ".crdownload", ".partial")
LITTER = ("thumbs.db", "desktop.ini")
SIDECAR = ".known_at"

DATA_SUFFIXES = (".csv", ".tsv", ".txt", ".xlsx", ".xls", ".jsonl", ".parquet", ".zip", ".gz")

# How long a text whose last line has no end counts as still being written.
UNFINISHED_SECONDS = 60

Say = Callable[[str], None]


@dataclass(frozen=True)
class FileOutcome:
    """What became of one file, or one sheet of it.

    `outcome`: landed, relanded, already_landed, rejected, or held until it is whole. `notes` count
    what was read but is worth knowing; `unused` are headers and sheets that no mapping asks for.
    """

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
    first_rejects: list[list[Any]] = field(default_factory=list)
    rule: str = ""
    message: str = ""
    notes: dict[str, int] = field(default_factory=dict)
    unused: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Report:
    """What one pass over the inbox found. `loads` are the load ids now in force.

    `unknown_stages`, of a dry run only: (pipeline, stage, records) that no mapping declares.
    """

    files: list[FileOutcome]
    loads: list[str]
    unknown_stages: list[tuple[str | None, str, int]] = field(default_factory=list)

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
            outcomes: list[FileOutcome] = []
            for path in inbox_files(self.home):
                outcomes += self._arrived(path, _name(path, self.home))
            outcomes += self._relanded({outcome.sha256 for outcome in outcomes})
            loads = self._in_force(outcomes)
            return Report(outcomes, loads, self._unknown_stages(loads) if self.dry_run else [])

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
        return _read_receipt(path) if path.exists() else None

    # --- one file --------------------------------------------------------------------------------

    def _arrived(self, path: Path, name: str) -> list[FileOutcome]:
        """What becomes of a file in the inbox, or of a member of an archive there."""
        shown = _printable(name)
        self.say(f"reading {shown}")
        sha256 = ""
        try:
            sha256, archived = self._archived(path)
            receipt = self._with_name(sha256, path, name)
            if members := self._members(archived):
                when = path.stat()
                outcomes = []
                for member, place in members:
                    os.utime(place, ns=(when.st_atime_ns, when.st_mtime_ns))
                    outcomes += self._arrived(place, f"{name}/{member}")
                return outcomes
            return self._land(shown, archived, receipt)
        except FileHeld as held:
            return [FileOutcome(shown, "held", message=f"{shown}: {held}")]
        except FileRejected as error:
            message = f"{shown}: {error}"
            return [FileOutcome(shown, "rejected", sha256, rule=error.rule, message=message)]

    def _members(self, archived: Path) -> list[tuple[str, Path]] | None:
        with archived.open("rb") as file:
            if file.read(4) != b"PK\x03\x04":
                return None
        folder = self.scratch / f"members-{archived.name}"
        folder.mkdir(exist_ok=True)
        found = READER.call(archive.unpacked, archived, folder, size=archived.stat().st_size)
        if found is None:
            return None
        places = {member: place for member, place in found if not member.endswith(SIDECAR)}
        if not places:
            raise FileRejected("empty_file", "is an archive with nothing in it; export it again")
        for member, place in found:
            beside = places.get(member.removesuffix(SIDECAR))
            if beside and member.endswith(SIDECAR):
                place.replace(beside.with_name(beside.name + SIDECAR))
        return list(places.items())

    def _archived(self, path: Path) -> tuple[str, Path]:
        """Copy the bytes under their hash; refuse what is not a plain file.

        Raises FileHeld for a file that changes meanwhile, cannot be opened now, or looks cut short
        and is so new that it may still be being written.
        """
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise FileRejected("not_a_file", "is a link; put the file itself there") from error
            raise FileHeld("cannot be opened now; the next run tries again") from error
        before = os.fstat(handle)
        if not stat.S_ISREG(before.st_mode) or before.st_nlink > 1:
            os.close(handle)
            what = "a hard link" if stat.S_ISREG(before.st_mode) else "not a plain file"
            raise FileRejected("not_a_file", f"is {what}; put a copy of the file itself there")
        with os.fdopen(handle, "rb") as source:
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
        is_fresh = 0 <= time.time() - after.st_mtime < UNFINISHED_SECONDS
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or (
            is_fresh and encoding.ends_open(temporary)
        ):
            temporary.unlink()
            raise FileHeld("may still be being written; the next run takes it up")
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
            "entries": {},
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

    def _land(self, name: str, archived: Path, receipt: dict[str, Any]) -> list[FileOutcome]:
        """Land archived bytes, sheet by sheet, unless these very loads are there already."""
        before = self._entries(receipt)
        entries, others = before, receipt.get("other_sheets", [])
        is_same = receipt.get("mappings") == self.mappings.fingerprint
        if not is_same or not all(self._done(receipt, *item) for item in before.items()):
            names = [Path(seen["name"]).name for seen in receipt["names"]]
            size = receipt["bytes"]
            labels, others = READER.call(
                recognised, archived, names, self.mappings.entries, self.scratch, size=size
            )
            entries = {sheet or "": self.mappings.entries[label] for sheet, label in labels.items()}
            self._settle_known_at(list(entries.values()), receipt)
        relands = bool(receipt["entries"])
        loads = []
        for sheet, entry in entries.items():
            done = self._done(receipt, sheet, entry)
            manifest = done or self._write_load(archived, sheet, entry, receipt)
            outcome = "already_landed" if done else "relanded" if relands else "landed"
            loads.append((sheet, outcome, manifest))
        receipt["entries"] = {sheet: entry.label for sheet, entry in entries.items()}
        receipt["other_sheets"] = others
        receipt["mappings"] = self.mappings.fingerprint
        self._keep(receipt)
        return [
            self._outcome(f"{name} [{sheet}]" if len(loads) > 1 else name, outcome, receipt, m)
            for sheet, outcome, m in loads
        ]

    def _outcome(
        self, name: str, outcome: str, receipt: dict[str, Any], manifest: dict[str, Any]
    ) -> FileOutcome:
        first = _printable(receipt["first_name"])
        message = f"{name}: already landed as {first}" if outcome == "already_landed" else ""
        return FileOutcome(
            name,
            outcome,
            receipt["sha256"],
            manifest["load_id"],
            manifest["entry"],
            receipt["known_at"],
            manifest["records"],
            manifest["accepted"],
            manifest["quarantined"],
            manifest["rules"],
            manifest["first_rejects"],
            message=message,
            notes=manifest["notes"],
            unused=[
                _printable(unused)
                for unused in (
                    *manifest["unmapped_headers"],
                    *(f"[{sheet}]" for sheet in receipt["other_sheets"]),
                )
            ],
        )

    def _entries(self, receipt: dict[str, Any]) -> dict[str, Entry]:
        """The mappings that recognised a file's sheets before, as far as they are still there."""
        labels: dict[str, str] = receipt["entries"]
        known = self.mappings.entries
        return {sheet: known[label] for sheet, label in labels.items() if label in known}

    def _done(self, receipt: dict[str, Any], sheet: str, entry: Entry) -> dict[str, Any] | None:
        """The manifest of a load that is there already."""
        identity = load_id(receipt["sha256"], sheet, entry)
        for folder in (self._landed, self.home.landed):
            path = folder / identity / "manifest.json"
            if path.exists():
                return dict(json.loads(path.read_text(encoding="utf-8")))
        return None

    def _write_load(
        self, archived: Path, sheet: str, entry: Entry, receipt: dict[str, Any]
    ) -> dict[str, Any]:
        """Have the load written, and make it visible by one rename. Returns its manifest."""
        identity = load_id(receipt["sha256"], sheet, entry)
        temporary = self._landed / f".tmp-{identity}"
        shutil.rmtree(temporary, ignore_errors=True)
        job = Job(
            archived,
            sheet or None,
            entry,
            datetime.fromisoformat(receipt["known_at"]),
            self.key,
            identity,
            receipt["sha256"],
            temporary,
            self.scratch,
        )
        manifest = READER.call(write_load, job, size=archived.stat().st_size)
        temporary.replace(self._landed / identity)
        fsync_folder(self._landed)
        return manifest

    def _settle_known_at(self, entries: list[Entry], receipt: dict[str, Any]) -> None:
        """Fix when the bytes were known, once it is declared; until then their arrival counts."""
        if receipt["known_at"] and receipt["is_known_at_declared"]:
            return
        found = (self._declared_known_at(entry, receipt) for entry in entries)
        declared = next(filter(None, found), None)
        known_at = declared or datetime.fromisoformat(receipt["arrived_at"])
        receipt["known_at"] = f"{known_at:%Y-%m-%d %H:%M:%S}"
        receipt["is_known_at_declared"] = declared is not None

    def _relanded(self, seen: set[str]) -> list[FileOutcome]:
        """Archived files that left the inbox but whose mapping or declaration has changed."""
        outcomes = []
        for path in sorted(self.home.archive.glob("*.json")):
            receipt = _read_receipt(path)
            if receipt["sha256"] in seen or not receipt["entries"]:
                continue
            name = _printable(receipt["first_name"])
            try:
                found = self._land(name, path.with_suffix(""), receipt)
            except FileRejected as error:
                message = f"{name} (archived): {error}"
                found = [FileOutcome(name, "rejected", rule=error.rule, message=message)]
            outcomes += [outcome for outcome in found if outcome.outcome != "already_landed"]
        return outcomes

    def _in_force(self, outcomes: list[FileOutcome]) -> list[str]:
        """The loads the marts are built from: one per archived file, as its mapping now says."""
        loads = {outcome.load_id for outcome in outcomes if outcome.load_id}
        systems = {outcome.entry.partition("/")[0] for outcome in outcomes}
        for path in self.home.archive.glob("*.json"):
            receipt = _read_receipt(path)
            for sheet, entry in self._entries(receipt).items():
                identity = load_id(receipt["sha256"], sheet, entry)
                if (self._landed / identity).exists():
                    loads.add(identity)
                    systems.add(entry.system)
        # Of systems that nothing has come from, the stages would only be noise.
        loads |= {self._declared_stages(system) for system in systems & set(self.mappings.stages)}
        return sorted(loads - {""})

    def _declared_stages(self, system: str) -> str:
        """Land the stages a mapping declares. They are configuration: known from the beginning."""
        stages = self.mappings.stages[system]
        if not stages:
            return ""
        text = "".join(json.dumps(dict(row), sort_keys=True, default=str) + "\n" for row in stages)
        sha256 = hashlib.sha256(text.encode()).hexdigest()
        entry = Entry(system, "stages", _own_columns("stages"), self.company)
        receipt = {"sha256": sha256, "known_at": "1970-01-01 00:00:00"}
        if not self._done(receipt, "", entry):
            written = self.scratch / sha256
            written.write_text(text, encoding="utf-8")
            try:
                manifest = self._write_load(written, "", entry, receipt)
            except FileRejected as error:
                raise UserError(f"mapping of {system}: stages: {error}") from error
            if manifest["quarantined"]:
                faults = ", ".join(manifest["rules"])
                raise UserError(f"mapping of {system}: stages: {faults}; correct the stage list")
        return load_id(sha256, "", entry)

    def _unknown_stages(self, loads: list[str]) -> list[tuple[str | None, str, int]]:
        """Stages in these loads that no mapping declares: what would block a run, told before."""
        folders = [f / load for load in loads for f in (self._landed, self.home.landed)]
        return unknown_stages([folder for folder in folders if folder.exists()])

    def _declared_known_at(self, entry: Entry, receipt: dict[str, Any]) -> datetime | None:
        """When the export knew what it says: by mapping, file name or sidecar."""
        known_at = entry.mapping.known_at
        if known_at.constant:
            return self.company.end_of(known_at.constant)
        if known_at.file_name:
            for seen in receipt["names"]:
                # The file's own name first, then the archive or folder it came in.
                for part in reversed(Path(seen["name"]).parts):
                    if match := re.search(known_at.file_name, part):
                        return self.company.end_of(_day(match.group(1)))
        if receipt.get("sidecar"):
            return self.company.end_of(_day(receipt["sidecar"]))
        return None


def load_id(sha256: str, sheet: str, entry: Entry) -> str:
    """A load is these bytes (of one sheet), read by this mapping, into this declaration."""
    return hashlib.sha256(f"{sha256}|{sheet}|{entry.hash}".encode()).hexdigest()[:16]


def inbox_files(home: Home) -> Iterator[Path]:
    """Files to be landed, in a fixed order; without hidden, half-written ones and sidecars."""
    for path in sorted(home.inbox.rglob("*")):
        parts = path.relative_to(home.inbox).parts
        if any(part.startswith((".", "~$")) for part in parts):
            continue
        # A folder that is called like a file would be passed over without a word.
        if path.is_dir() and not path.is_symlink() and path.suffix.lower() not in DATA_SUFFIXES:
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
        name = _name(path, home)
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


def _name(path: Path, home: Home) -> str:
    """A file's name within the inbox; letters that are not UTF-8 become question marks."""
    name = path.relative_to(home.inbox).as_posix()
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _read_receipt(path: Path) -> dict[str, Any]:
    receipt: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if "entries" not in receipt:  # written before workbooks could have several sheets
        label = receipt.pop("entry")
        receipt["entries"] = {"": label} if label else {}
    return receipt


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


def _day(text: str) -> date:
    digits = re.sub(r"\D", "", text)[:8]
    try:
        day = date.fromisoformat(digits)
        if not 1990 <= day.year <= 2100:
            raise ValueError(day)
        return day
    except ValueError as error:
        raise FileRejected(
            "known_at_unreadable",
            "has a date in its name or beside it that is none; write 2026-03-31",
        ) from error
