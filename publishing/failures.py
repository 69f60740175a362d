"""Why a run did not publish, for people and pages.

Belongs here: telling refusals, configuration and faults apart, naming the files to look at first.
Does not belong here: who is told (Dagster's alerts), keeping it (`status`).
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from ingestion.errors import UserError, fault_in_words
from ingestion.home import Home
from ingestion.landing.manifest import read_manifests
from ingestion.landing.receipts import read_receipt
from ingestion.landing.report import last_report
from ingestion.stored import DamagedFile
from publishing.gate.checks import FAILED, Refused, Results
from publishing.set_manifest import SetManifest


class Failure(BaseModel):
    """`kind` is `refused` (by the gate, with each finding), `configuration` or `fault`; `new_files`
    are those the last good set did not hold, which is where to look first.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    run_id: str
    kind: Literal["refused", "configuration", "fault"]
    reasons: list[str]
    new_files: list[str]


def explain_failure(
    home: Home, run_id: str, error: BaseException | None, last_good: SetManifest | None
) -> Failure:
    """What a run that ended with `error`, or with failed checks, is told as."""
    findings = _findings(Results(home, run_id))
    if findings or isinstance(error, Refused):
        return Failure(
            run_id=run_id,
            kind="refused",
            reasons=findings or [str(error)],
            new_files=_new_files(home, last_good),
        )
    kind: Literal["configuration", "fault"] = (
        "configuration" if isinstance(error, UserError) else "fault"
    )
    reason = fault_in_words(error) if error else "ended without saying why"
    return Failure(run_id=run_id, kind=kind, reasons=[reason], new_files=[])


def _findings(results: Results) -> list[str]:
    failed = (f"{r.name}: {r.detail}" for r in results.all() if r.outcome == FAILED)
    return list(dict.fromkeys(failed))  # a set that keeps its order


def _new_files(home: Home, last_good: SetManifest | None) -> list[str]:
    """Files in force, or rejected, that the last good set did not hold, with their archive name."""
    try:
        report = last_report(home)
    except DamagedFile:
        report = None
    if report is None:
        return []
    known = {load.sha256 for load in last_good.loads} if last_good else set()
    found = [(file.name, file.sha256) for file in report.having("rejected")]
    for load in read_manifests(home, report.loads):
        receipt = read_receipt(home, load.sha256)
        if receipt is not None:  # stages that a mapping declares have none
            found.append((receipt.first_name, load.sha256))
    return [f"{name} (archive/{sha256[:12]}…)" for name, sha256 in found if sha256 not in known]
