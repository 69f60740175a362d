"""Experiments: declared once, assigned by company, read out honestly however often one looks."""

import csv
import json
import shutil
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from conftest import MAPPINGS, build, mart, shared
from scipy.stats import ttest_ind

from analysis.experiments import LOOK_COLUMNS, experiment_tables, shares_of
from analysis.plans import Baseline, plan
from analysis.randomised import effect, mismatch, multiplier, without_what_was_known
from cli.main import main
from ingestion.home import Home
from publishing.estimates import estimate
from publishing.looks import Looks, keep_looks
from publishing.sets import PublishedSets
from publishing.warehouse import Warehouse

DAY = date(2026, 6, 30)
AS_OF = pd.Timestamp(DAY)
NO_LOOKS = pd.DataFrame(columns=list(LOOK_COLUMNS))


def declared(**changes: Any) -> pd.DataFrame:
    row = {"experiment_id": "x", "variants": "a: 50, b: 50", "primary_outcome": "meeting_held",
           "end_on": pd.NaT, "is_declared_late": False, "is_changed": False,
           "as_of": AS_OF}  # fmt: skip
    return pd.DataFrame([row | changes])


def units(arms: dict[str, list[float]], accounts: list[str] | None = None) -> pd.DataFrame:
    """Units with these outcomes, followed and known, each at a company of its own if not given."""
    rows = [(name, value) for name, values in arms.items() for value in values]
    frame = pd.DataFrame(rows, columns=["variant", "outcome"])
    return frame.assign(
        experiment_id="x", unit_id=[f"u{n}" for n in range(len(frame))], account_id=accounts,
        is_reassigned=False, is_followed=True, n_outcomes_before=0, n_contacts_before=0,
    )  # fmt: skip


def readout(experiments: pd.DataFrame, frame: pd.DataFrame, looks: Any = NO_LOOKS) -> pd.DataFrame:
    return experiment_tables(experiments, frame, looks)[0].set_index("variant")


# --- estimators ----------------------------------------------------------------------------------


def hillstrom() -> pd.DataFrame:
    (path,) = shared("hillstrom_email").glob("*.csv")
    return pd.read_csv(path)


ARMS = "No E-Mail: 1, Mens E-Mail: 1, Womens E-Mail: 1"


@pytest.mark.parametrize("column", ["visit", "conversion", "spend"])
def test_hillstroms_mails_are_read_out_as_by_welch(column: str) -> None:
    """64,000 customers, each alone: differences and intervals of an independent computation."""
    sent = hillstrom()
    arms = {name: part[column].tolist() for name, part in sent.groupby("segment")}
    outcome = "amount_won" if column == "spend" else "deal_won"
    found = readout(declared(variants=ARMS, primary_outcome=outcome), units(arms))
    control = sent[sent["segment"] == "No E-Mail"][column]
    assert found.loc["No E-Mail", "mean_outcome"] == pytest.approx(control.mean(), abs=1e-6)
    assert found["mismatch_p"].iloc[0] > 0.5 and found["warning"].isna().all()
    for name in ("Mens E-Mail", "Womens E-Mail"):
        treated = sent[sent["segment"] == name][column]
        welch = ttest_ind(treated, control, equal_var=False)
        low, high = welch.confidence_interval(0.95)
        row = found.loc[name]
        assert row["n_events"] == (treated > 0).sum()
        assert row["difference"] == pytest.approx(treated.mean() - control.mean(), abs=1e-6)
        assert row["low_difference"] == pytest.approx(low, rel=2e-3, abs=2e-6)
        assert row["high_difference"] == pytest.approx(high, rel=2e-3, abs=2e-6)
        assert row["ratio"] == pytest.approx(treated.mean() / control.mean(), rel=1e-5)
        assert row["low_always_difference"] < low and row["high_always_difference"] > high
        # The women's mails sold less surely than the men's: by every look it is not settled.
        is_settled = row["low_always_difference"] > 0
        assert (row["state"] == "decided") == is_settled
        assert is_settled == (name == "Mens E-Mail" or column == "visit")


