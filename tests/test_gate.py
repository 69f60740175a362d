"""The gate: three outcomes, and no expectation that passes because it saw nothing."""

from datetime import date

import duckdb
import pandas as pd
import pytest

from ingestion.company import Company
from ingestion.home import Home
from publishing.gate import asking, expectations
from publishing.gate.asking import Sets
from publishing.gate.checks import FAILED, NOT_APPLICABLE, PASSED, CheckResult, Refused, Results
from publishing.gate.forms import Expectation, percent
from publishing.gate.great_expectations import Validator


def deals(n: int, amount: float = 100.0, known: float = 1.0) -> pd.DataFrame:
    """Half of them won, of five sellers and two sources and segments each."""
    values = pd.Series([f"v{i % 2}" if i < known * n else None for i in range(n)], dtype="object")
    return pd.DataFrame(
        {
            "deal_id": [f"crm:{i}" for i in range(n)],
            "status": ["won" if i % 2 else "lost" for i in range(n)],
            "amount": [amount * (1 + i % 5) for i in range(n)],
            "currency": ["SEK"] * n,
            "source": values,
            "segment": values,
            "seller_id": [f"crm:s{i % 5}" for i in range(n)],
            "account_id": [f"crm:a{i}" for i in range(n)],
            "created_on": pd.Timestamp("2026-01-10"),
            "closed_on": pd.Timestamp("2026-02-10"),
        }
    )


def disputes(n: int) -> pd.DataFrame:
    return pd.DataFrame({"deal_id": pd.Series([f"crm:{i}" for i in range(n)], dtype="string")})


def ends(n_won: int) -> pd.DataFrame:
    """Moves of 60 journeys, the first of which are won."""
    kinds = ["won" if n < n_won else "open" for n in range(60)]
    return moves(60, 0).assign(to_stage_kind=kinds)


def one_value(column: str) -> pd.DataFrame:
    """All but three deals of 200 have the same."""
    return deals(200).assign(**{column: ["a"] * 197 + ["b", "c", "d"]})


def four_values(column: str) -> pd.DataFrame:
    return deals(200).assign(**{column: [f"v{n % 4}" for n in range(200)]})


