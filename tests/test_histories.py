"""Made-up histories of every kind: the ledger against plain Python, zero differences."""

import os
import shutil
import subprocess
from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import pytest
from conftest import MAPPINGS, against_reference, build, hashes, mart
from histories import AS_OF, made_up, write

from ingestion.home import Home
from simulation.histories import simulate
from simulation.home import write_home

KINDS = {
    "create", "advance", "skip", "regress", "won", "lost", "reopen_after_lost",
    "reopen_after_won", "pipeline_change", "delete", "restore", "merge", "first_seen", "convert",
}  # fmt: skip


def company(home: Home, n: int, number: int) -> Path:
    """Marts of one company whose deals had these histories."""
    shutil.copy(MAPPINGS / "crm.yml", home.mappings)
    write(made_up(n, number), home.inbox)
    return build(home, AS_OF)


def test_five_hundred_histories_equal_the_reference(made_up_marts: Path) -> None:
    moves = mart(made_up_marts, "fct_stage_transitions")
    assert set(moves["move_kind"]) == KINDS
    flags = ("is_bulk", "is_correction", "is_conversion", "is_order_inferred", "is_after_win")
    for flag in flags:
        assert moves[flag].any(), flag
    assert moves["journey_id"].nunique() >= 500
    assert against_reference(made_up_marts) == []


@pytest.mark.campaign
@pytest.mark.parametrize("number", range(2, 12))
def test_ten_thousand_histories_equal_the_reference(home: Home, number: int) -> None:
    marts = company(home, 1_000, number)
    differences = against_reference(marts)
    record(f"1,000 histories, seed {number}", marts, differences)
    assert differences == []


def record(what: str, marts: Path, differences: list[str]) -> None:
    """Add a line to docs/campaign.md, where CAMPAIGN asks for it."""
    moves = mart(marts, "fct_stage_transitions")
    kinds = Counter(moves["move_kind"])
    if os.environ.get("CAMPAIGN"):
        root = Path(__file__).parents[1]
        git = ["git", "describe", "--always"]
        version = subprocess.run(git, cwd=root, capture_output=True, text=True).stdout.strip()
        if subprocess.run(
            ["git", "diff", "--quiet", "HEAD", "--", ".", ":!docs"], cwd=root
        ).returncode:
            version += ", changed"
        told = ", ".join(f"{kind} {n}" for kind, n in sorted(kinds.items()))
        with (root / "docs" / "campaign.md").open("a") as file:
            file.write(
                f"| {date.today()} | {version} | {what} | {moves['journey_id'].nunique():,} | "
                f"{len(moves):,} | {told} | {len(differences)} |\n"
            )


@pytest.mark.campaign
@pytest.mark.parametrize("crm", ["hubspot", "salesforce"])
def test_a_year_of_daily_drops_equals_the_reference(home: Home, crm: str) -> None:
    """Replayed to its end and to days on the way; where a log tells, either cut says the same."""
    day = date(2026, 6, 30)
    write_home(simulate(120, 12, day), home.root / "new", crm, drops=365)
    replayed = Home.at(home.root / "new")
    replayed.prepare()
    for ago in (0, 91, 270):
        marts = build(replayed, day - timedelta(ago))
        differences = against_reference(marts)
        record(f"{crm}, a year of drops, at {day - timedelta(ago)}", marts, differences)
        assert differences == []
        again = build(replayed, day - timedelta(ago), "as_reconstructed")
        assert hashes(again) == hashes(marts)
