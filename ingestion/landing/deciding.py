"""What becomes of each file: recognised, landed once, landed again, rejected or held.

Belongs here: one pass over all files, load identity, the atomic rename that makes a load visible,
which loads are in force.
Does not belong here: which bytes have come (`arriving`), reading them (`loads`, in processes of
their own).
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from functools import cached_property
from pathlib import Path

from ingestion.company import Company
from ingestion.errors import FileRejected, UserError
from ingestion.files import file_hash, fsync_folder
from ingestion.home import Home
from ingestion.landing.accounting import unknown_stages
from ingestion.landing.arriving import Arrival, Arrivals
from ingestion.landing.inbox import inbox_files
from ingestion.landing.known_at import declared_known_at
from ingestion.landing.loads import Job, write_load
from ingestion.landing.manifest import LoadManifest, undamaged
from ingestion.landing.receipts import TIME, Receipt, Receipts
from ingestion.landing.report import FileOutcome, Report, rejected
from ingestion.mappings.forms import Cell, FileMapping, KnownAt, TableMapping
from ingestion.mappings.loading import FileKind, Mappings
from ingestion.reasons import Rejection
from ingestion.recognition import recognised
from ingestion.shown import printable
from ingestion.tables import TABLES
from ingestion.worker import READERS

Say = Callable[[str], None]

ALWAYS = "1970-01-01 00:00:00"


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
        self._undamaged: dict[str, LoadManifest] = {}

    def run(self) -> Report:
        """Land what is new, land again what a changed mapping or declaration makes new."""
        with tempfile.TemporaryDirectory(prefix="mellantid-") as scratch:
            self.scratch = Path(scratch)
            self._clean()
            self.receipts = Receipts(self.home, is_written=not self.dry_run)
            folder = self.scratch if self.dry_run else self.home.archive
            arrivals = Arrivals(self.home, self.receipts, folder, self.scratch)
            outcomes = self._landed_each(
                [arrived for path in inbox_files(self.home) for arrived in arrivals.of(path)]
            )
            outcomes += self._relanded({outcome.sha256 for outcome in outcomes})
            loads = self._in_force(outcomes)
            unknown = self._unknown_stages(loads) if self.dry_run else []
            return Report(files=outcomes, loads=loads, unknown_stages=unknown)

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

    def _landed_each(self, arrived: Sequence[Arrival | FileOutcome]) -> list[FileOutcome]:
        """What becomes of each, in order: the same bytes in turn, others side by side."""
        same: dict[str, list[Arrival]] = {}
        for arrival in arrived:
            if isinstance(arrival, Arrival):
                same.setdefault(arrival.sha256, []).append(arrival)
        with ThreadPoolExecutor(READERS.count) as pool:
            found = dict(zip(same, pool.map(self._landed_same, same.values()), strict=True))
        return [
            outcome
            for arrival in arrived
            for outcome in (
                next(found[arrival.sha256]) if isinstance(arrival, Arrival) else [arrival]
            )
        ]

    def _landed_same(self, arrivals: list[Arrival]) -> Iterator[list[FileOutcome]]:
        return iter([self._landed_one(arrival) for arrival in arrivals])

    # --- one file --------------------------------------------------------------------------------

    def _landed_one(self, arrival: Arrival) -> list[FileOutcome]:
        """What becomes of archived bytes."""
        receipt = self.receipts.get(arrival.sha256)
        if receipt is None:
            raise KeyError(arrival.sha256)
        try:
            return self._land(arrival.name, arrival.archived, receipt)
        except FileRejected as error:
            where = " (archived)" if arrival.has_left_inbox else ""
            message = f"{arrival.name}{where}: {error}"
            return [rejected(arrival.name, message, error, arrival.sha256)]

    def _land(self, name: str, archived: Path, receipt: Receipt) -> list[FileOutcome]:
        """Land archived bytes, sheet by sheet, unless these very loads are there already."""
        file_kinds, others = self._known_kinds(receipt), receipt.other_sheets
        relands = bool(receipt.file_kinds)
        is_same = receipt.mappings == self.mappings.fingerprint
        if not is_same or not all(self._done(receipt, *item) for item in file_kinds.items()):
            self.say(f"reading {name}")
            _check_archived(archived, receipt)
            names = [Path(seen.name).name for seen in receipt.names]
            known = self.mappings.file_kinds
            found = READERS.call(
                recognised, archived, names, known, self.scratch, size=receipt.bytes
            )
            file_kinds = {sheet or "": known[label] for sheet, label in found.labels.items()}
            others = tuple(found.others)
            receipt = self._with_known_at(receipt, list(file_kinds.values()))
        loads = []
        for sheet, file_kind in file_kinds.items():
            done = self._done(receipt, sheet, file_kind)
            manifest = done or self._write_load(archived, sheet, file_kind, receipt)
            outcome = "already_landed" if done else "relanded" if relands else "landed"
            loads.append((sheet, outcome, manifest))
        receipt = receipt.model_copy(
            update={
                "file_kinds": {sheet: kind.label for sheet, kind in file_kinds.items()},
                "other_sheets": others,
                "mappings": self.mappings.fingerprint,
            }
        )
        self.receipts.keep(receipt)
        return [
            _outcome(f"{name} [{sheet}]" if len(loads) > 1 else name, outcome, receipt, manifest)
            for sheet, outcome, manifest in loads
        ]

    def _known_kinds(self, receipt: Receipt) -> dict[str, FileKind]:
        """The file kinds that recognised a file's sheets before, as far as they still exist."""
        known = self.mappings.file_kinds
        return {
            sheet: known[label] for sheet, label in receipt.file_kinds.items() if label in known
        }

    def _done(self, receipt: Receipt, sheet: str, file_kind: FileKind) -> LoadManifest | None:
        """The manifest of a load that is there already, as it was written."""
        identity = load_id(receipt.sha256, sheet, file_kind)
        for folder in (self._landed / identity, self.home.landed / identity):
            if identity not in self._undamaged and (manifest := undamaged(folder)):
                self._undamaged[identity] = manifest
        return self._undamaged.get(identity)

    def _write_load(
        self, archived: Path, sheet: str, file_kind: FileKind, receipt: Receipt
    ) -> LoadManifest:
        """Have the load written, and make it visible by one rename. Returns its manifest."""
        identity = load_id(receipt.sha256, sheet, file_kind)
        temporary = self._landed / f".tmp-{identity}"
        shutil.rmtree(temporary, ignore_errors=True)
        job = Job(
            archived,
            sheet or None,
            file_kind,
            datetime.fromisoformat(receipt.known_at),
            self.key,
            identity,
            receipt.sha256,
            temporary,
            self.scratch,
        )
        manifest = READERS.call(write_load, job, size=archived.stat().st_size)
        # What is damaged makes room; killed in between, the load is missing and lands next time.
        shutil.rmtree(self._landed / identity, ignore_errors=True)
        temporary.replace(self._landed / identity)
        fsync_folder(self._landed)
        return manifest

    def _with_known_at(self, receipt: Receipt, file_kinds: list[FileKind]) -> Receipt:
        """Fix when the bytes were known, once it is declared; until then their arrival counts."""
        if receipt.is_known_at_declared:
            return receipt
        found = (declared_known_at(kind, receipt, self.company) for kind in file_kinds)
        declared = next(filter(None, found), None)
        known_at = f"{declared:{TIME}}" if declared else receipt.arrived_at
        update = {"known_at": known_at, "is_known_at_declared": declared is not None}
        return receipt.model_copy(update=update)

    # --- all files -------------------------------------------------------------------------------

    def _relanded(self, seen: set[str]) -> list[FileOutcome]:
        """Archived files that left the inbox but whose mapping or declaration has changed."""
        arrivals = [
            Arrival(
                printable(receipt.first_name),
                receipt.sha256,
                self.home.archive / receipt.sha256,
                has_left_inbox=True,
            )
            for receipt in self.receipts
            if receipt.sha256 not in seen and receipt.file_kinds
        ]
        outcomes = self._landed_each(arrivals)
        return [outcome for outcome in outcomes if outcome.outcome != "already_landed"]

    def _in_force(self, outcomes: list[FileOutcome]) -> list[str]:
        """The loads the marts are built from: one per archived file, as its mapping now says."""
        loads = {outcome.load_id for outcome in outcomes if outcome.load_id}
        systems = {outcome.file_kind.partition("/")[0] for outcome in outcomes}
        for receipt in self.receipts:
            for sheet, file_kind in self._known_kinds(receipt).items():
                identity = load_id(receipt.sha256, sheet, file_kind)
                if (self._landed / identity).exists():
                    loads.add(identity)
                    systems.add(file_kind.system)
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
        file_kind = FileKind(system, "stages", _own_columns("stages"), self.company)
        receipt = Receipt(
            sha256=sha256,
            bytes=len(text),
            first_name=f"stages of {system}",
            arrived_at=ALWAYS,
            known_at=ALWAYS,
        )
        if not self._done(receipt, "", file_kind):
            written = self.scratch / sha256
            written.write_text(text, encoding="utf-8")
            try:
                manifest = self._write_load(written, "", file_kind, receipt)
            except FileRejected as error:
                raise UserError(f"mapping of {system}: stages: {error}") from error
            if manifest.quarantined:
                faults = ", ".join(manifest.rules)
                raise UserError(f"mapping of {system}: stages: {faults}; correct the stage list")
        return load_id(sha256, "", file_kind)

    def _unknown_stages(self, loads: list[str]) -> list[tuple[str | None, str, int]]:
        """Stages in these loads that no mapping declares: what would block a run, told before."""
        folders = [f / load for load in loads for f in (self._landed, self.home.landed)]
        return unknown_stages([folder for folder in folders if folder.exists()])