def test_hillstroms_mails_with_some_of_an_arm_gone_are_not_read() -> None:
    sent = hillstrom()
    mens = sent[sent["segment"] == "Mens E-Mail"]
    left = sent.drop(mens.sample(frac=0.03, random_state=1).index)
    arms = {name: part["visit"].tolist() for name, part in left.groupby("segment")}
    found = readout(declared(variants=ARMS, primary_outcome="deal_won"), units(arms))
    assert (found["mismatch_p"] < 0.01).all()
    assert set(found["state"]) == {"cannot_be_read"} and set(found["evidence"]) == {"none"}
    assert found["said"].eq("nothing can be told: assignment not as planned").all()


def test_units_of_one_company_are_no_independent_trials() -> None:
    """By account, as the sums of an account's residuals are squared in a regression on the arm."""
    random = np.random.default_rng(1)
    account = np.repeat(np.arange(200), 5)
    is_variant = account % 2 == 0
    value = ((random.random(200) < 0.3)[account]).astype(float)
    found = effect(value, is_variant, account)
    design = np.column_stack([np.ones(1_000), is_variant])
    bread = np.linalg.inv(design.T @ design)
    residual = value - design @ (bread @ design.T @ value)
    sums = np.array([(design * residual[:, None])[account == a].sum(axis=0) for a in range(200)])
    variance = bread @ (sums.T @ sums) @ bread
    assert found.difference == pytest.approx((bread @ design.T @ value)[1])
    assert found.error == pytest.approx(np.sqrt(variance[1, 1] * 200 / 198))
    alone = effect(value, is_variant, np.arange(1_000))
    assert found.error > 2 * alone.error


def test_what_was_known_before_narrows_and_moves_nothing() -> None:
    random = np.random.default_rng(2)
    errors, moved = [], []
    for _ in range(300):
        known = random.normal(size=(400, 1))
        is_variant = random.random(400) < 0.5
        value = known[:, 0] + random.normal(size=400) + 0.5 * is_variant
        adjusted, reduced = without_what_was_known(value, is_variant.astype(int), known)
        assert 0.3 < reduced < 0.7
        account = np.arange(400)
        plain, without = (effect(x, is_variant, account) for x in (value, adjusted))
        errors.append(without.error / plain.error)
        moved.append(without.difference - 0.5)
    assert 0.65 < np.mean(errors) < 0.75
    assert abs(np.mean(moved)) < 3 * np.std(moved) / np.sqrt(300)


