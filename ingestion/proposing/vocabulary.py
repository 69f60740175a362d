"""The words that headers are known by: those of shipped mappings, of sheets, and the declared ones.

Belongs here: collecting them, headers by their words, units in headers.
Does not belong here: choosing (`columns`).
"""

import re
from collections.abc import Mapping
from pathlib import Path

from ingestion.mappings.forms import SystemMapping
from ingestion.settings import read_yaml
from ingestion.tables import TABLES

Vocabulary = dict[str, dict[str, dict[str, str]]]  # table, column, plain header: who calls it so

ASIDE = re.compile(r"\([^)]*\)|\[[^\]]*\]|\b[km]?[€$£]")
# Not all of ISO 4217: `all`, `top` and `try` are words of headers too.
CURRENCIES = ("sek", "nok", "dkk", "isk", "eur", "usd", "gbp", "chf", "pln", "cad", "aud")
SIGNS = {"€": "eur", "£": "gbp"}  # of dollars there are many
CODES = "|".join(CURRENCIES)
THOUSANDS = re.compile(rf"\b([kt]({CODES}|€|\$)|tkr|tusental|thousands?|000s?)(\b|$|\W)")
MILLIONS = re.compile(rf"\b(mn?({CODES}|€|\$)|mn?kr|miljoner|millions?)(\b|$|\W)")
UNIT = re.compile(
    rf"( (in|i))?( ([kmt]?({CODES})|[tm]?kr|mnkr|kronor|euro|dollars?|tusental|thousands|millions))"
    r"+$"
)
DEAL = re.compile(r"^(deal|opportunity|opp|affär|affärens|transition|affaire|negocio)\b *(?=.)")


def plain_words(header: str) -> str:
    """A header by its words: without case, marks, and the prefix some systems put before all."""
    words = re.sub(r"^(deal|affaire|negocio|activity|opportunity)(_| - )", "", header, flags=re.I)
    return " ".join(re.findall(r"[^\W_]+", words.casefold()))


def known_word(header: str, words: Mapping[str, str], table: str) -> str | None:
    """The word of `words` that a header is: as it stands, else without its unit and the deal.

    `Belopp (kr)` is `belopp`; of deals and their moves `Opportunity Amount USD` is `amount`.
    """
    plain = plain_words(header)
    bare = UNIT.sub("", plain_words(ASIDE.sub(" ", header)))
    of_deals = table in ("deals", "deal_changes")
    forms = (plain, bare, DEAL.sub("", bare) if of_deals else bare)
    return next((form for form in forms if form in words), None)


def unit_of(header: str) -> str | None:
    """`thousands` or `millions` where a header says that its numbers count those."""
    text = header.casefold().replace("_", " ")
    if THOUSANDS.search(text):
        return "thousands"
    return "millions" if MILLIONS.search(text) else None


def currency_of(header: str) -> str | None:
    """The one currency that a header of amounts names by its code."""
    found = {c for c in CURRENCIES if re.search(rf"\b[kmt]?{c}\b", plain_words(header))}
    found |= {code for sign, code in SIGNS.items() if sign in header}
    return found.pop().upper() if len(found) == 1 else None


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
