"""The words that headers are known by: those of shipped mappings, of sheets, and the declared ones.

Belongs here: collecting them, headers by their words.
Does not belong here: choosing (`columns`).
"""

import re
from pathlib import Path

from ingestion.mappings.forms import SystemMapping
from ingestion.settings import read_yaml
from ingestion.tables import TABLES

Vocabulary = dict[str, dict[str, dict[str, str]]]  # table, column, plain header: who calls it so


def plain_words(header: str) -> str:
    """A header by its words: without case, marks, and the prefix some systems put before all."""
    words = re.sub(r"^(deal|affaire|negocio|activity|opportunity)(_| - )", "", header, flags=re.I)
    return " ".join(re.findall(r"[^\W_]+", words.casefold()))


def vocabulary(shipped: list[SystemMapping]) -> Vocabulary:
    """Every word, by table and column, with who calls it so."""
    known: Vocabulary = {
        name: {c.name: {} for c in table.columns} for name, table in TABLES.items()
    }
    for system in shipped:
        tables = (item for file in system.files.values() for item in file.tables.items())
        for name, mapping in tables:
            for column, cell in mapping.columns.items():
                for header in (*cell.headers, *cell.first_filled):
                    known[name][column].setdefault(
                        plain_words(header), f"what {system.doc} calls it"
                    )
    words = read_yaml(Path(__file__).with_name("words.yml"))
    for name, columns in words.items():
        for column, listed in columns.items():
            for word in listed:
                found = known.setdefault(name, {}).setdefault(column, {})
                found.setdefault(str(word), "what sheets call it")
    for name, table in TABLES.items():
        for c in table.columns:
            known[name][c.name].setdefault(plain_words(c.name), "the declared name")
    return known
