"""The data home: where things lie, the company file, the hash key.

Belongs here: paths and what the company says of itself.
Does not belong here: reading exports, running anything.
"""

import hashlib
import json
import os
import secrets
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from ingestion.errors import UserError

COMPANY_TEMPLATE = """\
# What Mellantid needs to know about the company. Lines may be left out; the values here are the
# ones used then.

# The zone in which a day begins and ends, and in which exports without an offset are read.
zone: Europe/Stockholm

# Company currency (ISO 4217). Also the currency of exports that name none.
currency: SEK

# Country (ISO 3166) that phone numbers without a prefix belong to.
country: SE

# A move taken back within this many minutes is a correction: kept, flagged, not counted as a
# conversion.
correction_grace_minutes: 60

# A lost deal that is reopened within this many days was not lost; one reopened later is another
# attempt, and its win no longer counts as the first one's.
reopen_grace_days: 90

# A user who moves this many deals in one second has edited them in bulk.
bulk_deals: 5

# A deal without activity for this many days is idle.
idle_days: 30

# How many days a published set is kept. Rollback and slow readers need some.
keep_published_days: 30

# How many private build folders (warehouse/<as_of>) are kept. They can always be rebuilt.
keep_warehouses: 3

# Who is told when a run fails; nobody until filled in. Passwords and tokens come from the
# environment, see docs/operations.md.
alerts:
  email_from: null
  email_to: []
  smtp_host: null
  slack_channel: null

# Jumps the gate refused on some day although they are real (a bulk import, a merger). Each line
# lets one check pass on one day, and is published with its reason, for example:
#   - {check: deals_keep_their_number, as_of: 2026-03-31, why: the Norwegian company joined}
accepted_changes: []
"""


Model = TypeVar("Model", bound=BaseModel)


def checked_zone(zone: str) -> str:
    """The zone, or ValueError if there is none of that name."""
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"{zone!r} is not an IANA zone such as Europe/Stockholm") from error
    return zone


