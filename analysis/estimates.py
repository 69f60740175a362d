"""The table of estimates: which tables are made, from which marts, by which function.

Belongs here: the table that a run iterates.
Does not belong here: estimators, reading marts or writing estimates (`publishing`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from analysis import conversion, entries, experiments, sellers, visits
from analysis.activities import activity_estimates
from analysis.attempts import MEETINGS, ORDER, SIGNUPS, Attempts, Kind
from analysis.comparisons import activity_comparisons
from analysis.entries import Entries
from analysis.reminders import reminder_sequences


class Marts:
    """The marts that estimates are made from, each read once by `read` (a name, columns, and those
    that rows are in the order of: sums of doubles depend on it); and the `looks` at experiments
    that were published on days before (LOOK_COLUMNS).
    """

    def __init__(
        self,
        read: Callable[[str, tuple[str, ...], tuple[str, ...]], pd.DataFrame],
        looks: pd.DataFrame | None = None,
    ) -> None:
        self.read = read
        none = pd.DataFrame(columns=list(experiments.LOOK_COLUMNS))
        self.looks = none if looks is None else looks

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
    def open_deals(self) -> pd.DataFrame:
        """Of pipeline_status."""
        return self.read("pipeline_status", visits.OPEN_DEAL_COLUMNS, ("deal_id",))


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
        tables=("experiment_readouts", "experiment_looks"),
        inputs=("dim_experiments", "experiment_units"),
        compute=lambda marts, _: experiments.experiment_tables(*marts.experiments, marts.looks),
    ),
)
