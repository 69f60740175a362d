"""What is asked of landing: that no file was rejected and no record lost.

Belongs here: the two checks. Does not belong here: landing.
"""

from ingestion.home import Home
from ingestion.landing.accounting import unaccounted
from ingestion.landing.report import Report
from publishing.gate.checks import FAILED, NOT_APPLICABLE, PASSED, CheckResult

LANDING = "every_file_landed"
CONSERVATION = "every_record_is_accounted_for"
DESCRIPTIONS = {
    LANDING: "No file was rejected: a missing export looks like a bad week.",
    CONSERVATION: "Of every file in force, records in are records accepted and quarantined, "
    "and so is the money of each currency.",
}


def check_landing(home: Home, report: Report) -> list[CheckResult]:
    """Both checks of what a pass over the inbox came to."""
    return [_every_file_landed(report), _every_record_is_accounted_for(home, report)]


def _every_file_landed(report: Report) -> CheckResult:
    rejected = report.having("rejected")
    detail = "; ".join(file.message for file in rejected)
    if rejected:
        return CheckResult(LANDING, "landing", FAILED, detail)
    if not report.files:
        return CheckResult(LANDING, "landing", NOT_APPLICABLE, "the inbox is empty")
    return CheckResult(LANDING, "landing", PASSED)


def _every_record_is_accounted_for(home: Home, report: Report) -> CheckResult:
    if not report.loads:
        return CheckResult(CONSERVATION, "landing", NOT_APPLICABLE, "nothing has landed")
    faults = unaccounted([home.landed / load for load in report.loads])
    outcome = FAILED if faults else PASSED
    return CheckResult(CONSERVATION, "landing", outcome, "; ".join(faults))
