"""Every mapping in force in a home: shipped ones with the home's own laid over them.

Belongs here: finding, merging and identifying them.
Does not belong here: what a mapping may say (`forms`), which one a file is for (`recognition`).
"""

import fnmatch
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from ingestion.company import Company
from ingestion.errors import UserError
from ingestion.home import Home
from ingestion.mappings.forms import FileMapping, SystemMapping
from ingestion.mappings.headers import has_header
from ingestion.settings import read_yaml, validated
from ingestion.tables import TABLES

SHIPPED = Path(__file__).parents[1] / "sources"


@dataclass(frozen=True)
class FileKind:
    """One file mapping in force, with all that decides how it lands a file."""

    system: str
    name: str
    mapping: FileMapping
    company: Company
    ids: str = "plain"
    stages: frozenset[tuple[str, str]] = frozenset()

    def __getstate__(self) -> dict[str, Any]:
        """What a reading process is sent: not the hash, which another thread may be keeping."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def label(self) -> str:
        return f"{self.system}/{self.name}"

    @cached_property
    def hash(self) -> str:
        """Changes when anything changes that could change what this file_kind lands."""
        content = [
            self.system,
            self.mapping.model_dump(mode="json", exclude={"doc", "names", "named"}),
            self.company.zone,
            self.company.currency,
            self.company.country,
            self.ids,
            self._stages_that_headers_name,
            {name: TABLES[name].version for name in self.mapping.tables},
        ]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    @property
    def _stages_that_headers_name(self) -> list[tuple[str, str]]:
        """The declared stages, where they decide what a header says."""
        tables = self.mapping.tables.values()
        return sorted(self.stages) if any(len(table.unpivot) > 1 for table in tables) else []

    def matches_name(self, name: str) -> bool:
        return any(fnmatch.fnmatch(name.lower(), pattern.lower()) for pattern in self.mapping.names)

    def missing_headers(self, headers: list[str]) -> list[str]:
        """The headers this mapping needs and the file lacks, by their first alternative."""
        return [
            alternatives[0]
            for alternatives in self.mapping.headers
            if not any(has_header(headers, wanted) for wanted in alternatives)
        ]

    def fitting_headers(self, headers: list[str]) -> int:
        """How many different headers of the file make it this mapping's."""
        first = (
            next(wanted for wanted in alternatives if has_header(headers, wanted))
            for alternatives in self.mapping.headers
            if any(has_header(headers, wanted) for wanted in alternatives)
        )
        return len(set(first))


@dataclass(frozen=True)
class Mappings:
    """Every file mapping in force in a home, and the stages the mappings declare."""

    file_kinds: dict[str, FileKind]
    stages: dict[str, tuple[Mapping[str, Any], ...]]

    @cached_property
    def fingerprint(self) -> str:
        """Changes when any file may be recognised as another kind than before."""
        kept = {"formats", "names", "named", "headers", "dialect"}
        content = {
            label: file_kind.mapping.model_dump(mode="json", include=kept)
            for label, file_kind in self.file_kinds.items()
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    @classmethod
    def of(cls, home: Home, company: Company) -> "Mappings":
        """Shipped mappings with the home's own laid over them, key by key.

        A home mapping with a shipped one's file name changes that one; any other adds a system.
        Raises UserError naming the mapping file and the fault.
        """
        file_kinds: dict[str, FileKind] = {}
        stages: dict[str, tuple[Mapping[str, Any], ...]] = {}
        origins: dict[str, str] = {}
        shipped = _shipped()
        own = {path.stem: path for path in _mapping_files(home.mappings)}
        for name in sorted({*shipped, *own}):
            content = shipped.get(name, {})
            if name in own:
                content = laid_over(content, read_yaml(own[name]))
            mapping = validated(f"mappings/{name}.yml", content, SystemMapping)
            if mapping.system in origins:
                raise UserError(
                    f"mappings/{name}.yml: system {mapping.system} is that of "
                    f"{origins[mapping.system]}.yml; use that file name or another system"
                )
            origins[mapping.system] = name
            stages[mapping.system] = mapping.stages
            for key, file in mapping.files.items():
                file_kind = FileKind(
                    mapping.system, key, file, company, mapping.ids, declared_stages(mapping)
                )
                file_kinds[file_kind.label] = file_kind
        return cls(file_kinds, stages)


@cache
def _shipped() -> dict[str, dict[str, Any]]:
    """What the shipped mappings say, by file name; read once, for it takes 0.04 s."""
    return {path.stem: read_yaml(path) for path in _mapping_files(SHIPPED)}


def declared_stages(mapping: SystemMapping) -> frozenset[tuple[str, str]]:
    """Pipelines and stages, as the mapping writes them."""
    return frozenset((str(s.get("pipeline_id")), str(s.get("stage_id"))) for s in mapping.stages)


def _mapping_files(folder: Path) -> list[Path]:
    paths = (p for p in folder.glob("*") if p.suffix in (".yml", ".yaml") and p.is_file())
    return sorted(paths)


ORIGINS = {
    "from", "first_filled", "join", "constant", "captured", "unpivoted", "choose", "row_number",
}  # fmt: skip


def laid_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """`above` over `below`: mappings merge key by key, anything else is replaced.

    A cell written as its header alone keeps it where `above` adds, say, its values.
    """
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        if isinstance(old, str) and isinstance(value, dict) and not ORIGINS & set(value):
            old = {"from": old}
        both = isinstance(old, dict) and isinstance(value, dict)
        merged[key] = laid_over(old, value) if both else value  # type: ignore[arg-type]
    return merged
