"""The worked questions of the documentation, asked of a published set as they stand there."""

import re
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

TEXT = (Path(__file__).parents[1] / "docs" / "questions.md").read_text(encoding="utf-8")
QUESTIONS = re.findall(r"^## (.*?)\n\n```sql\n(.*?)```\n\n(.+?)\n", TEXT, re.M | re.S)
LOCKED = re.search(r'con\.execute\("(.*?)"\)', TEXT)


@pytest.fixture(scope="module")
def marts(company_set: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(company_set / "marts.duckdb"), read_only=True) as connection:
        assert LOCKED
        connection.execute(LOCKED.group(1))
        yield connection


def test_there_are_ten() -> None:
    assert len(QUESTIONS) == 10


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question[0][:40])
def test_a_question_is_answered(
    question: tuple[str, str, str], marts: duckdb.DuckDBPyConnection
) -> None:
    _, query, meaning = question
    assert meaning.strip()
    rows = marts.execute(query).fetchall()
    assert rows
    # Something is known, not only who is asked about.
    assert any(isinstance(value, (int, float)) or hasattr(value, "as_tuple")
               for row in rows for value in row if not isinstance(value, bool))  # fmt: skip


def test_the_movement_of_the_seventh_adds_up(marts: duckdb.DuckDBPyConnection) -> None:
    (query,) = (query for title, query, _ in QUESTIONS if title.startswith("7."))
    amounts = {row[0]: row[2] or 0 for row in marts.execute(query).fetchall()}
    closing = amounts.pop("closing")
    assert sum(amounts.values()) == closing


def test_the_locked_connection_reads_no_other_file(marts: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(duckdb.Error):
        marts.execute("from read_text('/etc/hostname')").fetchall()