def expected_on(day: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    expected = deals(40).assign(status="open", expected_close_on=pd.Timestamp(day))
    return expected, pd.DataFrame({"as_of": [pd.Timestamp("2026-03-31")]})


def days_of_moves(n_of_one_day: int, n: int = 200) -> pd.DataFrame:
    """Dated moves, the first so many of which are of one day."""
    start = pd.Timestamp("2026-01-01")
    days = [start if i < n_of_one_day else start + pd.Timedelta(days=i) for i in range(n)]
    return pd.DataFrame({"fidelity": "event_log", "occurred_on": days})


def outcomes(n: int, n_never: int) -> pd.DataFrame:
    """Values of a dimension with 60 decided deals each, so many of which nobody has won."""
    won = [0 if i < n_never else 20 for i in range(n)]
    return pd.DataFrame({"n_won": won, "n_lost": [60 - k for k in won]})


def cohorts(n_reached: int, n_entered: int = 150) -> pd.DataFrame:
    row = {"pipeline_id": "crm:p", "stage_id": "crm:A", "segment": "X", "seller_id": "crm:s",
           "source": "web", "definition_id": "won", "horizon_days": 90,
           "entered_month": pd.Timestamp("2026-01-01"), "n_entered": n_entered,
           "n_mature": n_entered, "n_reached": n_reached}  # fmt: skip
    return pd.DataFrame([row])


def visits(n: int, seconds: int) -> pd.DataFrame:
    """Ended visits; the last tenth lasts a week whatever the others do."""
    lasted = [seconds if i < 0.9 * n else 7 * 86_400 for i in range(n)]
    return pd.DataFrame(
        {
            "is_censored": False,
            "record_type": "deal",
            "fidelity": "event_log",
            "seconds_in_stage": lasted,
        }
    )


def rates(rate: float, n_mature: int = 400) -> pd.DataFrame:
    row = {"pipeline_id": "crm:p", "stage_id": None, "definition_id": "won", "horizon_days": 365,
           "n_mature": n_mature, "n_reached": round(rate * n_mature)}  # fmt: skip
    return pd.DataFrame([row])


def wins(rate: float, effective_n: float = 200) -> pd.DataFrame:
    row = {
        "dimension": "all",
        "definition_id": "won",
        "horizon_days": 365,
        "effective_n": effective_n,
    }
    return pd.DataFrame([{**row, "estimated_rate": rate}])


def forecast(amount: float) -> pd.DataFrame:
    row = {"scope": "company", "period_start_on": pd.Timestamp("2026-04-01"), "n_events": 150,
           "as_of": pd.Timestamp("2026-03-31"), "p50_amount": amount}  # fmt: skip
    return pd.DataFrame([row])


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
    frame = pd.concat([created, deleted], ignore_index=True).astype({"journey_id": "string"})
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
        assert "deal_changes of crm: 11 of 100 records" in result.detail
    # What was published is confirmed.
    assert ask(name, unknown(12, 100), unknown(11, 100)).outcome == PASSED


Told = pd.DataFrame | tuple[pd.DataFrame, ...]


Tables = dict[str, pd.DataFrame]


def sets(now: Tables, before: Tables | None) -> Sets:
    """Tables by their names, as the two sets that are asked."""
    connection = duckdb.connect()
    for schema, tables in (("now", now), ("before", before or {})):
        connection.execute(f"create schema {schema}")
        for name, frame in tables.items():
            connection.register("frame", frame)
            connection.execute(f"create table {schema}.{name} as from frame")
    return Sets(connection)


def told(name: str, tables: Told) -> Tables:
    """The tables that an expectation asks, in its order."""
    frames = tables if isinstance(tables, tuple) else (tables,)
    return dict(zip(the(name).tables, frames, strict=True))


def the(name: str) -> Expectation:
    (expectation,) = (e for e in expectations.EXPECTATIONS if e.name == name)
    return expectation


def ask(name: str, now: Told, before: Told | None) -> CheckResult:
    earlier = None if before is None else told(name, before)
    return asking.asked(the(name), sets(told(name, now), earlier), Validator(), {})


VIOLATIONS: list[tuple[str, Told, Told | None, Told, str]] = [
    ("deals_keep_their_number", deals(100), deals(95), deals(60),
     "there are 60 deals, where 76 to 240 were expected"),
    ("deals_keep_their_number", deals(100), deals(95), deals(400), "there are 400 deals"),
    ("amounts_keep_their_scale", deals(60), deals(60, 110), deals(60, 100_000),
     "the median amount of a deal is 300,000, where 110 to 990 was expected"),
    ("sources_are_known", deals(60, known=0.9), deals(60), deals(60, known=0.7),
     "30 % of 60 deals have no source, where at most 10 % may"),
    ("segments_are_known", deals(60, known=0.9), deals(60), deals(60, known=0.5),
     "50 % of 60 deals have no segment"),
    ("sellers_are_known", deals(60), None,
     deals(100).assign(seller_id=["crm:s"] + [None] * 99),
     "99 % of 100 deals have no seller, where at most 95 % may"),
    ("sources_are_known", deals(60), None, deals(200, known=0.02), "98 % of 200 deals have no"),
    ("segments_are_known", deals(60), None, deals(200, known=0.02), "98 % of 200 deals have no"),
    ("time_in_stage_keeps_its_scale", visits(60, 900), visits(60, 1_000), visits(60, 9_000),
     "the median number of seconds in a stage is 9,000, where 333.333 to 3,000 was expected"),
    ("yearly_win_rates_are_rates", rates(0.2), None, rates(0.0), "none or all are won"),
    ("yearly_win_rates_are_rates", rates(0.2), None, rates(1.0), "of 400 that entered"),
    ("win_estimates_keep_their_scale", wins(0.2), wins(0.25), wins(0.8), "is 0.8, where 0.0833"),
    ("forecasts_keep_their_scale", forecast(5e6), forecast(4e6), forecast(4e7),
     "is 4e+07, where"),
    ("time_in_stage_of_won_deals_keeps_its_scale", won_visits(20), won_visits(15), won_visits(1.5),
     "is 1.5, where 5 to 45 was expected"),
    ("wins_have_an_amount", deals(60), None,
     deals(60).assign(amount=[100.0] + [None] * 59), "100 % of 30 won deals have no amount"),
    ("deals_close_after_their_creation", deals(60), None,
     deals(60).assign(closed_on=pd.Timestamp("2025-12-01")),
     "100 % of 60 deals with both days closed before they were created, where at most 5 % may"),
    ("expected_closes_are_near", expected_on("2026-05-01"), None, expected_on("2099-12-31"),
     "are expected more than ten years away"),
    ("the_ledger_follows_what_exports_claim", (deals(60), disputes(3)), None,
     (deals(60), disputes(30)), "50 % of 60 deals are told otherwise"),
    ("sellers_differ", deals(200), None, one_value("seller_id"), "98.5 % of 200 deals with a sell"),
    ("sources_differ", four_values("source"), None, one_value("source"), "have one and the same,"),
    ("segments_differ", four_values("segment"), None, one_value("segment"), "where at most 98 % m"),
    ("accounts_differ", deals(200), None, one_value("account_id"), "98.5 % of 200 deals with a co"),
    ("not_only_wins_are_exported", ends(30), None, ends(60),
     "100 % of 60 deals and leads are won, where at most 95 % may"),
    ("moves_are_of_many_days", days_of_moves(20), None, days_of_moves(150),
     "75 % of 200 dated moves are of one and the same day, where at most 50 % may"),
    ("visits_are_shorter_than_five_years", visits(60, 900), None, visits(60, 6 * 365 * 86_400),
     "90 % of 60 ended visits lasted more than five years"),
    ("visits_take_time", visits(60, 900), None, visits(60, 0), "90 % of 60 ended visits of deals"),
    ("sellers_have_sold", outcomes(20, 2), None, outcomes(20, 19), "95 % of 20 sellers with 50 an"),
    ("sources_have_sold", outcomes(20, 2), None, outcomes(20, 12), "60 % of 20 sources with 50 an"),
    *((f"finished_cohorts_by_{what}_keep_their_conversion", cohorts(35), cohorts(30), cohorts(90),
       "won within 90 days of crm:A: 30 of 150 were, 90 of 150 are")
      for what in ("segment", "seller", "source")),
    *((f"finished_cohorts_by_{what}_keep_their_conversion", cohorts(30), cohorts(30),
       cohorts(18, 90), "30 of 150 were, 18 of 90 are")
      for what in ("segment", "seller", "source")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "good", "before", "bad", "said"), VIOLATIONS)
def test_each_expectation_has_a_violation_that_makes_it_fail(
    name: str, good: Told, before: Told | None, bad: Told, said: str
) -> None:
    assert ask(name, good, before).outcome == PASSED
    result = ask(name, bad, before)
    assert result.outcome == FAILED
    assert said in result.detail
    assert the(name).reason in result.detail


def test_no_expectation_is_without_a_violation_a_reason_and_a_history() -> None:
    own = {
        "few_records_are_deleted_at_once", "few_records_are_of_unknown_deals",
        "moves_keep_their_kind",
    }  # fmt: skip
    assert {name for name, *_ in VIOLATIONS} | own == {e.name for e in expectations.EXPECTATIONS}
    assert all(e.reason and e.history for e in expectations.EXPECTATIONS)


def test_what_a_person_let_pass_may_stay_and_not_grow() -> None:
    """After a set with 60 % unpriced wins was published, 61 % pass and 70 % do not."""

    def unpriced(share: float) -> pd.DataFrame:
        amounts = [None if i < share * 200 else 100.0 for i in range(200)]
        return deals(200).assign(status="won", amount=amounts)

    name = "wins_have_an_amount"
    assert ask(name, unpriced(0.6), None).outcome == FAILED
    assert ask(name, unpriced(0.61), unpriced(0.6)).outcome == PASSED
    assert ask(name, unpriced(0.7), unpriced(0.6)).outcome == FAILED


@pytest.mark.parametrize("expectation", expectations.EXPECTATIONS, ids=lambda e: e.name)
def test_a_small_company_is_not_applicable(expectation: Expectation) -> None:
    small: dict[str, pd.DataFrame] = {
        "dim_deals": deals(5).assign(expected_close_on=pd.Timestamp("2099-12-31")),
        "deal_counts": pd.DataFrame({"as_of": [pd.Timestamp("2026-03-31")]}),
        "ledger_disagreements": disputes(5),
        "fct_stage_visits": visits(5, 0),
        "fct_stage_transitions": moves(0, 0).assign(
            **dict.fromkeys(("fidelity", "occurred_on", "to_stage_kind"))
        ),
        "conversion_estimates": wins(0.2, effective_n=40),
        "time_in_stage": won_visits(20).assign(n_events=5),
        "forecasts": forecast(4e6).assign(n_events=20),
        "unknown_deals": unknown(n=0, of=100).reindex(columns=[*unknown(1, 1)]),
        "outcomes_by_seller": outcomes(3, 3),
        "outcomes_by_source": outcomes(3, 3),
        "conversion_by_segment": cohorts(3, n_entered=10),
        "conversion_by_seller": cohorts(3, n_entered=10),
        "conversion_by_source": cohorts(3, n_entered=10).assign(stage_id=None),
    }
    for before in (False, True):
        asked = sets(small, small if before else None)
        result = asking.asked(expectation, asked, Validator(), {})
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
    assert ask(name, told("advance", "advance", "skip", "regress"), before).outcome == PASSED
    assert ask(name, before, None).outcome == NOT_APPLICABLE
    result = ask(name, told("regress", "regress", "skip"), before)
    assert result.outcome == FAILED
    assert "2 moves from crm:A to crm:B were advance and are regress" in result.detail
    assert "valid_from" in result.detail


def test_an_expectation_that_sees_no_rows_fails_and_does_not_pass() -> None:
    """Great Expectations passes every column expectation on an empty frame."""
    result = ask("amounts_keep_their_scale", deals(0), deals(60))
    assert (result.outcome, "no rows" in result.detail) == (FAILED, True)


def test_a_set_without_a_column_is_not_compared_with() -> None:
    """Published some schema versions ago: the limit of a first run holds."""
    earlier = deals(60).drop(columns="created_on")
    assert ask("deals_close_after_their_creation", deals(60), earlier).outcome == PASSED


def test_an_accepted_change_passes_on_its_day_only() -> None:
    change = {"check": "amounts_keep_their_scale", "as_of": "2026-03-31", "why": "now in thousands"}
    company = Company.model_validate({"accepted_changes": [change]})
    expectation = the("amounts_keep_their_scale")
    both = sets({"dim_deals": deals(60, 100_000)}, {"dim_deals": deals(60)})
    for day, outcome in ((date(2026, 3, 31), NOT_APPLICABLE), (date(2026, 4, 1), FAILED)):
        allowed = asking.accepted(company, day)
        assert asking.asked(expectation, both, Validator(), allowed).outcome == outcome


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


def test_a_share_is_said_to_be_all_or_none_only_if_it_is() -> None:
    shares = [0, 0.0001, 0.05, 0.985, 0.9996, 1]
    assert [percent(share) for share in shares] == [
        "0 %", "less than 0.1 %", "5 %", "98.5 %", "more than 99.9 %", "100 %"
    ]  # fmt: skip
