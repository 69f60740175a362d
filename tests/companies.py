"""Invented companies for tests of what is to come: their stays, goals and forecasts.

Belongs here: making them. Does not belong here: tests.
"""

from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from analysis.forecasts import Forecast
from analysis.goals import Goals
from analysis.outlook import Outlook
from analysis.stays import Stays
from measure import pipelines


def goals_of(*rows: tuple[str, Any, str, str, float, str]) -> pd.DataFrame:
    names = ["scope", "scope_id", "period_start_on", "period_end_on", "amount", "stated_on"]
    frame = pd.DataFrame(rows, columns=names)
    for name in names[2:4] + names[5:]:
        frame[name] = pd.to_datetime(frame[name])
    return frame


def company(seed: int, **facts: Any) -> Stays:
    frame = pipelines.stays(np.random.default_rng(seed), pipelines.Company(**facts))
    return Stays.of(frame, date(2100, 1, 1))


def forecast_of(stays: Stays, goals: pd.DataFrame | None = None, seed: int = 1) -> Forecast:
    random = np.random.default_rng(seed)
    outlook = Outlook(stays, "SE", random)
    rows = outlook.open_rows
    open_deals = pd.DataFrame({
        "deal_id": stays.journeys[stays.journey[rows]],
        "amount": stays.amount[rows],
        "is_gone": np.zeros(len(rows), dtype=bool),
        "is_overdue": False,
        "is_without_next_step": np.arange(len(rows)) % 2 == 0,
        "n_pushed": 0,
        "last_pulled_on": pd.NaT,
        "expected_close_on": pd.Timestamp(stays.as_of) + pd.Timedelta(days=30),
    })  # fmt: skip
    stated = Goals(goals_of() if goals is None else goals, outlook.days)
    return Forecast(outlook, open_deals, stated, random)