def _check_archived(archived: Path, receipt: Receipt) -> None:
    """Raises FileRejected for bytes that are no longer those that came."""
    if not archived.is_file() or file_hash(archived) != receipt.sha256:
        raise FileRejected(Rejection.ARCHIVE_DAMAGED, "is damaged in the archive")


def _outcome(name: str, outcome: str, receipt: Receipt, manifest: LoadManifest) -> FileOutcome:
    first = printable(receipt.first_name)
    others = (f"[{sheet}]" for sheet in receipt.other_sheets)
    return FileOutcome(
        name=name,
        outcome=outcome,
        sha256=receipt.sha256,
        load_id=manifest.load_id,
        file_kind=manifest.file_kind,
        known_at=receipt.known_at,
        records=manifest.records,
        accepted=manifest.accepted,
        quarantined=manifest.quarantined,
        rules=manifest.rules,
        left_out=manifest.left_out,
        first_rejects=manifest.first_rejects,
        message=f"{name}: already landed as {first}" if outcome == "already_landed" else "",
        notes=manifest.notes,
        unused=[printable(unused) for unused in (*manifest.unmapped_headers, *others)],
    )


def load_id(sha256: str, sheet: str, file_kind: FileKind) -> str:
    """A load is these bytes (of one sheet), read by this mapping, into this declaration."""
    return hashlib.sha256(f"{sha256}|{sheet}|{file_kind.hash}".encode()).hexdigest()[:16]


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
