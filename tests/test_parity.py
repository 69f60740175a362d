"""The models on Spark: every mart row by row as on DuckDB, every dbt test and unit test."""

import os
import shutil
import subprocess
from datetime import date
from pathlib import Path

import pytest
from conftest import MAPPINGS, build
from histories import AS_OF, made_up, write

from ingestion.home import Home
from simulation.histories import simulate
from simulation.home import write_home

ROOT = Path(__file__).parents[1]
SPARK = ROOT / ".venv-spark" / "bin" / "python"


def on_spark(home: Home, as_of: date, scratch: Path) -> str:
    """Build the home's warehouse again on Spark; what the comparison says."""
    run = subprocess.run(
        [SPARK, "-m", "measure.parity", home.root, as_of.isoformat(), scratch],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert run.returncode == 0, run.stdout + run.stderr[-3_000:]
    return run.stdout


@pytest.mark.parity
def test_the_invented_company_is_the_same_on_spark(tmp_path: Path) -> None:
    day = date(2026, 6, 30)
    home = Home.at(tmp_path / "home")
    write_home(simulate(250, 7, day), home.root, "hubspot", drops=3)
    home.prepare()
    build(home, day)
    said = on_spark(home, day, tmp_path / "spark")
    assert "fct_stage_transitions" in said and "no difference" in said


@pytest.mark.parity
def test_made_up_histories_are_the_same_on_spark(home: Home, tmp_path: Path) -> None:
    shutil.copy(MAPPINGS / "crm.yml", home.mappings)
    write(made_up(200, 1), home.inbox)
    build(home, AS_OF)
    said = on_spark(home, AS_OF, tmp_path / "spark")
    assert "ledger_disagreements: 0 rows" not in said and "no difference" in said