@pytest.mark.parametrize("size", [1, 4])
def test_looking_every_day_decides_hardly_ever_where_nothing_is(size: int) -> None:
    """A/A for 60 days, 150 times, with companies of `size` units that answer alike; the long
    test is `make calibrate`.
    """
    n_false = 0
    for seed in range(150):
        random = np.random.default_rng(seed)
        account = np.repeat(np.arange(600 // size), size)
        is_variant = (random.random(600 // size) < 0.5)[account]
        rate = random.beta(0.4, 3.6, 600 // size)[account]
        value = (random.random(600) < rate).astype(float)
        low_and_high = [
            effect(value[:n], is_variant[:n], account[:n]).bounds_of_every_look()
            for n in range(120, 601, 16)
        ]
        n_false += any(low > 0 or high < 0 for low, high in low_and_high)
    assert n_false <= 0.05 * 150


def test_bounds_of_every_look_are_tightest_where_it_is_said() -> None:
    around = {n: multiplier(n) for n in (30, 150, 300, 600, 3_000)}
    assert min(around, key=lambda n: around[n]) == 300
    assert around[30] / around[300] == pytest.approx(1.27, abs=0.01)
    assert around[3_000] / around[300] == pytest.approx(1.07, abs=0.01)


def test_shares_are_read_as_people_and_programs_write_them() -> None:
    assert shares_of("standard: 50, question: 50") == {"standard": 0.5, "question": 0.5}
    assert shares_of('{"a": 0.2, "b": 0.6}') == pytest.approx({"a": 0.25, "b": 0.75})
    assert shares_of("a: 50 %; b: 50 %") == {"a": 0.5, "b": 0.5}
    for text in (None, "", "a: 50", "a, b", "a: 50, a: 50", "a: 0, b: 50", "a: x, b: 50"):
        with pytest.raises(ValueError, match="variant"):
            shares_of(text)


def test_units_as_planned_are_no_mismatch() -> None:
    assert mismatch(np.array([500, 500]), np.array([0.5, 0.5])) == 1
    assert mismatch(np.array([560, 440]), np.array([0.5, 0.5])) < 0.001
    assert mismatch(np.array([250, 750]), np.array([0.25, 0.75])) == 1


# --- states --------------------------------------------------------------------------------------


def outcomes(n: int, k: int) -> list[float]:
    return [1.0] * k + [0.0] * (n - k)


def test_an_experiment_is_decided_kept_going_or_cannot_be_settled() -> None:
    sure = {"a": outcomes(300, 30), "b": outcomes(300, 90)}
    found = readout(declared(), units(sure)).loc["b"]
    assert (found["state"], found["said"]) == ("decided", "b brings more meetings held than a")
    assert found["decided_on"] == AS_OF and found["evidence"] == "randomised"
    alike = {"a": outcomes(300, 30), "b": outcomes(300, 36)}
    assert readout(declared(), units(alike)).loc["b", "state"] == "keep_going"
    ended = declared(end_on=AS_OF - pd.Timedelta(days=1))
    found = readout(ended, units(alike)).loc["b"]
    assert found["state"] == "cannot_be_settled" and "cannot settle" in found["said"]
    still = units(alike).assign(is_followed=[True] * 599 + [False])
    assert readout(ended, still).loc["b", "state"] == "keep_going"
    few = {"a": outcomes(25, 5), "b": outcomes(25, 24)}
    assert readout(declared(), units(few)).loc["b", "said"] == "too early to look"


def test_what_was_once_decided_stays_so_since_then() -> None:
    before = {
        "experiment_id": "x", "variant": "b", "looked_on": AS_OF - pd.Timedelta(days=9),
        "definition_id": "meeting_held", "state": "decided", "n_mature": 80, "n_events": 20,
        "adjusted_difference": 0.2, "low_always_difference": 0.01, "high_always_difference": 0.4,
    }  # fmt: skip
    look = pd.DataFrame([before])
    alike = units({"a": outcomes(300, 30), "b": outcomes(300, 36)})
    found, looks = experiment_tables(declared(), alike, look)
    row = found.set_index("variant").loc["b"]
    assert (row["state"], row["decided_on"]) == ("decided", AS_OF - pd.Timedelta(days=9))
    assert row["said"] == "b brings more meetings held than a"
    assert looks["looked_on"].tolist() == [AS_OF - pd.Timedelta(days=9), AS_OF]


def test_several_variants_share_the_chance_of_being_wrong() -> None:
    arms = {"a": outcomes(300, 30), "b": outcomes(300, 56), "c": outcomes(300, 30)}
    two = readout(declared(), units({name: arms[name] for name in "ab"})).loc["b"]
    three = readout(declared(variants="a: 1, b: 1, c: 1"), units(arms)).loc["b"]
    assert three["n_compared"] == 2 and three["difference"] == two["difference"]
    assert three["low_always_difference"] < two["low_always_difference"]


def test_what_cannot_be_known_is_not_read() -> None:
    arms = units({"a": outcomes(300, 30), "b": outcomes(300, 90)})
    unknown = arms.assign(outcome=arms["outcome"].where(arms.index % 10 > 0))
    found = readout(declared(), unknown)
    assert set(found["state"]) == {"cannot_be_read"}
    assert found["warning"].eq("outcomes_unknown").all() and found["n_unknown"].sum() == 60
    other = arms.assign(variant=arms["variant"].where(arms.index > 0, "z"))
    for undeclared in (declared(variants="oops"), declared()):
        found = readout(undeclared, other)
        assert found["warning"].str.contains("variants_undeclared").all()
        assert found["said"].str.startswith("nothing can be told").all()


def test_late_and_changed_declarations_are_said() -> None:
    arms = units({"a": outcomes(300, 30), "b": outcomes(300, 90)})
    found = readout(declared(is_declared_late=True, is_changed=True), arms).loc["b"]
    assert found["warning"] == "declared_late, changed_after_it_was_declared"
    assert found["state"] == "decided"


def test_a_company_without_experiments_has_empty_tables() -> None:
    readouts, looks = experiment_tables(declared().iloc[:0], units({}), NO_LOOKS)
    assert len(readouts) == len(looks) == 0


# --- plans ---------------------------------------------------------------------------------------


def half_a_year(n: int, k: int, size: int = 1) -> Baseline:
    """Companies of `size` units that are all alike."""
    return Baseline(n // size, n, k, n * size, k * size, k * size)


@pytest.mark.parametrize("size", [1, 4])
def test_a_planned_experiment_settles_its_effect_in_four_of_five(size: int) -> None:
    baseline = half_a_year(2_000, 200, size)
    assert baseline.design_effect == pytest.approx(size)
    needed = plan(baseline, [0.5, 0.5], 0.08).n_units
    random = np.random.default_rng(1)
    n_settled = 0
    for _ in range(400):
        account = np.arange(needed) // size
        is_variant = account % 2 == 0
        rate = np.where(np.arange(account[-1] + 1) % 2 == 0, 0.18, 0.1)
        value = (random.random(account[-1] + 1) < rate)[account].astype(float)
        n_settled += effect(value, is_variant, account).bounds_of_every_look()[0] > 0
    assert 0.75 <= n_settled / 400 <= 0.88


def test_a_volume_that_cannot_settle_it_is_said_so() -> None:
    found = plan(half_a_year(60, 6), [0.5, 0.5], 0.03)
    assert not found.can_be_settled and found.weeks > 52
    assert found.smallest > 0.15
    with pytest.raises(ValueError, match="none, or all"):
        plan(half_a_year(60, 0), [0.5, 0.5], 0.03)
    with pytest.raises(ValueError, match="cannot move"):
        plan(half_a_year(60, 6), [0.5, 0.5], -0.2)


# --- from sheets ---------------------------------------------------------------------------------

SHEET = "experiment_id,hypothesis,variants,unit,primary_outcome,window_days,start_on,end_on\n"
ASSIGNED = "experiment_id,unit_id,account_id,variant,assigned_at\n"
LINES = "activity_id,type,occurred_at,outcome,contact_id,account_id,email,phone\n"


@pytest.fixture
def crm(home: Home) -> Home:
    shutil.copy(MAPPINGS / "crm.yml", home.mappings)
    (home.mappings / "mellantid.yml").write_text(
        "files:\n" + "".join(
            f"  {name}: {{known_at: {{file_name: '(\\d{{4}}-\\d{{2}}-\\d{{2}})'}}}}\n"
            for name in ("experiments", "assignments")
        )
    )  # fmt: skip
    return home


def put(home: Home, name: str, text: str, day: str = f"{DAY}") -> None:
    (home.inbox / f"{name}-{day}.csv").write_text(text)


def test_outcomes_are_those_within_the_window_after_the_assignment(crm: Home) -> None:
    arms = '"a: 50, b: 50"'
    first = f"one,,{arms},account,meeting_held,14,2026-03-01,\n"
    first += f"two,,{arms},contact,deal_won,14,2026-03-01,\n"
    put(crm, "experiments", SHEET + first, "2026-02-20")
    later = f"one,,{arms},account,meeting_booked,90,2026-03-01,2026-05-01\n"
    put(crm, "experiments", SHEET + later, "2026-04-01")
    put(crm, "activities", LINES
        + "before,meeting,2026-02-20 10:00,held,k1,a1,,\n"
        + "call,call,2026-02-25 10:00,,k1,a1,,\n"
        + "within,meeting,2026-03-10 10:00,held,k1,a1,,\n"
        + "after,meeting,2026-03-17 10:00,held,k2,a2,,\n"
        + "nobody,meeting,2026-03-05 10:00,no_show,k3,a3,,\n"
        + "late,meeting,2026-06-29 10:00,held,k4,a4,,\n")  # fmt: skip
    rows = [
        ("one", "crm:a1", "a", "2026-03-02"), ("one", "crm:a2", "b", "2026-03-02"),
        ("one", "crm:a3", "a", "2026-03-02"), ("one", "crm:a4", "b", "2026-06-28"),
        ("one", "crm:a9", "b", "2026-03-02"), ("one", "crm:a1", "b", "2026-05-02"),
        ("two", "crm:k1", "a", "2026-03-02"), ("three", "crm:a1", "a", "2026-03-02"),
        ("one", "a7", "a", "2026-03-02"),
    ]  # fmt: skip
    lines = "".join(f"{e},{u},,{v},{at} 09:00\n" for e, u, v, at in rows)
    put(crm, "assignments", ASSIGNED + lines)
    marts = build(crm, DAY)
    found = mart(marts, "experiment_units").astype(object)
    found = found.where(found.notna(), None)
    told = {
        (row["experiment_id"].split(":")[1], row["unit_id"].split(":")[1]): (
            row["variant"], row["outcome"] and float(row["outcome"]), row["is_followed"],
            row["is_reassigned"], row["n_outcomes_before"], row["n_contacts_before"],
            row["reason"])
        for _, row in found.iterrows()
    }  # fmt: skip
    assert told == {
        ("one", "a1"): ("a", 1.0, True, True, 1, 2, None),
        ("one", "a2"): ("b", 0.0, True, False, 0, 0, None),
        ("one", "a3"): ("a", 0.0, True, False, 0, 0, None),
        ("one", "a4"): ("b", 1.0, False, False, 0, 0, None),
        ("one", "a9"): ("b", None, True, False, 0, 0, "unknown_unit"),
        ("two", "k1"): ("a", None, False, False, 0, 2, "not_told_of_such_units"),
        ("three", "a1"): ("a", None, False, False, 0, 0, "undeclared_experiment"),
    }
    experiments = mart(marts, "dim_experiments").set_index("experiment_id")
    first = experiments.loc["mellantid:one"]
    assert (first["primary_outcome"], first["window_days"]) == ("meeting_held", 14)
    assert first["is_changed"] and not first["is_declared_late"]
    assert str(first["end_on"])[:10] == "2026-05-01"


def published(home: Home, day: date) -> Path:
    """The marts and estimates of a day, and what is kept of them."""
    marts = build(home, day)
    warehouse = Warehouse(home, day)
    assert estimate(warehouse, lambda: None).outcome == "passed"
    keep_looks(warehouse)
    return marts


def assigned_home(home: Home, n: int) -> None:
    """Companies with two contacts each, called in the last half-year; some meet."""
    random = np.random.default_rng(1)
    lines, contacts = [], []
    for account in range(n):
        for who in (f"k{account}a", f"k{account}b"):
            contacts.append(f"{who},a{account},,\n")
            lines.append(f"c{who},call,2026-02-{1 + account % 27:02d} 10:00,,{who},a{account},,\n")
            if random.random() < 0.3:
                lines.append(
                    f"m{who},meeting,2026-03-{1 + account % 27:02d} 10:00,held,{who},a{account},,\n"
                )
    put(home, "activities", LINES + "".join(lines))
    put(home, "contacts", "contact_id,account_id,email,phone\n" + "".join(contacts))
    deals = "".join(f"d{a},p,A,,2026-01-10,a{a}\n" for a in range(n))
    put(home, "all", "deal_id,pipeline_id,stage_id,status,created_at,account_id\n" + deals)
    put(home, "experiments",
        SHEET + 'one,,"a: 50, b: 50",contact,meeting_held,30,2026-07-01,\n')  # fmt: skip


def test_plan_and_assign_go_from_the_sheet_to_the_inbox_and_back(
    crm: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assigned_home(crm, 60)
    marts = build(crm, DAY)
    monkeypatch.setattr(PublishedSets, "current", lambda self: marts)
    command = ["--home", str(crm.root), "experiment"]
    told = CliRunner().invoke(main, [*command, "plan", "one", "--effect", "10"])
    assert told.exit_code == 0, told.output
    assert "120 contacts contacted" in told.output and "weeks" in told.output
    unclear = CliRunner().invoke(main, [*command, "plan", "two", "--effect", "10"])
    assert unclear.exit_code == 2 and "declared are one" in unclear.output
    only = tmp_path / "only.txt"
    only.write_text("k1a\ncrm:k1b\nk2a\n")
    first, second, third = (tmp_path / f"{name}.csv" for name in ("first", "second", "third"))
    some = CliRunner().invoke(main, [*command, "assign", "one", str(first), "--only", str(only)])
    assert some.exit_code == 0, some.output
    for path in (second, third):
        assert CliRunner().invoke(main, [*command, "assign", "one", str(path)]).exit_code == 0
    sheets = [list(csv.DictReader(path.open())) for path in (first, second, third)]
    assert [len(sheet) for sheet in sheets] == [3, 120, 120]
    variants = [{row["unit_id"]: row["variant"] for row in sheet} for sheet in sheets]
    assert variants[1] == variants[2] and variants[0].items() <= variants[1].items()
    assert all(variants[1][f"crm:k{a}a"] == variants[1][f"crm:k{a}b"] for a in range(60))
    assert 0.3 < sum(v == "a" for v in variants[1].values()) / 120 < 0.7
    assert sheets[0][0]["record_id"] == "k1a" and sheets[0][0]["account_id"] == "crm:a1"
    assert datetime.fromisoformat(sheets[0][0]["assigned_at"]).tzinfo is not None
    # What is assigned already is not assigned again.
    put(crm, "assignments", ASSIGNED + "one,crm:k1a,,a,2026-06-30 09:00\n")
    build(crm, DAY)
    again = tmp_path / "again.csv"
    assert CliRunner().invoke(main, [*command, "assign", "one", str(again)]).exit_code == 0
    assert len(list(csv.DictReader(again.open()))) == 119


def test_what_was_looked_at_is_kept_as_it_was_published(crm: Home) -> None:
    assigned_home(crm, 40)
    put(crm, "experiments", SHEET
        + 'one,,"a: 50, b: 50",contact,meeting_held,30,2026-01-15,\n', "2026-01-10")  # fmt: skip
    rows = "".join(
        f"one,crm:k{a}{who},crm:a{a},{'ab'[a % 2]},2026-01-20 09:00\n"
        for a in range(40) for who in "ab"
    )  # fmt: skip
    put(crm, "assignments", ASSIGNED + rows, "2026-01-20")
    for day in (date(2026, 6, 30), date(2026, 7, 1)):
        marts = published(crm, day)
    for kept_already in (date(2026, 7, 1), date(2026, 6, 29)):
        keep_looks(Warehouse(crm, kept_already))
    kept = json.loads((crm.looks / "2026-06-30.json").read_text())
    assert [look["variant"] for look in kept["looks"]] == ["b"]
    looks = mart(marts, "experiment_looks")
    assert [f"{day:%m-%d}" for day in looks["looked_on"]] == ["06-30", "07-01"]
    assert sorted(path.stem for path in crm.looks.iterdir()) == ["2026-06-30", "2026-07-01"]
    assert len(Looks.read(crm.looks / "2026-07-01.json").looks) == 1
    row = mart(marts, "experiment_readouts").set_index("variant").loc["b"]
    assert (row["n_mature"], row["n_accounts"]) == (40, 20)
    assert row["said"] == "too early to look"
