"""Check results: what each check found, and whether a run has all it needs.

Belongs here: the three outcomes, keeping the results of a run, refusing.
Does not belong here: asking (`landed_files`, `expectations`, dbt, estimates).
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass as checked_dataclass

from ingestion.home import Home
from ingestion.stored import Stored

Outcome = Literal["passed", "failed", "not_applicable"]
PASSED: Outcome = "passed"
FAILED: Outcome = "failed"
NOT_APPLICABLE: Outcome = "not_applicable"

AskedBy = Literal["landing", "dbt", "analysis", "expectation"]


@checked_dataclass(frozen=True, config=ConfigDict(strict=True, extra="forbid"))
class CheckResult:
    """What one check found. `asked_by` is the kind of check."""

    name: str
    asked_by: AskedBy
    outcome: Outcome
    detail: str = ""


class Refused(Exception):
    """The gate refused. The text names every failed or missing check, in one line."""


def refuse_failed(results: list[CheckResult]) -> None:
    """Raise Refused if one of these failed, naming each that did."""
    if faults := [f"{r.name}: {r.detail}" for r in results if r.outcome == FAILED]:
        raise Refused("; ".join(faults))


class StepResults(Stored):
    """warehouse/checks/<run id>/<step>.json: the check results of one step of one run."""

    REMEDY: ClassVar[str] = "run again"

    results: list[CheckResult]


@dataclass(frozen=True)
class Results:
    """Check results of one run; those of another run do not count."""

    home: Home
    run_id: str

    @property
    def folder(self) -> Path:
        return self.home.warehouse / "checks" / self.run_id

    def store(self, step: AskedBy, results: list[CheckResult]) -> None:
        """Keep what a step of this run found."""
        self.folder.mkdir(parents=True, exist_ok=True)
        StepResults(results=results).write(self.folder / f"{step}.json")

    def all(self) -> list[CheckResult]:
        """Every result so far. Raises DamagedFile."""
        steps = sorted(self.folder.glob("*.json"))
        return [result for step in steps for result in StepResults.read(step).results]

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

    def retire_others(self) -> None:
        """Remove the results of other runs."""
        for folder in self.folder.parent.glob("*"):
            if folder != self.folder:
                shutil.rmtree(folder, ignore_errors=True)
