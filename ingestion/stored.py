"""What the home stores for itself: strict models with a format version.

Belongs here: reading and writing such files, and what a damaged one is told as.
Does not belong here: what is stored; each model has one owner, who alone reads and writes it.
"""

import hashlib
import json
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from ingestion.errors import UserError
from ingestion.files import write_atomically


class DamagedFile(UserError):
    """A file that Mellantid wrote and that does not read back. The text names it."""


class Stored(BaseModel):
    """A stored model. A subclass that changes its form raises FORMAT and upgrades older content.

    REMEDY is what to do about a damaged one. Each file holds a `checksum` of the rest.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    FORMAT: ClassVar[int] = 1
    REMEDY: ClassVar[str] = "restore it from backup"

    @classmethod
    def upgraded(cls, content: dict[str, Any], _version: int) -> dict[str, Any]:
        """Content of an older format version, in the present form."""
        return content

    @classmethod
    def from_text(cls, text: str, path: Path) -> Self:
        """Raises DamagedFile naming `path`."""
        name = f"{path.parent.name}/{path.name}"
        try:
            content = json.loads(text)
            version = content.get("format_version", 1)
            if version > cls.FORMAT:
                raise DamagedFile(f"{name}: written by a later version of Mellantid; update this")
            checksum = content.pop("checksum", None)
            if checksum is not None and checksum != _checksum(content):
                raise ValueError("it was changed since it was written")
            content.pop("format_version", None)
            if version < cls.FORMAT:
                content = cls.upgraded(content, version)
            return cls.model_validate_json(json.dumps(content))
        except (ValueError, AttributeError, TypeError, KeyError, ValidationError) as error:
            places = ""
            if isinstance(error, ValidationError):
                faults = (".".join(map(str, fault["loc"])) for fault in error.errors())
                places = f" ({', '.join(list(faults)[:3])})"
            raise DamagedFile(f"{name}: is damaged{places}; {cls.REMEDY}") from error

    @classmethod
    def read(cls, path: Path) -> Self:
        """Raises DamagedFile naming the file, FileNotFoundError if there is none."""
        return cls.from_text(path.read_text(encoding="utf-8", errors="replace"), path)

    def as_text(self) -> str:
        content = {"format_version": self.FORMAT, **self.model_dump(mode="json")}
        content["checksum"] = _checksum(content)
        return json.dumps(content, indent=2, ensure_ascii=False, sort_keys=True) + "\n"

    def write(self, path: Path) -> None:
        write_atomically(path, self.as_text())


def _checksum(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
