"""The data home: where things lie, and the key that personal identifiers are hashed with.

Belongs here: paths, making the folders, the hash key.
Does not belong here: what the files in them hold, reading exports, running anything.
"""

import hashlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from ingestion.company import COMPANY_TEMPLATE, Company
from ingestion.errors import UserError
from ingestion.files import write_atomically, write_once
from ingestion.settings import read_yaml, validated

KEY_BYTES = 32


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
    def looks(self) -> Path:
        return self.root / "looks"

    @property
    def forecasts(self) -> Path:
        return self.root / "forecasts"

    @property
    def backtests(self) -> Path:
        return self.forecasts / "backtest"

    @property
    def check_ins(self) -> Path:
        return self.root / "check_ins"

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
            write_once(path, secrets.token_hex(KEY_BYTES))
        try:
            key = bytes.fromhex(path.read_text().strip())
        except ValueError:
            key = b""
        if len(key) < KEY_BYTES:
            raise UserError(
                f"key file {path}: holds no key of {KEY_BYTES} bytes; restore it from backup"
            )
        fingerprint = hashlib.sha256(b"mellantid" + key).hexdigest()[:16]
        if not fingerprint_file.exists():
            write_atomically(fingerprint_file, fingerprint)
        elif fingerprint_file.read_text().strip() != fingerprint:
            raise UserError(
                f"key file {path}: is not the key this home was hashed with; set "
                "MELLANTID_KEY_FILE to the right one"
            )
        return key