class Strict(BaseModel):
    """A model that refuses keys it does not know: a misspelt key must not be a silent default."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Alerts(Strict):
    email_from: str | None = None
    email_to: tuple[str, ...] = ()
    smtp_host: str | None = None
    slack_channel: str | None = None


class AcceptedChange(Strict):
    """A check whose finding on one day a person has looked at and found right."""

    check: str
    as_of: date
    why: str = Field(min_length=1)


class Company(Strict):
    """The company file. See `COMPANY_TEMPLATE` for what each entry means."""

    zone: str = "Europe/Stockholm"
    currency: str = Field("SEK", pattern="^[A-Z]{3}$")
    country: str = Field("SE", pattern="^[A-Z]{2}$")
    correction_grace_minutes: int = Field(60, ge=0)
    reopen_grace_days: int = Field(90, ge=0)
    bulk_deals: int = Field(5, ge=2)
    idle_days: int = Field(30, ge=1)
    keep_published_days: int = Field(30, ge=1)
    keep_warehouses: int = Field(3, ge=1)
    alerts: Alerts = Alerts()
    accepted_changes: tuple[AcceptedChange, ...] = ()

    @field_validator("zone")
    @classmethod
    def _is_a_zone(cls, zone: str) -> str:
        return checked_zone(zone)

    @property
    def tz(self) -> ZoneInfo:
        return ZoneInfo(self.zone)

    def end_of(self, day: date) -> datetime:
        """The last second of `day` in the company's zone, as naive UTC.

        The last second and not the next midnight: an interval bound must keep its own date.
        """
        local = datetime.combine(day, time(23, 59, 59), tzinfo=self.tz)
        return local.astimezone(UTC).replace(tzinfo=None)

    def today(self) -> date:
        return datetime.now(self.tz).date()


@dataclass(frozen=True)
class Home:
    """The folders of one data home."""

    root: Path

    @classmethod
    def at(cls, root: str | Path) -> "Home":
        path = Path(root).expanduser().absolute()
        if set("*?[]{}") & set(str(path)):
            raise UserError(
                f"home {path}: the path holds one of * ? [ ] {{ }}, which readers take for a "
                "pattern; choose another folder"
            )
        if path.exists() and not path.is_dir():
            raise UserError(f"home {path}: is a file; choose a folder")
        return cls(path)

    @property
    def inbox(self) -> Path:
        return self.root / "inbox"

    @property
    def archive(self) -> Path:
        return self.root / "archive"

    @property
    def landed(self) -> Path:
        return self.root / "landed"

    @property
    def warehouse(self) -> Path:
        return self.root / "warehouse"

    @property
    def published(self) -> Path:
        return self.root / "published"

    @property
    def mappings(self) -> Path:
        return self.root / "mappings"

    @property
    def company_file(self) -> Path:
        return self.root / "company.yml"

    def prepare(self) -> Company:
        """Make the folders and, on first use, the company file; return what it says.

        Only inbox and published are for others to see; archive and landed hold personal data.
        """
        for folder in (self.inbox, self.published, self.mappings):
            folder.mkdir(parents=True, exist_ok=True)
        for folder in (self.archive, self.landed, self.warehouse):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self.company_file.exists():
            write_atomically(self.company_file, COMPANY_TEMPLATE)
        return self.company()

    def company(self) -> Company:
        """Read and check `company.yml`; its defaults where it is absent.

        Raises UserError with one line per fault.
        """
        if not self.company_file.exists():
            return Company()
        return validated(self.company_file.name, read_yaml(self.company_file), Company)

    def hash_key(self) -> bytes:
        """The key that personal identifiers are hashed with, made on first use.

        It lies outside home and repository (`MELLANTID_KEY_FILE`, else the user's configuration
        folder), so that a copied home reveals nobody. The home remembers only its fingerprint:
        hashes made with another key would never join.
        """
        config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
        path = Path(os.environ.get("MELLANTID_KEY_FILE") or config / "mellantid" / "hash.key")
        fingerprint_file = self.archive / "key.fingerprint"
        if path.resolve().is_relative_to(self.root.resolve()):
            raise UserError(f"key file {path}: lies inside the home; keep it elsewhere")
        if not path.exists():
            if fingerprint_file.exists():
                raise UserError(
                    f"key file {path}: missing, and this home was hashed with one; restore it "
                    "from backup or set MELLANTID_KEY_FILE"
                )
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            try:
                handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            except FileExistsError:
                pass  # another run was first
            else:
                with os.fdopen(handle, "w") as file:
                    file.write(secrets.token_hex(32))
        key = bytes.fromhex(path.read_text().strip())
        fingerprint = hashlib.sha256(b"mellantid" + key).hexdigest()[:16]
        if not fingerprint_file.exists():
            write_atomically(fingerprint_file, fingerprint)
        elif fingerprint_file.read_text().strip() != fingerprint:
            raise UserError(
                f"key file {path}: is not the key this home was hashed with; set "
                "MELLANTID_KEY_FILE to the right one"
            )
        return key


# The C one where there is one: all shipped mappings take 0.02 s instead of 0.22.
SAFE_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file of keys and values. Raises UserError naming file and line."""
    name = f"{path.parent.name}/{path.name}"
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=SAFE_LOADER) or {}  # noqa: S506
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f" line {mark.line + 1}" if mark else ""
        raise UserError(f"{name}{place}: not readable as YAML; check quotes, indents") from error
    if not isinstance(content, dict):
        raise UserError(f"{name}: must hold `key: value` lines")
    return content


def validated(name: str, content: Any, model: type[Model]) -> Model:
    """Check `content` against `model`. Raises UserError with every fault in one line."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(str(part) for part in fault['loc']) or 'the file'}: "
            + fault["msg"].removeprefix("Value error, ")
            for fault in error.errors()
        )
        raise UserError(f"{name}: {faults}") from error


def fsync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_atomically(path: Path, text: str) -> None:
    """Write a small file so that a reader, or a crash, sees the old or the new one whole."""
    temporary = path.with_name(f".tmp-{path.name}-{os.getpid()}")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    fsync_folder(path.parent)


def write_json(path: Path, content: Any) -> None:
    write_atomically(path, json.dumps(content, indent=2, ensure_ascii=False, sort_keys=True) + "\n")
