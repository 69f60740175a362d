"""Tables of the documents that measuring programs write.

Belongs here: Markdown. Does not belong here: what is in it.
"""

from collections.abc import Iterable
from typing import Any


def table_of(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """A Markdown table, the first column to the left and the others to the right."""
    lines = [list(map(str, head))]
    lines.append(["---"] + ["---:"] * (len(lines[0]) - 1))
    lines += [list(map(str, row)) for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
