"""The gate: three outcomes, and no expectation that passes because it saw nothing."""

from datetime import date

import pandas as pd
import pytest

from ingestion.company import Company
from ingestion.home import Home
from publishing.gate import asking, expectations
from publishing.gate.checks import FAILED, NOT_APPLICABLE, PASSED, CheckResult, Refused, Results
from publishing.gate.great_expectations import Validator


def deals(n: int, amount: float = 100.0, known: float = 1.0) -> pd.DataFrame:
    sources = ["web" if i < known * n else None for i in range(n)]
    return pd.DataFrame(
        {
            "amount": [amount * (1 + i % 5) for i in range(n)],
            "currency": ["SEK"] * n,
            "source": pd.Series(sources, dtype="object"),
            "segment": pd.Series(sources, dtype="object"),
        }
    )


def visits(n: int, seconds: int) -> pd.DataFrame:
    return pd.DataFrame({"is_censored": [False] * n, "seconds_in_stage": [seconds] * n})


def rates(rate: float, n_mature: int = 200) -> pd.DataFrame:
    row = {"definition_id": "won", "horizon_days": 365, "n_mature": n_mature, "reached_rate": rate}
    return pd.DataFrame([row])


def wins(rate: float, effective_n: float = 200) -> pd.DataFrame:
    row = {
        "dimension": "all",
        "definition_id": "won",
        "horizon_days": 365,
        "effective_n": effective_n,
    }
    return pd.DataFrame([{**row, "estimated_rate": rate}])


def won_visits(days: float) -> pd.DataFrame:
    row = {"dimension": "all", "horizon_days": 365, "n_events": 40, "p80_days_in_stage": days}
    return pd.DataFrame([row])


def moves(n: int, gone: int, day: str = "2026-03-31") -> pd.DataFrame:
    """`n` deals, the last `gone` of which an export no longer names."""
    ids = [f"crm:{i}" for i in range(n)]
    created = pd.DataFrame({"journey_id": ids, "move_kind": "create", "move_number": 1,
                            "occurred_at": pd.Timestamp("2026-01-01")})  # fmt: skip
    deleted = pd.DataFrame({"journey_id": ids[n - gone :], "move_kind": "delete", "move_number": 2,
                            "occurred_at": pd.Timestamp(day)})  # fmt: skip
    frame = pd.concat([created, deleted], ignore_index=True)
    nowhere = dict.fromkeys(
        ("from_pipeline_id", "from_stage_id", "to_pipeline_id", "to_stage_id"), None
    )
    return frame.assign(record_type="deal", known_at=frame["occurred_at"], **nowhere)


def unknown(n: int, of: int) -> pd.DataFrame:
    """One logged change each of `n` deals that no export knows."""
    row = {"table_name": "deal_changes", "system_id": "crm", "n_records": 1}
    return pd.DataFrame(
        [{**row, "deal_id": f"crm:{i}", "n_records_of_system": of} for i in range(n)]
    )


def test_too_many_records_of_unknown_deals_need_a_confirmation_once() -> None:
    name = "few_records_are_of_unknown_deals"
    for before in (None, unknown(9, 100)):
        result = ask(name, unknown(11, 100), before)
        assert result.outcome == FAILED
        assert "deal_changes of crm" in result.detail
    # What was published is confirmed.
    assert ask(name, unknown(12, 100), unknown(11, 100)).outcome == PASSED


def ask(name: str, now: pd.DataFrame, before: pd.DataFrame | None) -> CheckResult:
    (expectation,) = (e for e in expectations.EXPECTATIONS if e.name == name)
    return asking.asked(expectation, expectations.Frames(now, before), Validator(), {})


@pytest.mark.parametrize(
    ("name", "good", "before", "bad"),
    [
        ("deals_keep_their_number", deals(100), deals(95), deals(60)),
        ("deals_keep_their_number", deals(100), deals(95), deals(400)),
        ("amounts_keep_their_scale", deals(60), deals(60, 110), deals(60, 100_000)),
        ("sources_stay_known", deals(60, known=0.9), deals(60), deals(60, known=0.7)),
        ("segments_stay_known", deals(60, known=0.9), deals(60), deals(60, known=0.5)),
        ("time_in_stage_keeps_its_scale", visits(60, 900), visits(60, 1_000), visits(60, 9_000)),
        ("yearly_win_rates_are_rates", rates(0.2), None, rates(0.0)),
        ("yearly_win_rates_are_rates", rates(0.2), None, rates(1.0)),
        ("win_estimates_keep_their_scale", wins(0.2), wins(0.25), wins(0.8)),
        (
            "time_in_stage_of_won_deals_keeps_its_scale",
            won_visits(20),
            won_visits(15),
            won_visits(1.5),
        ),
    ],
)
def test_each_expectation_has_a_violation_that_makes_it_fail(
    name: str, good: pd.DataFrame, before: pd.DataFrame | None, bad: pd.DataFrame
) -> None:
    assert ask(name, good, before).outcome == PASSED
    result = ask(name, bad, before)
    assert result.outcome == FAILED
    assert "found" in result.detail
    assert "expected" in result.detail


