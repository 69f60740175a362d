"""The schema of published sets: its version, what it renamed, what the CHANGELOG announces.

Belongs here: what readers are promised about names.
Does not belong here: refusing a set (`sets`).
"""

from pathlib import Path

CHANGELOG = Path(__file__).parents[1] / "CHANGELOG.md"

# Raised with any removed, renamed or retyped published column; the CHANGELOG names them under
# "## Schema <version>".
SCHEMA_VERSION = 5

# What this version renamed, new name to old one: sets of the version before are compared by it.
RENAMED_TABLES: dict[str, str] = {}
RENAMED_COLUMNS: dict[str, dict[str, str]] = {}


def announced_changes(schema_version: int) -> str:
    """The CHANGELOG's text under the heading of this schema version."""
    text = CHANGELOG.read_text(encoding="utf-8")
    _, _, after = text.partition(f"## Schema {schema_version}\n")
    return after.partition("\n## ")[0]
