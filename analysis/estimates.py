"""The table of estimates: which tables are made, from which marts, by which function.

Belongs here: the table that a run iterates.
Does not belong here: estimators, reading marts or writing estimates (`publishing`).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property

import numpy as np
import pandas as pd

from analysis import conversion, entries, experiments, goals, sellers, stays, visits
from analysis.actions import ACTION_COLUMNS, action_effects
from analysis.activities import activity_estimates
from analysis.attempts import MEETINGS, ORDER, SIGNUPS, Attempts, Kind
from analysis.balance import last_useful_days, pipe_coverage, stage_balance
from analysis.check_in import Rules, check_in
from analysis.comparisons import activity_comparisons
from analysis.entries import Entries
from analysis.focus import focus
from analysis.forecasts import OPEN_COLUMNS, Forecast, forecast_tables
from analysis.goals import Goals
from analysis.outlook import Outlook
from analysis.pace import Pace, pace_tables
from analysis.reminders import reminder_sequences
from analysis.scores import KEPT, forecast_scores
from analysis.stays import Stays


@dataclass(frozen=True)
class Memory:
    """What was published on days before: looks at experiments (LOOK_COLUMNS), forecasts (KEPT), and
    check-ins held (what check_ins has of them).
    """

    looks: pd.DataFrame = field(
        default_factory=lambda: pd.DataFrame(columns=list(experiments.LOOK_COLUMNS))
    )
    forecasts: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(KEPT)))
    check_ins: pd.DataFrame = field(
        default_factory=lambda: pd.DataFrame(columns=["check_in_on", "decision", "reason"])
    )


class Marts:
    """The marts that estimates are made from, each read once by `read` (a name, columns, and those
    that rows are in the order of: sums of doubles depend on it); the day they are of; the country
    (ISO 3166) whose holidays are kept; the seed of what rates may be; the rules of check-ins; and
    what is remembered.
    """

    def __init__(
        self,
        read: Callable[[str, tuple[str, ...], tuple[str, ...]], pd.DataFrame],
        as_of: date,
        country: str,
        seed: int = 1,
        rules: Rules | None = None,
        memory: Memory | None = None,
    ) -> None:
        self.rules, self.memory = rules or Rules(), memory or Memory()
        self.read, self.as_of, self.country, self.seed = read, as_of, country, seed

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

    @cached_property
    def outlook(self) -> Outlook:
        """Of fct_stage_stays."""
        found = Stays.of(self.read("fct_stage_stays", stays.COLUMNS, stays.ORDER), self.as_of)
        return Outlook(found, self.country, np.random.default_rng(self.seed))

    def forecast(self, random: np.random.Generator) -> Forecast:
        """From fct_stage_stays, pipeline_status, dim_goals and dim_stages."""
        outlook = self.outlook
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
    outlook, pace = forecast.outlook, Pace(forecast, random)
    forecasts, quantiles, drift = forecast_tables(forecast)
    stages, by_quarter = pace_tables(pace)
    coverage = pipe_coverage(forecast)
    read = {"forecasts": forecasts, "stage_pace": stages, "pipe_coverage": coverage}
    tables = (
        forecasts, quantiles, drift, stages, by_quarter, stage_balance(outlook), coverage,
        forecast_scores(outlook.stays, marts.memory.forecasts),
        check_in(pace, read, marts.memory.check_ins, marts.rules),
        focus(outlook),
        action_effects(outlook, marts.read("dim_actions", ACTION_COLUMNS, ACTION_COLUMNS)),
    )  # fmt: skip
    # Of a company without deals there is nothing to say, not even why.
    return tables if len(outlook.stays.state) else tuple(t.iloc[:0] for t in tables)


@dataclass(frozen=True)
class Estimate:
    """Tables made together. `inputs` are the marts read, the largest first: of estimates one after
    the other with the same first one, that is read once. `compute` gives one frame a table.
    """

    tables: tuple[str, ...]
    inputs: tuple[str, ...]
    compute: Callable[[Marts, np.random.Generator], tuple[pd.DataFrame, ...]]


ESTIMATES = (
    Estimate(
        tables=(
            "forecasts",
            "forecast_quantiles",
            "conversion_drift",
            "stage_pace",
            "goal_pace",
            "stage_balance",
            "pipe_coverage",
            "forecast_scores",
            "check_ins",
            "focus",
            "action_effects",
        ),
        inputs=(
            "fct_stage_stays",
            "pipeline_status",
            "dim_goals",
            "dim_stages",
            "dim_actions",
        ),
        compute=lambda marts, random: time_to_come(marts, random),
    ),
    Estimate(
        tables=("conversion_estimates", "conversion_curves"),
        inputs=("fct_stage_entries", "fct_stage_stays"),
        compute=lambda marts, _: conversion.conversion_tables(marts.entries),
    ),
    Estimate(
        tables=("last_useful_days",),
        inputs=("fct_stage_entries",),
        compute=lambda marts, _: (last_useful_days(marts.entries, marts.as_of),),
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
        tables=("experiment_readouts", "experiment_looks"),
        inputs=("dim_experiments", "experiment_units"),
        compute=lambda marts, _: experiments.experiment_tables(
            *marts.experiments, marts.memory.looks
        ),
    ),
)
