"""Expectations about the distributions of what BI reads.

Belongs here: what is expected of which table, when it can be asked, and why.
Does not belong here: asking them of a build (`asking`).

An expectation compares with the last published set, because no absolute bound fits both a company
with 30 deals a year and one with millions. It declares when it can be asked; where it cannot, the
outcome is `not_applicable`, which is counted and published. Where it can be asked and nothing was
evaluated, it fails: an empty frame passes every column expectation of Great Expectations.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from publishing.gate.great_expectations import expectation_types


@dataclass(frozen=True)
class Frames:
    """A table now and in the last published set (None if there is none)."""

    now: pd.DataFrame
    before: pd.DataFrame | None


@dataclass(frozen=True)
class Expectation:
    """One expectation about the distribution of one published table.

    `frames` cuts the table of both sets down to the rows it speaks of. `needs` says, in words, when
    it can be asked, and `minimum` how many rows that takes now and, if `compares`, in the last set.
    `build` makes the Great Expectations object from the last set's rows.
    """

    name: str
    table: str
    reason: str
    needs: str
    minimum: int
    compares: bool
    frames: Callable[[Frames], Frames]
    build: Callable[[pd.DataFrame], Any]

    def not_applicable(self, frames: Frames) -> str:
        """Why it cannot be asked, or an empty text."""
        if not self.compares:
            return "" if len(frames.now) >= self.minimum else f"needs {self.needs}"
        if frames.before is None:
            return "no earlier published set to compare with"
        # The new set may well be too small: that is what some of these checks are for.
        return "" if len(frames.before) >= self.minimum else f"needs {self.needs}"


def _everything(frames: Frames) -> Frames:
    return frames


def _of_each(select: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[Frames], Frames]:
    """The rows that `select` takes of each set."""

    def selected(frames: Frames) -> Frames:
        before = None if frames.before is None else select(frames.before)
        return Frames(select(frames.now), before)

    return selected


def _priced(frame: pd.DataFrame) -> pd.DataFrame:
    """Deals with an amount, in the most common currency."""
    priced = frame[frame["amount"].notna()]
    common = priced["currency"].mode()
    return priced[priced["currency"] == common.iloc[0]] if len(common) else priced


def _ended(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[~frame["is_censored"].astype(bool)]


def _year_of_wins(frame: pd.DataFrame) -> pd.DataFrame:
    rows = (frame["definition_id"] == "won") & (frame["horizon_days"] == 365)
    return frame[rows & (frame["n_mature"] >= 100)]


def _yearly_wins_of_all(frame: pd.DataFrame) -> pd.DataFrame:
    rows = (frame["dimension"] == "all") & (frame["definition_id"] == "won")
    rows &= (frame["horizon_days"] == 365) & (frame["effective_n"] >= 100)
    return frame[rows & frame["estimated_rate"].notna()]


def _time_in_stage_of_all(frame: pd.DataFrame) -> pd.DataFrame:
    rows = (
        (frame["dimension"] == "all") & (frame["horizon_days"] == 365) & (frame["n_events"] >= 30)
    )
    return frame[rows & frame["p80_days_in_stage"].notna()]


# Of what a system holds, what an export may let go at once without a person having said so. Real
# days delete less than a hundredth; an export cut short loses a fifth and more.
MAX_DELETED_SHARE, MIN_DELETED = 0.1, 5


def _mass_deletions(frame: pd.DataFrame) -> pd.DataFrame:
    """Exports that let more of a system's records go than that, a text each."""
    frame = frame.assign(system=frame["journey_id"].astype("string").str.split(":").str[0])
    created = frame[frame["move_number"] == 1]
    found = []
    deleted = frame[frame["move_kind"] == "delete"]
    for (system, record_type, known_at), gone in deleted.groupby(
        ["system", "record_type", "known_at"]
    ):
        is_alike = (created["system"] == system) & (created["record_type"] == record_type)
        earlier = deleted[
            (deleted["system"] == system)
            & (deleted["record_type"] == record_type)
            & (deleted["known_at"] < known_at)
        ]
        n_there = (is_alike & (created["occurred_at"] <= known_at)).sum() - len(earlier)
        if len(gone) >= MIN_DELETED and len(gone) > MAX_DELETED_SHARE * n_there:
            export = f"the {system} export known {known_at:%Y-%m-%d %H:%M}"
            found.append(f"{len(gone)} of {n_there} {record_type}s gone with {export}")
    return pd.DataFrame({"finding": pd.Series(found, dtype="string")})


