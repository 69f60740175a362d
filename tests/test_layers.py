"""The shape of the code: which room may import which, no circles, no file too large, headers."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Room: the rooms it may import. Libraries are banned in each room's ruff.toml.
MAY_IMPORT: dict[str, set[str]] = {
    "ingestion": set(),
    "analysis": set(),
    "simulation": set(),
    "publishing": {"ingestion", "analysis", "dashboard"},
    "dashboard": {"ingestion"},
    "dagster_project": {"ingestion", "publishing"},
    "cli": {"ingestion", "publishing", "dagster_project", "dashboard", "simulation"},
    "measure": {"ingestion", "analysis", "publishing", "simulation"},
}
MODULES = sorted(path for room in MAY_IMPORT for path in (ROOT / room).rglob("*.py"))
MAX_LINES = 350
# Declarations, one entry after the other.
MAY_BE_LONGER = {"ingestion/tables.py"}


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {name_of(path) for path in MODULES}


def imports(path: Path, at_import_only: bool = False) -> Iterator[str]:
    """Our own modules that this one imports."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body if at_import_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            found = [name if name in NAMES else node.module for name in inner]
        else:
            continue
        yield from (name for name in found if name.partition(".")[0] in MAY_IMPORT)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_room_imports_only_what_it_may(path: Path) -> None:
    room = path.relative_to(ROOT).parts[0]
    for name in imports(path):
        assert name.partition(".")[0] in {room, *MAY_IMPORT[room]}, f"{path.name} imports {name}"


def test_no_module_imports_itself_in_a_circle() -> None:
    graph = {name_of(path): set(imports(path, at_import_only=True)) for path in MODULES}
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, " → ".join((*above, name))
        if name not in done:
            for below in graph.get(name, ()):
                visit(below, (*above, name))
            done.add(name)

    for name in graph:
        visit(name, ())


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_says_what_belongs_in_it_and_is_no_larger_than_a_room(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    header = ast.get_docstring(ast.parse(text)) or ""
    assert "Belongs here:" in header or (path.name == "__init__.py" and header), "no header"
    if path.relative_to(ROOT).as_posix() not in MAY_BE_LONGER:
        assert text.count("\n") <= MAX_LINES, f"{text.count(chr(10))} lines"


@pytest.mark.parametrize("path", sorted(ROOT.glob("dbt/**/*.sql")), ids=lambda p: p.stem)
def test_a_model_is_no_larger_than_a_room(path: Path) -> None:
    assert path.read_text(encoding="utf-8").count("\n") <= MAX_LINES
