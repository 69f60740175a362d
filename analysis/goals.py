"""Goals: what is to be won in a quarter, as it was stated.

Belongs here: finding a period's goal among those of months, quarters and years.
Does not belong here: reaching it.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from analysis.outlook import Period
from analysis.selling_days import SellingDays

# What is read of dim_goals.
COLUMNS = ("scope", "scope_id", "period_start_on", "period_end_on",
           "cast(amount_base as double) as amount", "stated_on")  # fmt: skip
ORDER = ("scope", "scope_id", "period_start_on", "period_end_on")


@dataclass(frozen=True)
class Goal:
    """`amount` in company currency; `basis`: stated, months (their sum), share_of_year (by selling
    days), extrapolated (that of the last quarter that has one), or None where there is none.
    """

    amount: float
    basis: str | None
    stated_on: np.datetime64

    @property
    def is_known(self) -> bool:
        return self.basis is not None


NONE = Goal(np.nan, None, np.datetime64("NaT"))


class Goals:
    """The goals of a company; `frame` has the COLUMNS of dim_goals."""

    def __init__(self, frame: pd.DataFrame, days: SellingDays) -> None:
        self.days = days
        self._stated: dict[tuple[str, str | None, np.datetime64, np.datetime64], Goal] = {}
        known = frame[frame["amount"].notna()]
        scope_ids = known["scope_id"].astype(object)
        columns = (
            known["scope"].astype(str), scope_ids.where(scope_ids.notna(), None),
            *(known[name].to_numpy("datetime64[D]")
              for name in ("period_start_on", "period_end_on", "stated_on")),
            known["amount"].to_numpy(float),
        )  # fmt: skip
        for scope, scope_id, start, end, stated_on, amount in zip(*columns, strict=True):
            self._stated[scope, scope_id, start, end] = Goal(float(amount), "stated", stated_on)

    def of(self, scope: str, scope_id: str | None, period: Period) -> Goal:
        """The goal of a quarter."""
        stated = self._stated.get((scope, scope_id, period.start, period.end))
        if stated:
            return stated
        month = period.start.astype("datetime64[M]")
        starts = [(month + i).astype("datetime64[D]") for i in range(4)]
        months = [
            self._stated.get((scope, scope_id, start, end - 1)) for start, end in pairwise(starts)
        ]
        if all(months):
            known = [goal for goal in months if goal]
            total = sum(goal.amount for goal in known)
            return Goal(total, "months", max(goal.stated_on for goal in known))
        return self._of_year(scope, scope_id, period)

    def _of_year(self, scope: str, scope_id: str | None, period: Period) -> Goal:
        for (of, of_id, start, end), goal in self._stated.items():
            is_year = 360 <= (end - start).astype(int) <= 370
            if (of, of_id) == (scope, scope_id) and is_year and start <= period.start <= end:
                bounds = self.days.by(np.array([start - 1, end, period.start - 1, period.end]))
                share = (bounds[3] - bounds[2]) / max(bounds[1] - bounds[0], 1)
                return Goal(goal.amount * float(share), "share_of_year", goal.stated_on)
        return NONE

    def following(self, scope: str, scope_id: str | None, periods: list[Period]) -> list[Goal]:
        """The goals of the periods; where one has none, that of the one before, called so."""
        found: list[Goal] = []
        for period in periods:
            goal = self.of(scope, scope_id, period)
            if not goal.is_known and found and found[-1].is_known:
                goal = Goal(found[-1].amount, "extrapolated", found[-1].stated_on)
            found.append(goal)
        return found