# Of what a table tells of a system's deals, what may be of deals that no export knows.
MAX_UNKNOWN_SHARE, MIN_UNKNOWN = 0.1, 5


def _of_unknown_deals(frame: pd.DataFrame) -> pd.DataFrame:
    """Tables and systems of which more than that is, a text each."""
    found = []
    for (table, system), rows in frame.groupby(["table_name", "system_id"]):
        n, total = int(rows["n_records"].sum()), int(rows["n_records_of_system"].iloc[0])
        if n >= MIN_UNKNOWN and n > MAX_UNKNOWN_SHARE * total:
            found.append(f"{table} of {system}")
    return pd.DataFrame({"finding": pd.Series(found, dtype="string")})


KINDS_BY_ORDER = ("advance", "skip", "regress")


def _changed_kinds(frames: Frames) -> Frames:
    """Moves of both sets whose kind is another than before, a text for each two stages."""
    move = ["journey_id", "from_pipeline_id", "from_stage_id", "to_pipeline_id", "to_stage_id",
            "occurred_at"]  # fmt: skip
    now, before = (
        frame[frame["move_kind"].isin(KINDS_BY_ORDER)][[*move, "move_kind"]].drop_duplicates(move)
        for frame in (frames.now, frames.now[:0] if frames.before is None else frames.before)
    )
    both = now.merge(before, on=move, suffixes=("", "_before"))
    both = both[both["move_kind"] != both["move_kind_before"]]
    stages = ["from_stage_id", "to_stage_id", "move_kind_before", "move_kind"]
    counted = both.groupby(stages, as_index=False).size()
    found = [
        f"{n} moves from {source} to {target} were {old} and are {new}"
        for source, target, old, new, n in counted.itertuples(index=False)
    ]
    return Frames(pd.DataFrame({"finding": pd.Series(found, dtype="string")}), None)


def _published_before(before: pd.DataFrame) -> Any:
    return expectation_types().ExpectColumnValuesToBeInSet(
        column="finding", value_set=["", *before["finding"]]
    )


def _count(before: pd.DataFrame) -> Any:
    return expectation_types().ExpectTableRowCountToBeBetween(
        min_value=int(0.8 * len(before)), max_value=int(2 * len(before)) + 50
    )


def _known(column: str) -> Callable[[pd.DataFrame], Any]:
    def build(before: pd.DataFrame) -> Any:
        share = float(before[column].notna().mean())
        return expectation_types().ExpectColumnValuesToNotBeNull(
            column=column, mostly=max(share - 0.1, 0.0)
        )

    return build


def _median(column: str) -> Callable[[pd.DataFrame], Any]:
    def build(before: pd.DataFrame) -> Any:
        median = float(before[column].median())
        return expectation_types().ExpectColumnMedianToBeBetween(
            column=column, min_value=median / 3, max_value=median * 3
        )

    return build


def _strictly_a_rate(_before: pd.DataFrame) -> Any:
    return expectation_types().ExpectColumnValuesToBeBetween(
        column="reached_rate", min_value=0, max_value=1, strict_min=True, strict_max=True
    )


