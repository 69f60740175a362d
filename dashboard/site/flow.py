"""Where the bands of the flow picture lie: deals that went the same way, from step to step.

Belongs here: places. Does not belong here: counts (journey_paths), how bands are drawn (charts).
"""

from collections import defaultdict
from typing import Any

# Free height between the names of a step, in parts of all deals.
GAP = 0.015
# Thinner than this, names would lie on each other; the table has all.
NAMED = 0.03
MEASURES = (("deals_measure", "n"), ("money_measure", "amount"))


def bands_of(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The points of the bands, and the names beside them.

    Each row of `rows` has touch, steps (names), kind (what became of it), n and amount.
    """
    found = []
    for touch in sorted({row["touch"] for row in rows}):
        for measure, name in MEASURES:
            mine = [{**row, "size": float(row[name] or 0)} for row in rows if row["touch"] == touch]
            mine = [row for row in mine if row["size"] > 0]
            found += [{"touch": touch, "measure": measure, **each} for each in _placed(mine)]
    return found


def _placed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of one touch and measure; sizes are parts of all."""
    total = sum(row["size"] for row in rows)
    last = max((len(row["steps"]) for row in rows), default=0)
    at_step: dict[int, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for number, row in enumerate(rows):
        for step, name in enumerate(row["steps"]):
            at_step[step][name].append(number)
    points: dict[int, list[tuple[int, float, float]]] = defaultdict(list)
    labels = []
    for step in range(last):
        height = 0.0
        for name, members in sorted(
            at_step[step].items(), key=lambda item: -sum(rows[i]["size"] for i in item[1])
        ):
            begin = height
            for number in sorted(members, key=lambda i: (rows[i]["kind"], rows[i]["steps"], i)):
                size = rows[number]["size"] / total
                points[number].append((step, -height, -height - size))
                height += size
            if height - begin >= NAMED:
                labels.append({"step": step, "at": -(begin + height) / 2, "label": name})
            height += GAP
    bands = []
    for number, row in enumerate(rows):
        mine = points[number]
        if len(mine) == 1:  # it went no further: a short band
            mine = [mine[0], (mine[0][0] + 0.4, *mine[0][1:])]  # type: ignore[list-item]
        for step, top, bottom in mine:
            bands.append({"band": number, "step": step, "top": top, "bottom": bottom, "n": row["n"],
                          "kind": row["kind"], "what": " → ".join(row["steps"])})  # fmt: skip
    return bands + labels
