"""The invented company: reproducible, recognisable, never mixed with a real one."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from simulation.company import FOREVER
from simulation.histories import simulate
from simulation.home import NotASimulation, write_home
from simulation.working_days import is_working_day

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
    assert all(c.at <= company.until for deal in company.deals for c in deal.known(company.until))
    assert all(activity.occurred_at <= company.until for activity in company.activities)
    assert any(deal.changes[-1].at > company.until for deal in company.deals), "no open deals"


def test_skill_shows_in_wins_and_july_is_quiet() -> None:
    company = simulate(4_000, 2, DAY)

    def win_rate(skills: set[float]) -> float:
        deals = [deal for deal in company.deals if deal.seller.skill in skills]
        return sum(deal.known(FOREVER)[-1].value == "won" for deal in deals) / len(deals)

    assert win_rate({0.5}) > 1.3 * win_rate({-0.45})
    months = [deal.created_at.month for deal in company.deals]
    assert months.count(7) < 0.4 * months.count(9)


def test_a_company_a_sales_leader_recognises() -> None:
    """Cycles of 3 to 12 months, an order in a handful won, everything people do to a CRM."""
    company = simulate(3_000, 4, DAY)
    won = [d for d in company.deals if d.known(FOREVER)[-1].value == "won"]
    new = [d for d in won if d.deal_type == "new"]
    days = sorted((d.known(FOREVER)[-1].at - d.created_at).days for d in new)
    assert days[len(days) // 2] > 90 and days[len(days) // 10] > 40 and days[-len(days) // 20] < 400
    assert 0.15 < len(won) / len(company.deals) < 0.4
    shown = [d for d in company.deals if d.is_shown(company.until)]
    changes = [c for d in shown for c in d.changes if c.at <= company.until]
    assert {c.source for c in changes} == {"ui", "bulk", "workflow"}
    assert any(c.is_mistake for c in changes)
    assert any(d.merged_at and d.merged_at <= company.until for d in company.deals)
    assert any(d.deleted_at and not d.is_shown(company.until) for d in company.deals)
    assert any(d.restored_at and d.restored_at <= company.until for d in shown)
    assert any(d.credits for d in shown)
    assert {d.deal_type for d in shown} == {"new", "renewal", "expansion"}
    converted = sum(lead.deal is not None for lead in company.leads) / len(company.leads)
    assert converted == pytest.approx(company.parameters.lead_converts, abs=0.01)


@pytest.mark.parametrize("year", [2024, 2025, 2026])
def test_swedish_holidays(year: int) -> None:
    easter_monday = {2024: date(2024, 4, 1), 2025: date(2025, 4, 21), 2026: date(2026, 4, 6)}[year]
    midsummer_eve = {2024: date(2024, 6, 21), 2025: date(2025, 6, 20), 2026: date(2026, 6, 19)}
    assert not is_working_day(easter_monday)
    assert not is_working_day(midsummer_eve[year])
    assert not is_working_day(date(year, 6, 6))
    assert sum(is_working_day(date(year, 1, 1) + timedelta(i)) for i in range(365)) in (
        249,
        250,
        251,
    )


def test_a_folder_with_anything_real_is_refused(tmp_path: Path) -> None:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "deals.csv").write_text("Deal\n")
    with pytest.raises(NotASimulation, match="not simulated"):
        write_home(simulate(5, 1, DAY), tmp_path)
    assert [p.name for p in (tmp_path / "inbox").iterdir()] == ["deals.csv"]
    write_home(simulate(5, 1, DAY), tmp_path / "new")
    write_home(simulate(6, 1, DAY), tmp_path / "new")
