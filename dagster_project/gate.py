"""The gate: what must hold before a set is published, and what was found.

Belongs here: check results and their three outcomes, the expectations about distributions.
Does not belong here: truths (keys, grain, references, identities), which are dbt tests.

An expectation compares with the last published set, because no absolute bound fits both a company
with 30 deals a year and one with millions. It declares when it can be asked; where it cannot, the
outcome is `not_applicable`, which is counted and published. Where it can be asked and nothing was
evaluated, it fails: an empty frame passes every column expectation of Great Expectations.
"""

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
from ingestion.company import Company
from ingestion.files import write_json
from ingestion.sql import literal

from dagster_project.warehouse import Warehouse

PASSED, FAILED, NOT_APPLICABLE = "passed", "failed", "not_applicable"


@dataclass(frozen=True)
class CheckResult:
    """What one check found. `asked_by` is the kind of check: landing, dbt or expectation."""

    name: str
    asked_by: str
    outcome: str
    detail: str = ""

    def __post_init__(self) -> None:
        if self.outcome not in (PASSED, FAILED, NOT_APPLICABLE):
            raise ValueError(f"check {self.name}: no such outcome: {self.outcome}")


class Refused(Exception):
    """The gate refused. The text names every failed or missing check, in one line."""


@dataclass(frozen=True)
class Results:
    """Check results of one run, kept beside its build; those of another run do not count."""

    folder: Path
    run_id: str

    def store(self, asked_by: str, results: list[CheckResult]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        content = {"run_id": self.run_id, "results": [asdict(result) for result in results]}
        write_json(self.folder / f"{asked_by}.json", content)

    def all(self) -> list[CheckResult]:
        found = []
        for path in sorted(self.folder.glob("*.json")):
            content = json.loads(path.read_text(encoding="utf-8"))
            if content["run_id"] == self.run_id:
                found += [CheckResult(**result) for result in content["results"]]
        return found

    def require(self, expected: set[str]) -> list[CheckResult]:
        """Every result, if each expected check has one and none failed; else Refused."""
        results = self.all()
        failed = [result for result in results if result.outcome == FAILED]
        missing = sorted(expected - {result.name for result in results})
        if failed or missing:
            faults = [f"{result.name}: {result.detail}" for result in failed]
            faults += [f"{name}: was not evaluated" for name in missing]
            raise Refused("; ".join(faults))
        return results


# --- expectations --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Frames:
    """A table now and in the last published set (None if there is none)."""

    now: pd.DataFrame
    before: pd.DataFrame | None


@dataclass(frozen=True)
class Expectation:
    """One expectation about the distribution of one published table.

    `select` cuts a table down to the rows it speaks of. `needs` says, in words, when it can be
    asked, and `minimum` how many rows that takes now and, if `compares`, in the last set.
    `build` makes the Great Expectations object from the last set's rows.
    """

    name: str
    table: str
    reason: str
    needs: str
    minimum: int
    compares: bool
    select: Callable[[pd.DataFrame], pd.DataFrame]
    build: Callable[[pd.DataFrame], Any]

    def frames(self, frames: Frames) -> Frames:
        before = None if frames.before is None else self.select(frames.before)
        return Frames(self.select(frames.now), before)

    def not_applicable(self, frames: Frames) -> str:
        """Why it cannot be asked, or an empty text."""
        if not self.compares:
            return "" if len(frames.now) >= self.minimum else f"needs {self.needs}"
        if frames.before is None:
            return "no earlier published set to compare with"
        # The new set may well be too small: that is what some of these checks are for.
        return "" if len(frames.before) >= self.minimum else f"needs {self.needs}"


def _everything(frame: pd.DataFrame) -> pd.DataFrame:
    return frame


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
    rows = (frame["cut"] == "all") & (frame["definition_id"] == "won")
    rows &= (frame["horizon_days"] == 365) & (frame["effective_n"] >= 100)
    return frame[rows & frame["estimated_rate"].notna()]


def _stays_of_all(frame: pd.DataFrame) -> pd.DataFrame:
    rows = (frame["cut"] == "all") & (frame["horizon_days"] == 365) & (frame["n_events"] >= 30)
    return frame[rows & frame["p80_days_in_stage"].notna()]


# Of what a system holds, what an export may let go at once without a person having said so. Real
# days delete less than a hundredth; an export cut short loses a fifth and more.
MAX_DELETED_SHARE, MIN_DELETED = 0.1, 5


def _mass_deletions(frame: pd.DataFrame) -> pd.DataFrame:
    """Exports that let more of a system's records go than that, a text each."""
    frame = frame.assign(system=frame["journey_id"].astype("string").str.split(":").str[0])
    created = frame[frame["move_number"] == 1]
    found = []
    deleted = frame[frame["kind"] == "delete"]
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
    return pd.DataFrame({"export": pd.Series(found, dtype="string")})


def _published_before(before: pd.DataFrame) -> Any:
    return _gx().ExpectColumnValuesToBeInSet(column="export", value_set=["", *before["export"]])


def _gx() -> Any:
    import great_expectations.expectations as gxe  # 2.5 s to import; only runs need it

    return gxe


def _count(before: pd.DataFrame) -> Any:
    return _gx().ExpectTableRowCountToBeBetween(
        min_value=int(0.8 * len(before)), max_value=int(2 * len(before)) + 50
    )


def _known(column: str) -> Callable[[pd.DataFrame], Any]:
    def build(before: pd.DataFrame) -> Any:
        share = float(before[column].notna().mean())
        return _gx().ExpectColumnValuesToNotBeNull(column=column, mostly=max(share - 0.1, 0.0))

    return build


def _median(column: str) -> Callable[[pd.DataFrame], Any]:
    def build(before: pd.DataFrame) -> Any:
        median = float(before[column].median())
        return _gx().ExpectColumnMedianToBeBetween(
            column=column, min_value=median / 3, max_value=median * 3
        )

    return build


def _strictly_a_rate(_before: pd.DataFrame) -> Any:
    return _gx().ExpectColumnValuesToBeBetween(
        column="reached_rate", min_value=0, max_value=1, strict_min=True, strict_max=True
    )


EXPECTATIONS = (
    Expectation(
        "deals_keep_their_number",
        "dim_deals",
        "Deals are kept in the archive, so their number hardly falls; a fall means that a file is "
        "missing or a mapping lost rows, a doubling that ids changed.",
        "20 deals in the last published set",
        20,
        True,
        _everything,
        _count,
    ),
    Expectation(
        "amounts_keep_their_scale",
        "dim_deals",
        "The median is over all deals ever, so a day hardly moves it; three times more or less "
        "means another decimal sign, currency or unit (thousands).",
        "30 deals with an amount in the last published set",
        30,
        True,
        _priced,
        _median("amount"),
    ),
    Expectation(
        "sources_stay_known",
        "dim_deals",
        "A source that was known stays known; ten points more unknown means that a column was "
        "renamed or left out of the export.",
        "50 deals in the last published set",
        50,
        True,
        _everything,
        _known("source"),
    ),
    Expectation(
        "segments_stay_known",
        "dim_deals",
        "As for sources.",
        "50 deals in the last published set",
        50,
        True,
        _everything,
        _known("segment"),
    ),
    Expectation(
        "time_in_stage_keeps_its_scale",
        "fct_stage_visits",
        "The median stay moves slowly, as it is over all history; three times more or less means "
        "that dates were read in another order or zone, or that history was cut.",
        "50 ended stays in the last published set",
        50,
        True,
        _ended,
        _median("seconds_in_stage"),
    ),
    Expectation(
        "yearly_win_rates_are_rates",
        "conversion_by_source",
        "Of 100 or more deals followed for a year, some are won and some are not; none or all "
        "means that won or lost is mapped to the wrong stage.",
        "a source and month with 100 deals followed for a year",
        1,
        False,
        _year_of_wins,
        _strictly_a_rate,
    ),
    Expectation(
        "win_estimates_keep_their_scale",
        "conversion_estimates",
        "An estimate is made of a year and more of entries, so a day hardly moves it; three times "
        "more or less means that stages, outcomes or the beginning of history are read otherwise.",
        "a stage with 100 effective entries in the last published set",
        1,
        True,
        _yearly_wins_of_all,
        _median("estimated_rate"),
    ),
    Expectation(
        "stays_of_won_deals_keep_their_scale",
        "stage_stays",
        "As for time in stage: the slow end of won deals' stays moves slowly.",
        "a stage with 30 won deals in the last published set",
        1,
        True,
        _stays_of_all,
        _median("p80_days_in_stage"),
    ),
    Expectation(
        "few_records_are_deleted_at_once",
        "fct_stage_transitions",
        "An export declared complete that lacks more than a tenth of the records is more often cut "
        "short or filtered than right. Withdraw it; or, if they were deleted, confirm it under "
        "accepted_changes in company.yml.",
        "an export with which more than a tenth of a system's records went",
        1,
        False,
        _mass_deletions,
        _published_before,
    ),
)


def evaluate(
    warehouse: Warehouse, last_published: Path | None, company: Company
) -> list[CheckResult]:
    """Ask every expectation of the marts in `warehouse`, against the last published set."""
    frames = {
        table: Frames(
            _frame(warehouse.marts / f"{table}.parquet"),
            _frame(last_published / f"{table}.parquet") if last_published else None,
        )
        for table in sorted({expectation.table for expectation in EXPECTATIONS})
    }
    validator = _Validator()
    return [
        _asked(
            expectation, frames[expectation.table], validator, accepted(company, warehouse.as_of)
        )
        for expectation in EXPECTATIONS
    ]


def accepted(company: Company, as_of: date) -> dict[str, str]:
    return {a.check: a.why for a in company.accepted_changes if a.as_of == as_of}


def _asked(
    expectation: Expectation, frames: Frames, validator: "_Validator", allowed: dict[str, str]
) -> CheckResult:
    name = expectation.name
    frames = expectation.frames(frames)
    if reason := expectation.not_applicable(frames):
        return CheckResult(name, "expectation", NOT_APPLICABLE, reason)
    before = frames.before if frames.before is not None else frames.now.iloc[:0]
    finding = validator.finding(frames.now, expectation.build(before))
    if not finding:
        return CheckResult(name, "expectation", PASSED)
    if name in allowed:
        detail = f"{finding}; accepted in company.yml: {allowed[name]}"
        return CheckResult(name, "expectation", NOT_APPLICABLE, detail)
    detail = f"{expectation.table}: {finding}. {expectation.reason}"
    return CheckResult(name, "expectation", FAILED, detail)


class _Validator:
    """Great Expectations on frames, in an ephemeral context: nothing is stored or sent."""

    def __init__(self) -> None:
        os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
        import great_expectations as gx
        from great_expectations.data_context.types.base import ProgressBarsConfig

        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = ProgressBarsConfig(globally=False)
        asset = context.data_sources.add_pandas("published").add_dataframe_asset("table")
        self.batches = asset.add_batch_definition_whole_dataframe("whole")

    def finding(self, frame: pd.DataFrame, expectation: Any) -> str:
        """What is wrong, with the observed value and the bounds; empty if nothing is."""
        if frame.empty and not type(expectation).__name__.startswith("ExpectTable"):
            return "no rows are left to look at"
        batch = self.batches.get_batch({"dataframe": frame})
        validation = batch.validate(expectation)
        if validation.success:
            return ""
        result = dict(validation.result or {})
        observed = result.get("observed_value")
        if named := result.get("partial_unexpected_list") if frame.columns.size == 1 else None:
            return "; ".join(map(str, named))
        if observed is None and "unexpected_percent" in result:
            observed = f"{result['unexpected_percent']:.1f} % unexpected"
        bounds = {
            key: value
            for key in ("min_value", "max_value", "mostly")
            if (value := getattr(expectation, key, None)) is not None
        }
        expected = ", ".join(f"{key} {_short(value)}" for key, value in bounds.items())
        return f"found {_short(observed)}, expected {expected}"


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _frame(path: Path) -> pd.DataFrame:
    """A published table as a frame; money as float, which distributions can bear."""
    with duckdb.connect() as connection:
        return connection.execute(f"select * from read_parquet({literal(str(path))})").df()