@pytest.mark.parametrize("expectation", expectations.EXPECTATIONS, ids=lambda e: e.name)
def test_a_first_run_and_a_small_company_are_not_applicable(
    expectation: expectations.Expectation,
) -> None:
    now = {
        "dim_deals": deals(5),
        "fct_stage_visits": visits(5, 9),
        "fct_stage_transitions": moves(100, 3),
        "conversion_estimates": wins(0.2, effective_n=40),
        "time_in_stage": won_visits(20).assign(n_events=5),
        "unknown_deals": unknown(n=9, of=100),
    }
    frame = now.get(expectation.table, rates(1.0, n_mature=10))
    for before in (None, frame):
        result = ask(expectation.name, frame, before)
        assert result.outcome == NOT_APPLICABLE
        assert result.detail


def test_an_export_that_lets_many_deals_go_needs_a_confirmation_once() -> None:
    name = "few_records_are_deleted_at_once"
    for before in (None, moves(100, 0)):
        result = ask(name, moves(100, 30), before)
        assert result.outcome == FAILED
        assert "30 of 100 deals gone with the crm export known 2026-03-31" in result.detail
        assert "accepted_changes" in result.detail
    # Confirmed and published, it is history; another one is asked about anew.
    assert ask(name, moves(100, 30), moves(100, 30)).outcome == PASSED
    assert ask(name, moves(100, 30, "2026-04-01"), moves(100, 30)).outcome == FAILED


def test_moves_that_another_order_of_stages_tells_otherwise_are_counted_and_refused() -> None:
    def told(*kinds: str) -> pd.DataFrame:
        ids = [f"crm:{i}" for i in range(len(kinds))]
        at = pd.Timestamp("2026-01-01")
        stages = {"from_stage_id": "crm:A", "to_stage_id": "crm:B"}
        pipelines = {"from_pipeline_id": "crm:p", "to_pipeline_id": "crm:p"}
        frame = pd.DataFrame({"journey_id": ids, "move_kind": kinds, "occurred_at": at})
        return frame.assign(**stages, **pipelines)

    name = "moves_keep_their_kind"
    before = told("advance", "advance", "skip")
    # What is new has no kind to keep.
    assert ask(name, told("advance", "advance", "skip", "regress"), before).outcome == (
        NOT_APPLICABLE
    )
    result = ask(name, told("regress", "regress", "skip"), before)
    assert result.outcome == FAILED
    assert "2 moves from crm:A to crm:B were advance and are regress" in result.detail
    assert "valid_from" in result.detail


def test_an_expectation_that_sees_no_rows_fails_and_does_not_pass() -> None:
    """Great Expectations passes every column expectation on an empty frame."""
    result = ask("amounts_keep_their_scale", deals(0), deals(60))
    assert (result.outcome, "no rows" in result.detail) == (FAILED, True)


def test_an_accepted_change_passes_on_its_day_only() -> None:
    change = {"check": "amounts_keep_their_scale", "as_of": "2026-03-31", "why": "now in thousands"}
    company = Company.model_validate({"accepted_changes": [change]})
    (expectation,) = (e for e in expectations.EXPECTATIONS if e.name == "amounts_keep_their_scale")
    frames = expectations.Frames(deals(60, 100_000), deals(60))
    for day, outcome in ((date(2026, 3, 31), NOT_APPLICABLE), (date(2026, 4, 1), FAILED)):
        allowed = asking.accepted(company, day)
        assert asking.asked(expectation, frames, Validator(), allowed).outcome == outcome


def test_a_missing_result_or_one_of_another_run_refuses(home: Home) -> None:
    Results(home, "old").store("dbt", [CheckResult("a", "dbt", PASSED)])
    results = Results(home, "new")
    with pytest.raises(Refused, match="a: was not evaluated"):
        results.require({"a"})
    results.store("dbt", [CheckResult("a", "dbt", PASSED)])
    assert [r.name for r in results.require({"a"})] == ["a"]
    results.store("landing", [CheckResult("b", "landing", FAILED, "file x is broken")])
    with pytest.raises(Refused, match="b: file x is broken"):
        results.require({"a"})


def test_there_is_no_fourth_outcome() -> None:
    with pytest.raises(ValueError, match="'passed', 'failed' or 'not_applicable'"):
        CheckResult("a", "dbt", "warned")  # type: ignore[arg-type]


def test_alerts_are_off_until_configured() -> None:
    from dagster_project.triggers import alert_sensors

    assert alert_sensors(Company()) == []
    alerts = {
        "email_from": "run@firm.example",
        "email_to": ["team@firm.example"],
        "smtp_host": "mail.firm.example",
        "slack_channel": "#sales",
    }
    assert len(alert_sensors(Company.model_validate({"alerts": alerts}))) == 2
