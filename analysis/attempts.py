"""Attempts at people without a meeting, and invitations to seminars, by type, definition and group.

Belongs here: what is read of which mart, columns as codes, whose account an attempt is.
Does not belong here: what an attempt or an effect is (dbt), estimates (activities, comparisons).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.entries import Codes
from analysis.intervals import Integers

# Of any kind of attempt: what is told apart by it.
_DIMENSIONS = {
    "message_variant": "message_variant", "sender": "sender_id", "reminder_no": "reminder_no",
    "campaign": "campaign_id", "local_hour": "local_hour", "daypart": "daypart",
    "weekday": "weekday", "attempt": "attempt", "seller": "seller_id", "segment": "segment",
    "business_area": "business_area", "source": "source",
}  # fmt: skip
GROUPS = ("all", "segment", "business_area")
ORDER = ("activity_id",)


@dataclass(frozen=True)
class Kind:
    """A kind of attempt: the mart, by definition the column of its effect, and dimensions.

    `compared` are set side by side with `strata`, what came before the attempt, held fixed. Sellers
    are not: each has owners of its own. Attempts and reminders are not: the second is made only
    where the first failed, and the last one has all of the 14 days for itself.
    """

    mart: str
    definitions: dict[str, str]
    dimensions: dict[str, str]
    compared: tuple[str, ...]
    strata: tuple[str, ...]
    effects: str

    @property
    def columns(self) -> tuple[str, ...]:
        """What is read of the mart."""
        own = {*self.dimensions.values(), *self.strata} - {"attempt"}
        always = ("activity_id", "type", "person_id", "account_id", "attempt_number", "is_at_risk",
                  "is_followed", "as_of")  # fmt: skip
        return (*always, *self.definitions.values(), *sorted(own))


_STRATA = ("segment", "source", "owner_id", "attempt", "reminder_no")
_ALONE = ("seller", "attempt", "reminder_no")
MEETINGS = Kind(
    "fct_activities",
    {"meeting_held_14": "held_meeting_id", "meeting_booked_14": "booked_meeting_id"},
    _DIMENSIONS,
    tuple(name for name in _DIMENSIONS if name not in _ALONE),
    _STRATA,
    "meetings",
)
_OF_INVITATIONS = {
    **_DIMENSIONS, "first_message": "first_message_variant", "first_sender": "first_sender_id",
}  # fmt: skip
SIGNUPS = Kind(
    "fct_invitations",
    {"signup_14": "signup_id"},
    _OF_INVITATIONS,
    tuple(name for name in _OF_INVITATIONS if name not in _ALONE),
    (*_STRATA, "campaign_id"),
    "sign-ups",
)


class Attempts:
    """Attempts at people at risk. `frame` has the columns that `kind` reads of its mart."""

    def __init__(self, frame: pd.DataFrame, kind: Kind = MEETINGS) -> None:
        self.kind = kind
        at_risk = frame["is_at_risk"].fillna(False).to_numpy(bool)
        self.frame = frame[at_risk].reset_index(drop=True)
        self.as_of = frame["as_of"].max()
        self.is_followed = self.frame["is_followed"].to_numpy(bool)
        number = self.frame["attempt_number"].to_numpy(float)
        attempt = pd.Series(np.where(number > 2, "3+", np.where(number > 1, "2", "1")))
        columns = {"type", *kind.strata, *kind.dimensions.values()} - {"attempt"}
        self.codes = {name: Codes.of(texts(self.frame[name])) for name in columns}
        self.codes["attempt"] = Codes.of(attempt)
        account, person = (
            pd.factorize(self.frame[name])[0] for name in ("account_id", "person_id")
        )
        # A person of no known company is one of their own.
        self.accounts: Integers = np.where(
            account >= 0, account, account.max(initial=0) + 1 + person
        )

    def tables(self) -> Iterator["AttemptTable"]:
        """The attempts of each type, within each kind of customer group."""
        types = self.codes["type"]
        is_reached = {
            definition: self.frame[meeting].notna().to_numpy(bool)
            for definition, meeting in self.kind.definitions.items()
        }
        for code in range(1, len(types.values)):
            rows = np.flatnonzero(types.codes == code)
            for group in GROUPS:
                reached = {name: values[rows] for name, values in is_reached.items()}
                yield AttemptTable(self, types.values[code], group, rows, reached)


@dataclass
class AttemptTable:
    """Attempts `rows` of one type within one kind of group, and whether they had their effect, by
    each definition.
    """

    attempts: Attempts
    type: str
    group: str
    rows: Integers
    reached: dict[str, NDArray[np.bool_]]

    def codes(self, name: str) -> Codes:
        if name == "all":
            return Codes(np.zeros(len(self.rows), dtype=np.int64), np.array([None], dtype=object))
        return self.attempts.codes[name][self.rows]

    def head(self, definition: str, dimension: str) -> dict[str, Any]:
        return {
            "type": self.type,
            "definition_id": definition,
            "group_dimension": self.group,
            "dimension": dimension,
        }


def texts(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """Numbers as texts: a value of a dimension is one; null stays null."""
    if column.dtype.kind not in "iuf":
        return column
    return column.map(lambda value: f"{value:.0f}", na_action="ignore").astype(object)
