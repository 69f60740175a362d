"""Holds what is said of attempts against calls whose true effects are known: `make calibrate`.

Belongs here: the trials, and docs/calibration-activities.md.
Does not belong here: how calls come about (`simulation.attempts`), estimators.
"""

import os
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.attempts import SIGNUPS, Attempts
from analysis.comparisons import activity_comparisons
from analysis.needed import needed
from analysis.reminders import reminder_sequences
from measure.tables import table_of
from simulation.attempts import OF_CEO, Effects, draw_calls, draw_invitations

DOCUMENT = Path(__file__).parents[1] / "docs" / "calibration-activities.md"
SEEDS, CONTINUATIONS, N_COMPANIES, TRUTHS = 1_000, 2_000, 800, 2_000_000
PLANTED = Effects(morning_in_a=0.06, ceo=0.04)
# Dimension, value, group and what was planted there.
ASKED = (
    ("daypart", "morning", "A", PLANTED.morning_in_a),
    ("daypart", "morning", "B", 0.0),
    ("sender", "ceo", None, PLANTED.ceo),
    ("message_variant", "b", None, 0.0),
)
# What is chosen for each call, and adds nothing unless planted.
CHOSEN = ("daypart", "local_hour", "weekday", "sender", "message_variant", "campaign")
HEAD = """\
# Calibration of what is said of attempts

Written by `make calibrate` on {day}: {seeds:,} invented firms that call {companies} companies each,
about {calls:,} calls ({cores} cores, {minutes:.0f} minutes). Owners, segments, sources and
companies differ in how ready they are, and in when and with what they are called; the generator
(`simulation/attempts.py`) knows nothing of the estimator.

## Planted effects

Calling in the morning adds {morning:.0f} points in business area A and nothing in B, the CEO as
sender adds {ceo:.0f}, message b nothing. Share of firms whose 95 % interval of the adjusted
difference holds the truth, mean estimate less truth, and mean raw difference, in points:

{planted}
## What only looks better

Message b adds nothing but goes to better segments. In {n_looks:,} firms its raw difference is apart
from zero; {warned:.1f} % of them carry a warning. {false:.1f} % of all say that it goes with more
meetings.

## Nothing planted

{n_chosen:.0f} comparisons of what is chosen for a call: hour, part of the day, weekday, sender,
message, campaign. In {any_better:.1f} % of firms any of them says, without a warning, that
something goes with more meetings; by each one's own bounds it would be {any_alone:.1f} %.

## Seminars

Mails to four seminars, with three reminders to those who have not signed up, the third of which
adds nothing to those who sign up in a week anyway; the CEO as the first mail's sender adds
{ceo:.0f} points, and signs for the ready segments. True shares are those of {truths:,} people.

{seminars}
## Needed with 80 %

True rates of 2 to 20 %, 60 to 600 attempts seen with one effect or more, {continuations:,}
continuations: how often the number given is enough.

{needed}"""


def main() -> None:
    began = time.monotonic()
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        planted = list(pool.map(partial(_compared, PLANTED), range(SEEDS), chunksize=10))
        mixed = list(
            pool.map(partial(_compared, Effects(is_mixed=True)), range(SEEDS), chunksize=10)
        )
        seminars = list(pool.map(_seminar, range(SEEDS), chunksize=10))
        nothing = list(pool.map(partial(_compared, Effects()), range(SEEDS), chunksize=10))
    looks = [_row(table, "message_variant", "b", None) for table in mixed]
    apart = [row for row in looks if row["low_raw_difference"] > 0]
    whole = [
        table[(table["group_dimension"] == "all") & table["dimension"].isin(CHOSEN)]
        for table in nothing
    ]
    text = HEAD.format(
        day=date.today(),
        seeds=SEEDS,
        companies=N_COMPANIES,
        calls=int(np.mean([_n_calls(table) for table in planted])),
        cores=os.cpu_count(),
        minutes=(time.monotonic() - began) / 60,
        morning=100 * PLANTED.morning_in_a,
        ceo=100 * PLANTED.ceo,
        planted=_planted(planted),
        n_looks=len(apart),
        warned=100 * np.mean([row["warning"] is not None for row in apart]),
        false=100 * np.mean(["more" in row["said"] for row in looks]),
        n_chosen=np.mean([len(table) for table in whole]),
        any_better=100 * np.mean([_is_any_better(table) for table in whole]),
        any_alone=100 * np.mean([(table["low_adjusted_difference"] > 0).any() for table in whole]),
        truths=TRUTHS,
        seminars=_seminars(seminars),
        continuations=CONTINUATIONS,
        needed=_needed(np.random.default_rng(1)),
    )
    DOCUMENT.write_text(text, encoding="utf-8")