EXPECTATIONS = (
    Expectation(
        name="deals_keep_their_number",
        table="dim_deals",
        reason=(
            "Deals are kept in the archive, so their number hardly falls; a fall means that a file "
            "is missing or a mapping lost rows, a doubling that ids changed."
        ),
        needs="20 deals in the last published set",
        minimum=20,
        compares=True,
        frames=_everything,
        build=_count,
    ),
    Expectation(
        name="amounts_keep_their_scale",
        table="dim_deals",
        reason=(
            "The median is over all deals ever, so a day hardly moves it; three times more or less "
            "means another decimal sign, currency or unit (thousands)."
        ),
        needs="30 deals with an amount in the last published set",
        minimum=30,
        compares=True,
        frames=_of_each(_priced),
        build=_median("amount"),
    ),
    Expectation(
        name="sources_stay_known",
        table="dim_deals",
        reason=(
            "A source that was known stays known; ten points more unknown means that a column was "
            "renamed or left out of the export."
        ),
        needs="50 deals in the last published set",
        minimum=50,
        compares=True,
        frames=_everything,
        build=_known("source"),
    ),
    Expectation(
        name="segments_stay_known",
        table="dim_deals",
        reason="As for sources.",
        needs="50 deals in the last published set",
        minimum=50,
        compares=True,
        frames=_everything,
        build=_known("segment"),
    ),
    Expectation(
        name="time_in_stage_keeps_its_scale",
        table="fct_stage_visits",
        reason=(
            "The median visit moves slowly, as it is over all history; three times more or less "
            "means that dates were read in another order or zone, or that history was cut."
        ),
        needs="50 ended visits in the last published set",
        minimum=50,
        compares=True,
        frames=_of_each(_ended),
        build=_median("seconds_in_stage"),
    ),
    Expectation(
        name="yearly_win_rates_are_rates",
        table="conversion_by_source",
        reason=(
            "Of 100 or more deals followed for a year, some are won and some are not; none or all "
            "means that won or lost is mapped to the wrong stage."
        ),
        needs="a source and month with 100 deals followed for a year",
        minimum=1,
        compares=False,
        frames=_of_each(_year_of_wins),
        build=_strictly_a_rate,
    ),
    Expectation(
        name="win_estimates_keep_their_scale",
        table="conversion_estimates",
        reason=(
            "An estimate is made of a year and more of entries, so a day hardly moves it; three "
            "times more or less means that stages, outcomes or the beginning of history are read "
            "otherwise."
        ),
        needs="a stage with 100 effective entries in the last published set",
        minimum=1,
        compares=True,
        frames=_of_each(_yearly_wins_of_all),
        build=_median("estimated_rate"),
    ),
    Expectation(
        name="time_in_stage_of_won_deals_keeps_its_scale",
        table="time_in_stage",
        reason="As for time in stage: the slow end of won deals' visits moves slowly.",
        needs="a stage with 30 won deals in the last published set",
        minimum=1,
        compares=True,
        frames=_of_each(_time_in_stage_of_all),
        build=_median("p80_days_in_stage"),
    ),
    Expectation(
        name="few_records_are_deleted_at_once",
        table="fct_stage_transitions",
        reason=(
            "An export declared complete that lacks more than a tenth of the records is more often "
            "cut short or filtered than right. Withdraw it; or, if they were deleted, confirm it "
            "under accepted_changes in company.yml."
        ),
        needs="an export with which more than a tenth of a system's records went",
        minimum=1,
        compares=False,
        frames=_of_each(_mass_deletions),
        build=_published_before,
    ),
    Expectation(
        name="moves_keep_their_kind",
        table="fct_stage_transitions",
        reason=(
            "What was an advance stays one; the order of stages was changed for all of history. "
            "Give the stages in mappings/ a valid_from, the first day of the new order; or, if the "
            "old order was wrong, confirm it under accepted_changes in company.yml."
        ),
        needs="moves of the last published set that are told as another kind",
        minimum=1,
        compares=False,
        frames=_changed_kinds,
        build=_published_before,
    ),
    Expectation(
        name="few_records_are_of_unknown_deals",
        table="unknown_deals",
        reason=(
            "Logs, activities and credits of deals that no export knows count nowhere; more than a "
            "tenth of them means that deals are missing from the export or that ids are written in "
            "another form. Table unknown_deals lists them. Export those deals too; or confirm it "
            "under accepted_changes in company.yml."
        ),
        needs="a table of which more than a tenth is of unknown deals",
        minimum=1,
        compares=False,
        frames=_of_each(_of_unknown_deals),
        build=_published_before,
    ),
)
