"""Back-tests on real data sets: forecasts of quarters that have ended, beside others'.

Belongs here: the homes of Maven's and BPI 2012's deals, the origins.
Does not belong here: scores (`tocome`).
"""

import shutil
import tempfile
from datetime import date
from pathlib import Path

import numpy as np

from analysis.stays import COLUMNS, ORDER, Stays
from ingestion.home import Home
from ingestion.landing.deciding import Landing
from publishing.day import Day
from publishing.frames import read_mart
from publishing.marts import opened

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data"
SETS = {
    "Maven (CRM sample, 8,800 deals)": (
        "maven.yml", "America/Chicago", "USD", date(2017, 12, 31),
        ("maven_crm/sales_pipeline.csv", "maven_crm/accounts.csv", "maven_crm/products.csv",
         "maven_crm/sales_teams.csv"),
        ("2017-01-01", "2017-04-01", "2017-07-01", "2017-10-01"),
    ),
    "BPI 2012 (loans, 13,087)": (
        "bpi2012.yml", "Europe/Amsterdam", "EUR", date(2012, 3, 31),
        ("bpi2012_loan/bpi2012_events.csv.gz",),
        ("2011-12-01", "2012-01-01", "2012-02-01", "2012-03-01"),
    ),
}  # fmt: skip


def real_stays(name: str) -> tuple[Stays, list[np.datetime64]] | None:
    """The stays of a data set, and the origins; None where it is not beside this checkout."""
    mapping, zone, currency, day, files, origins = SETS[name]
    if not all((DATA / file).exists() for file in files):
        return None
    with tempfile.TemporaryDirectory() as folder:
        home = Home.at(Path(folder) / "home")
        home.prepare()
        home.company_file.write_text(f"zone: {zone}\ncurrency: {currency}\n")
        shutil.copy(ROOT / "tests" / "mappings" / mapping, home.mappings)
        for file in files:
            shutil.copy(DATA / file, home.inbox)
        report = Landing(home).run()
        work = Day(home, day, "realdata", lambda text: None)
        work.begin(report.loads)
        work.build().refuse_faults()
        with opened(work.warehouse.marts) as connection:
            frame = read_mart(connection, "fct_stage_stays", COLUMNS, ORDER)
    return Stays.of(frame, day), [np.datetime64(origin, "D") for origin in origins]