def _compared(effects: Effects, seed: int) -> pd.DataFrame:
    calls = draw_calls(np.random.default_rng(seed), N_COMPANIES, effects)
    table = activity_comparisons(Attempts(calls))
    return table[table["definition_id"] == "meeting_held_14"]


def _row(table: pd.DataFrame, dimension: str, value: str, group: str | None) -> dict[str, Any]:
    of_group = table["group_value"].isna() if group is None else table["group_value"] == group
    of_kind = table["group_dimension"] == ("all" if group is None else "business_area")
    is_asked = (table["dimension"] == dimension) & (table["dimension_value"] == value)
    (row,) = table[is_asked & of_group & of_kind].to_dict("records")
    return row


def _n_calls(table: pd.DataFrame) -> float:
    row = _row(table, "daypart", "morning", None)
    return float(row["n_mature"] + row["n_others"])


def _planted(tables: list[pd.DataFrame]) -> str:
    rows = []
    for dimension, value, group, truth in ASKED:
        found = pd.DataFrame([_row(table, dimension, value, group) for table in tables])
        low, high = found["low_adjusted_difference"], found["high_adjusted_difference"]
        rows.append(
            (
                f"{value}{f' in {group}' if group else ''}",
                f"{100 * truth:+.1f}",
                f"{100 * ((low <= truth) & (truth <= high)).mean():.1f}",
                f"{100 * (found['adjusted_difference'].mean() - truth):+.2f}",
                f"{100 * found['raw_difference'].mean():+.2f}",
            )
        )
    return table_of(("value", "true, points", "covered, %", "bias", "raw"), rows)


def _seminar(seed: int) -> tuple[dict[str, Any], pd.DataFrame]:
    """What is told of the CEO as sender, and of all reminders."""
    invitations = Attempts(draw_invitations(np.random.default_rng(seed), N_COMPANIES), SIGNUPS)
    sequences = reminder_sequences(invitations)
    of_all = sequences[sequences["dimension"] == "all"].set_index("reminder_no")
    return _row(activity_comparisons(invitations), "sender", "ceo", None), of_all


def _seminars(found: list[tuple[dict[str, Any], pd.DataFrame]]) -> str:
    """The CEO's first mail, the third reminder, and all that signed up, against the truth."""
    drawn = draw_invitations(np.random.default_rng(SEEDS), TRUTHS // 2)
    third = drawn[drawn["reminder_no"] == 3]["signup_id"].notna().mean()
    whole = drawn["signup_id"].notna().sum() / drawn["person_id"].nunique()
    asked = {
        "CEO as the first sender": (OF_CEO, [
            (row["adjusted_difference"], row["low_adjusted_difference"],
             row["high_adjusted_difference"]) for row, _ in found]),
        "sign up after the third reminder": (third, [
            tuple(table.loc[3, ["estimated_rate", "low_rate", "high_rate"]])
            for _, table in found]),
        "have signed up in the end": (whole, [
            tuple(table.loc[3, ["signed_up_rate", "low_signed_up_rate", "high_signed_up_rate"]])
            for _, table in found]),
    }  # fmt: skip
    rows = []
    for label, (truth, told) in asked.items():
        value, low, high = np.array(told, dtype=float).T
        covered = 100 * ((low <= truth) & (truth <= high)).mean()
        bias = 100 * (value.mean() - truth)
        rows.append((label, f"{100 * truth:.2f}", f"{covered:.1f}", f"{bias:+.2f}"))
    return table_of(("", "true, points", "covered, %", "bias"), rows)


def _is_any_better(table: pd.DataFrame) -> bool:
    return bool((table["said"].str.contains("more") & table["warning"].isna()).any())


def _needed(random: np.random.Generator) -> str:
    """Of continuations, each with a rate, what was seen of it and what follows of its own."""
    rows = []
    for effects in (1, 5, 20):
        rate, n = random.uniform(0.02, 0.2, CONTINUATIONS), random.integers(60, 601, CONTINUATIONS)
        k = random.binomial(n, rate)
        while (k == 0).any():
            k = np.where(k == 0, random.binomial(n, rate), k)
        asked = needed(effects, 0.8, k + 0.5, n - k + 0.5).astype(int)
        is_enough = random.binomial(asked, rate) >= effects
        rows.append((f"{effects}", f"{100 * is_enough.mean():.1f}"))
    return table_of(("meetings", "of continuations, %"), rows)


if __name__ == "__main__":
    main()
