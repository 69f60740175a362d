"""The invented company: reproducible, recognisable, never mixed with a real one."""

from datetime import date
from pathlib import Path

import pytest

from simulation.company import simulate
from simulation.hubspot import NotASimulation, write_home

DAY = date(2026, 6, 30)


def test_the_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_home(simulate(60, 5, DAY), tmp_path / name)
    for path in (tmp_path / "a" / "inbox").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / "inbox" / path.name).read_bytes()
    other = simulate(60, 6, DAY)
    assert [d.created_at for d in other.deals] != [d.created_at for d in simulate(60, 5, DAY).deals]


def test_nothing_is_exported_that_has_not_happened_yet() -> None:
    company = simulate(300, 1, DAY)
    assert all(at <= company.until for deal in company.deals for at, _ in deal.known(company.until))
    assert all(activity.occurred_at <= company.until for activity in company.activities)
    assert any(deal.moves[-1][0] > company.until for deal in company.deals), "no open deals"


def test_skill_shows_in_wins_and_july_is_quiet() -> None:
    company = simulate(4_000, 2, DAY)

    def win_rate(skills: set[float]) -> float:
        deals = [deal for deal in company.deals if deal.seller.skill in skills]
        return sum(deal.moves[-1][1] == "won" for deal in deals) / len(deals)

    assert win_rate({0.5}) > 1.5 * win_rate({-0.45})
    months = [deal.created_at.month for deal in company.deals]
    assert months.count(7) < 0.4 * months.count(9)


def test_a_folder_with_anything_real_is_refused(tmp_path: Path) -> None:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "deals.csv").write_text("Deal\n")
    with pytest.raises(NotASimulation, match="not simulated"):
        write_home(simulate(5, 1, DAY), tmp_path)
    assert [p.name for p in (tmp_path / "inbox").iterdir()] == ["deals.csv"]
    write_home(simulate(5, 1, DAY), tmp_path / "new")
    write_home(simulate(6, 1, DAY), tmp_path / "new")
