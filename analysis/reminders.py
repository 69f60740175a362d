"""Invitations to seminars with their reminders: how many of those asked sign up by which reminder.

Belongs here: the table reminder_sequences. Does not belong here: what is read (attempts), rates of
single invitations (activities), the number needed (needed).

By the planned number of a reminder, among those who had not signed up when it went out: its hazard.
By how many were sent in the end those who answer early would seem to need few.
"""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.activities import effective_number
from analysis.attempts import Attempts
from analysis.entries import Codes, Groups
from analysis.intervals import Floats, quotient, rounded, wilson
from analysis.needed import needed

# One column each, by dimension. Of reminders the sequence's own: how it began.
SEQUENCES = {
    "all": None, "campaign": "campaign_id", "first_message": "first_message_variant",
    "first_sender": "first_sender_id", "segment": "segment",
}  # fmt: skip
ASKED = [(effects, certainty) for effects in (1, 5, 20) for certainty in (0.5, 0.8)]
COLUMNS = (
    "dimension", "dimension_value", "reminder_no", "n_at_risk", "n_mature", "n_events",
    "effective_n", "maturity_rate", "estimated_rate", "low_rate", "high_rate", "signed_up_rate",
    "low_signed_up_rate", "high_signed_up_rate", "invitations_per_person",
    "invitations_per_signup", "reason",
    *(f"n_{what}_needed_for_{effects}_at_{certainty * 100:.0f}"
      for what in ("people", "invitations") for effects, certainty in ASKED),
)  # fmt: skip


def reminder_sequences(invitations: Attempts) -> pd.DataFrame:
    """Table reminder_sequences: per dimension, value and planned number of a reminder (0 is the
    first invitation), who signs up after it, and by then.
    """
    tables = [pd.DataFrame(columns=list(COLUMNS)).astype({"reminder_no": "int64"})]
    numbers = invitations.codes["reminder_no"]
    is_planned = numbers.codes > 0
    reached = invitations.frame["signup_id"].notna().to_numpy(bool)
    for dimension, column in SEQUENCES.items():
        values = invitations.codes[column] if column else _alike(len(is_planned))
        groups = Groups(dimension_value=values[is_planned], reminder_no=numbers[is_planned])
        followed = invitations.is_followed[is_planned]
        key, k_of = groups.of_row[followed], reached[is_planned][followed]
        n = np.bincount(key, minlength=groups.n)
        k = np.bincount(key[k_of], minlength=groups.n)
        accounts = invitations.accounts[is_planned][followed]
        steps = pd.DataFrame(
            {
                "dimension": dimension,
                **groups.values,
                "n_at_risk": groups.count(),
                "n_mature": n,
                "n_events": k,
                "effective_n": effective_number(key, k_of, accounts, n, k),
            }
        )
        steps["reminder_no"] = steps["reminder_no"].astype("int64")
        sequences = steps.groupby("dimension_value", dropna=False, sort=False)
        tables += [_sequence(of_value.sort_values("reminder_no")) for _, of_value in sequences]
    return rounded(pd.concat(tables, ignore_index=True)).assign(
        definition_id="signup_14", evidence="observed", interval_id="wilson_95_clustered",
        method_id="product_of_hazards", as_of=invitations.as_of,
    )  # fmt: skip


def _alike(n: int) -> Codes:
    return Codes(np.zeros(n, dtype=np.int64), np.array([None], dtype=object))


def _sequence(steps: pd.DataFrame) -> pd.DataFrame:
    """Of the reminders of one value, in order, what each adds and what all up to it come to.

    The share that has signed up is 1 less the product of those who have not; its variance is
    Greenwood's (1926), by effective numbers, and its bounds are Wilson's on the number that gives.
    Where a number before is missing nothing is known of the whole.
    """
    n, k = steps["n_mature"].to_numpy(float), steps["n_events"].to_numpy(float)
    effective = steps["effective_n"].to_numpy(float)
    rate = np.where(n > 0, quotient(k, n), np.nan)
    is_whole = np.logical_and.accumulate(
        (steps["reminder_no"].to_numpy() == np.arange(len(steps))) & (n > 0)
    )
    left = np.where(is_whole, np.cumprod(1 - np.nan_to_num(rate)), np.nan)
    signed_up = 1 - left
    squared = np.cumsum(quotient(rate, (1 - rate) * effective))
    of_whole = quotient(signed_up * left, left**2 * squared)
    of_whole = np.where(of_whole > 0, of_whole, effective[0])
    of_whole = np.where(is_whole, of_whole, np.nan)
    low, high = wilson(rate, effective)
    low_whole, high_whole = wilson(signed_up, of_whole)
    per_person = np.cumsum(np.concatenate([[1.0], left[:-1]]))
    found = steps.assign(
        maturity_rate=n / steps["n_at_risk"],
        estimated_rate=rate,
        low_rate=low,
        high_rate=high,
        signed_up_rate=signed_up,
        low_signed_up_rate=low_whole,
        high_signed_up_rate=high_whole,
        invitations_per_person=per_person,
        invitations_per_signup=np.where(signed_up > 0, quotient(per_person, signed_up), np.nan),
        reason=_reasons(n == 0, ~is_whole, signed_up == 0),
    )
    return found.assign(**_needed(signed_up, of_whole, per_person))


def _reasons(
    is_unfollowed: NDArray[np.bool_], is_part: NDArray[np.bool_], is_none: NDArray[np.bool_]
) -> NDArray[Any]:
    """Why nothing is told of the whole; the first that holds."""
    reasons = np.full(len(is_none), None, dtype=object)
    reasons[is_none] = "no_effect_yet"
    reasons[is_part] = "earlier_ones_unknown"
    reasons[is_unfollowed] = "not_followed_yet"
    return reasons


def _needed(signed_up: Floats, effective: Floats, per_person: Floats) -> dict[str, Floats]:
    """People to ask, and invitations to them on average, reminders included."""
    is_told = signed_up > 0
    a = np.where(is_told, signed_up * effective + 0.5, np.nan)
    b = np.where(is_told, (1 - signed_up) * effective + 0.5, np.nan)
    found = {}
    for effects, certainty in ASKED:
        people = needed(effects, certainty, a, b)
        name = f"needed_for_{effects}_at_{certainty * 100:.0f}"
        found[f"n_people_{name}"] = people
        found[f"n_invitations_{name}"] = np.ceil(people * per_person - 1e-9)
    return found
