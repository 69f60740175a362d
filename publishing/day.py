"""The steps of a day, in their order; here and nowhere else.

    land → begin → build → estimate → audit → publish

Belongs here: what each step calls, which check results it leaves, and what ends a day early.
Does not belong here: the work of a step, when a day runs (`dagster_project`, cron).

The command line runs them one after the other (`run_day`), Dagster's assets each by itself; so what
passes between them lies in the home.
"""

import uuid
from collections.abc import Callable
from datetime import date
from pathlib import Path

from dashboard.site.parts import SetFacts
from dashboard.site.writing import write_site
from ingestion.home import Home
from ingestion.landing.deciding import Landing
from ingestion.landing.report import Report, save_report
from publishing import dbt_build, estimates
from publishing.catalogue import published_models, published_tables, test_names
from publishing.dbt_build import Built
from publishing.failures import Failure, explain_failure
from publishing.forecasts import keep_forecasts
from publishing.gate import asking, expectations, landed_files
from publishing.gate.checks import CheckResult, Results, refuse_failed
from publishing.inputs import KnowledgeBasis
from publishing.lease import Lease
from publishing.looks import keep_looks
from publishing.set_manifest import SetManifest
from publishing.sets import PublishedSets
from publishing.standing import standing_set
from publishing.warehouse import Warehouse

Say = Callable[[str], None]


def expected_checks() -> set[str]:
    """The checks of which publish needs a result."""
    return {
        *landed_files.DESCRIPTIONS,
        *test_names().values(),
        estimates.CHECK,
        *(expectation.name for expectation in expectations.EXPECTATIONS),
    }


def land(home: Home, run_id: str, say: Say) -> tuple[Report, list[CheckResult]]:
    """Take in what the inbox holds; keep the report and what was found."""
    report = Landing(home, say=say).run()
    save_report(home, report)
    results = landed_files.check_landing(home, report)
    Results(home, run_id).store("landing", results)
    return report, results


class Day:
    """The steps of one day after landing. `run_id` names the run that its check results are of."""

    def __init__(
        self,
        home: Home,
        as_of: date,
        run_id: str,
        say: Say,
        knowledge_basis: KnowledgeBasis = "as_known",
    ) -> None:
        self.home = home
        self.warehouse = Warehouse(home, as_of, knowledge_basis)
        self.results = Results(home, run_id)
        self.say = say

    def begin(self, loads: list[str]) -> None:
        """A fresh warehouse over exactly these loads."""
        estimates.get_ready()
        self.warehouse.begin(loads)

    def build(self) -> Built:
        """Build and test the marts; hand them over unless something failed."""
        built = dbt_build.build(self.warehouse, self.say)
        self.results.store("dbt", built.tests)
        if not built.faults():
            self.warehouse.hand_over(published_models())
        return built

    def estimate(self) -> CheckResult:
        """Estimate what counts alone cannot say, beside the marts."""
        self.say("estimating")
        result = estimates.estimate(self.warehouse, meanwhile=asking.get_ready)
        self.results.store("analysis", [result])
        return result

    def audit(self) -> list[CheckResult]:
        """Ask what is expected of the distributions, against the last published set."""
        self.say(f"asking {len(expectations.EXPECTATIONS)} expectations")
        before = PublishedSets(self.home).last_before(self.warehouse.as_of)
        results = asking.evaluate(self.warehouse, before, self.home.company())
        self.results.store("expectation", results)
        return results

    def write_pages(self, folder: Path, facts: SetFacts) -> None:
        """What people look at, from the tables of the set in `folder`."""
        self.say("writing pages")
        write_site(folder, self.home.company().language, facts)

    def publish(self, lease: Lease) -> SetManifest:
        """Publish the set if every expected check has a result and none failed; else Refused."""
        results = self.results.require(expected_checks())
        self.say("publishing")
        manifest = PublishedSets(self.home).publish(
            self.warehouse,
            published_tables(),
            results,
            lease,
            self.results.run_id,
            self.write_pages,
        )
        keep_looks(self.warehouse)
        keep_forecasts(self.warehouse)
        self.warehouse.retire_others(self.home.company().keep_warehouses)
        self.results.retire_others()
        return manifest


def run_day(
    home: Home, as_of: date, lease: Lease, say: Say, is_forced: bool = False
) -> SetManifest:
    """All steps of a day, from the inbox to the published set. Returns its manifest: an earlier
    one's where nothing is new since then, unless `is_forced`.

    Raises Refused as soon as a check fails; whatever ends the day is told in status.js.
    """
    run_id = uuid.uuid4().hex
    try:
        report, results = land(home, run_id, say)
        say(f"landed {report.counted()}")
        refuse_failed(results)
        if not is_forced and (standing := standing_set(home, as_of, report.loads)):
            return standing
        day = Day(home, as_of, run_id, say)
        day.begin(report.loads)
        day.build().refuse_faults()
        refuse_failed([day.estimate()])
        refuse_failed(day.audit())
        return day.publish(lease)
    except Exception as error:
        record_failure(home, run_id, error)
        raise


def record_failure(home: Home, run_id: str, error: BaseException | None) -> Failure:
    """Tell status.js that this run was refused or failed; the last good set stands."""
    sets = PublishedSets(home)
    failure = explain_failure(home, run_id, error, sets.whole_current())
    sets.save_status(refused=failure)
    return failure


def reconstruct(home: Home, as_of: date, loads: list[str], say: Say) -> Warehouse:
    """A past day as the CRM knew it then, from these loads; never published.

    Raises Refused naming the checks that failed.
    """
    day = Day(home, as_of, f"reconstruct-{as_of}", say, "as_reconstructed")
    day.begin(loads)
    day.build().refuse_faults()
    refuse_failed([day.estimate()])
    day.warehouse.retire_others(home.company().keep_warehouses)
    return day.warehouse
