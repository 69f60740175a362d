"""The table of estimates: which tables are made, from which marts, by which function.

Belongs here: the table that a run iterates.
Does not belong here: estimators, reading marts or writing estimates (`publishing`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np
import pandas as pd

from analysis import conversion, entries, experiments, goals, sellers, stays, visits
from analysis.activities import activity_estimates
from analysis.attempts import MEETINGS, ORDER, SIGNUPS, Attempts, Kind
from analysis.balance import last_useful_days, pipe_coverage, stage_balance
from analysis.comparisons import activity_comparisons
from analysis.entries import Entries
from analysis.forecasts import OPEN_COLUMNS, Forecast, forecast_tables
from analysis.goals import Goals
from analysis.outlook import Outlook
from analysis.pace import Pace, pace_tables
from analysis.reminders import reminder_sequences
from analysis.scores import KEPT, forecast_scores
from analysis.stays import Stays


class Marts:
    """The marts that estimates are made from, each read once by `read` (a name, columns, and those
    that rows are in the order of: sums of doubles depend on it); the day they are of; the country
    (ISO 3166) whose holidays are kept; and, of days before, the `looks` at experiments that were
    published (LOOK_COLUMNS), and forecasts `kept` (KEPT).
    """

    def __init__(
        self,
        read: Callable[[str, tuple[str, ...], tuple[str, ...]], pd.DataFrame],
        as_of: date,
        country: str,
        looks: pd.DataFrame | None = None,
        kept: pd.DataFrame | None = None,
    ) -> None:
        self.read, self.as_of, self.country = read, as_of, country
        none = pd.DataFrame(columns=list(experiments.LOOK_COLUMNS))
        self.looks = none if looks is None else looks
        self.kept = pd.DataFrame(columns=list(KEPT)) if kept is None else kept

    @cached_property
    def entries(self) -> Entries:
        """Of fct_stage_entries."""
        return Entries(self.read("fct_stage_entries", entries.COLUMNS, entries.ORDER))

    @cached_property
    def attempts(self) -> Attempts:
        """Of fct_activities."""
        return self._attempts(MEETINGS)

    @cached_property
    def invitations(self) -> Attempts:
        """Of fct_invitations."""
        return self._attempts(SIGNUPS)

    def _attempts(self, kind: Kind) -> Attempts:
        return Attempts(self.read(kind.mart, kind.columns, ORDER), kind)

    @property
    def experiments(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Of dim_experiments and experiment_units."""
        return (
            self.read("dim_experiments", experiments.EXPERIMENT_COLUMNS, ("experiment_id",)),
            self.read("experiment_units", experiments.UNIT_COLUMNS, experiments.UNIT_ORDER),
        )

    def forecast(self, random: np.random.Generator) -> Forecast:
        """From fct_stage_stays, pipeline_status and dim_goals."""
        found = Stays.of(self.read("fct_stage_stays", stays.COLUMNS, stays.ORDER), self.as_of)
        outlook = Outlook(found, self.country, random)
        stated = Goals(self.read("dim_goals", goals.COLUMNS, goals.ORDER), outlook.days)
        open_deals = self.read("pipeline_status", OPEN_COLUMNS, ("deal_id",))
        of_stages = self.read("dim_stages", ("pipeline_id", "stage_id", "probability"), ("1", "2"))
        probability = {
            (pipeline, stage): float(share)
            for pipeline, stage, share in of_stages.astype(object).itertuples(index=False)
        }
        return Forecast(outlook, open_deals, stated, random, probability)

    @cached_property
    def open_deals(self) -> pd.DataFrame:
        """Of pipeline_status."""
        return self.read("pipeline_status", visits.OPEN_DEAL_COLUMNS, ("deal_id",))


def time_to_come(marts: Marts, random: np.random.Generator) -> tuple[pd.DataFrame, ...]:
    """Tables about goal, forecast and pace: all from the same rates."""
    forecast = marts.forecast(random)
    tables = (
        *forecast_tables(forecast),
        *pace_tables(Pace(forecast, random)),
        stage_balance(forecast.outlook),
        pipe_coverage(forecast),
        last_useful_days(marts.entries, forecast.outlook.periods[0]),
        forecast_scores(forecast.outlook.stays, marts.kept),
    )
    # Of a company without deals there is nothing to say, not even why.
    return tables if len(forecast.outlook.stays.state) else tuple(t.iloc[:0] for t in tables)


@dataclass(frozen=True)
class Estimate:
    """Tables made together. `inputs` are the marts read; `compute` gives one frame a table."""

    tables: tuple[str, ...]
    inputs: tuple[str, ...]
    compute: Callable[[Marts, np.random.Generator], tuple[pd.DataFrame, ...]]


ESTIMATES = (
    Estimate(
        tables=("conversion_estimates", "conversion_curves"),
        inputs=("fct_stage_entries",),
        compute=lambda marts, _: conversion.conversion_tables(marts.entries),
    ),
    Estimate(
        tables=("time_in_stage",),
        inputs=("fct_stage_entries", "pipeline_status"),
        compute=lambda marts, _: (visits.time_in_stage(marts.entries, marts.open_deals),),
    ),
    Estimate(
        tables=("seller_conversion",),
        inputs=("fct_stage_entries",),
        compute=lambda marts, random: (sellers.seller_conversion(marts.entries, random),),
    ),
    Estimate(
        tables=("seller_mix",),
        inputs=("fct_stage_entries",),
        compute=lambda marts, _: (sellers.seller_mix(marts.entries),),
    ),
    Estimate(
        tables=("activity_estimates",),
        inputs=("fct_activities", "fct_invitations"),
        compute=lambda marts, _: (activity_estimates(marts.attempts, marts.invitations),),
    ),
    Estimate(
        tables=("activity_comparisons",),
        inputs=("fct_activities", "fct_invitations"),
        compute=lambda marts, _: (activity_comparisons(marts.attempts, marts.invitations),),
    ),
    Estimate(
        tables=("reminder_sequences",),
        inputs=("fct_invitations",),
        compute=lambda marts, _: (reminder_sequences(marts.invitations),),
    ),
    Estimate(
        tables=(
            "forecasts",
            "forecast_quantiles",
            "conversion_drift",
            "stage_pace",
            "goal_pace",
            "stage_balance",
            "pipe_coverage",
            "last_useful_days",
            "forecast_scores",
        ),
        inputs=(
            "fct_stage_stays",
            "pipeline_status",
            "dim_goals",
            "fct_stage_entries",
            "dim_stages",
        ),
        compute=lambda marts, random: time_to_come(marts, random),
    ),
    Estimate(
        tables=("experiment_readouts", "experiment_looks"),
        inputs=("dim_experiments", "experiment_units"),
        compute=lambda marts, _: experiments.experiment_tables(*marts.experiments, marts.looks),
    ),
)
