"""What goes with meetings: numbers needed, raw and adjusted differences, words and warnings."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import betabinom

from analysis import mantel_haenszel
from analysis.activities import activity_estimates
from analysis.attempts import MEETINGS, SIGNUPS, Attempts
from analysis.comparisons import activity_comparisons
from analysis.mantel_haenszel import SideBySide, raw
from analysis.needed import needed
from analysis.pooling import mixtures
from analysis.reminders import reminder_sequences


@pytest.mark.parametrize(
    ("k", "n", "one", "five", "twenty"),
    [
        (6, 120, (14, 33), (91, 150), (384, 568)),
        (24, 480, (14, 32), (93, 138), (391, 501)),
        (1, 40, (24, 77), (159, 397), (671, 1592)),
    ],
)
def test_needed_equals_the_worked_numbers(
    k: int, n: int, one: tuple[int, int], five: tuple[int, int], twenty: tuple[int, int]
) -> None:
    a, b = np.array([k + 0.5]), np.array([n - k + 0.5])
    for effects, expected in ((1, one), (5, five), (20, twenty)):
        found = tuple(int(needed(effects, share, a, b)[0]) for share in (0.5, 0.8))
        assert found == expected


@pytest.mark.parametrize("seed", range(5))
def test_needed_is_the_smallest_number_that_is_enough(seed: int) -> None:
    random = np.random.default_rng(seed)
    a, b = random.uniform(0.5, 30, 20), random.uniform(0.5, 300, 20)
    for effects in (1, 5, 20):
        for share in (0.5, 0.8):
            for number, one, other in zip(needed(effects, share, a, b), a, b, strict=True):
                if np.isnan(number):
                    assert betabinom.sf(effects - 1, 10_000_000, one, other) < share
                    continue
                assert betabinom.sf(effects - 1, int(number), one, other) >= share - 1e-9
                if number > effects:
                    assert betabinom.sf(effects - 1, int(number) - 1, one, other) < share


def test_of_few_effects_the_others_say_what_is_likely_and_the_tail_is_long() -> None:
    """None of 40 beside 6 of 120: exactly, by integrating the pooled posterior, 76 and 1,337."""
    a, b = mixtures(np.array([0.0, 6.0]), np.array([40.0, 120.0]))
    half, most = (int(needed(1, share, a[:, :1], b[:, :1])[0]) for share in (0.5, 0.8))
    assert half == pytest.approx(76, rel=0.04) and most == pytest.approx(1337, rel=0.06)
    for number, share in ((half, 0.5), (most, 0.8)):
        assert betabinom.sf(0, number, a[:, 0], b[:, 0]).mean() >= share - 1e-9
        assert betabinom.sf(0, number - 1, a[:, 0], b[:, 0]).mean() < share


def test_nothing_is_needed_of_what_is_unknown() -> None:
    assert np.isnan(needed(1, 0.5, np.array([np.nan]), np.array([3.0]))).all()


# --- differences ---------------------------------------------------------------------------------


def mantel_haenszel_of(frame: pd.DataFrame) -> tuple[float, float]:
    """Risk difference and the part of `ours` that has others, stratum by stratum."""
    top = bottom = 0.0
    shared = 0
    for _, stratum in frame.groupby("stratum"):
        ours, others = stratum[stratum["ours"]], stratum[~stratum["ours"]]
        if len(ours) and len(others):
            weight = len(ours) * len(others) / len(stratum)
            top += weight * (ours["reached"].mean() - others["reached"].mean())
            bottom += weight
            shared += len(ours)
    return top / bottom, shared / frame["ours"].sum()


@pytest.mark.parametrize("chunk", [50, 10_000_000])
@pytest.mark.parametrize("seed", range(4))
def test_the_adjusted_difference_is_that_of_mantel_and_haenszel(
    seed: int, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mantel_haenszel, "CHUNK", chunk)
    random = np.random.default_rng(seed)
    n = 300
    frame = pd.DataFrame(
        {
            "stratum": random.integers(60, size=n),
            "account": random.integers(90, size=n),
            "side": random.choice(4, n, p=[0.3, 0.3, 0.2, 0.2]),
            "reached": random.random(n) < 0.2,
        }
    )
    side, stratum, account, reached = (
        frame[name].to_numpy() for name in ("side", "stratum", "account", "reached")
    )
    found = SideBySide(side, stratum, account).adjusted(reached)
    alone = SideBySide(side, stratum, np.arange(n)).adjusted(reached)
    (plain,) = raw(side, np.zeros(n, dtype=np.int64), account, [reached])
    single = SideBySide(side, np.zeros(n, dtype=np.int64), account).adjusted(reached)
    for number in range(4):
        frame["ours"] = frame["side"] == number
        expected, overlap = mantel_haenszel_of(frame)
        assert found.value[number] == pytest.approx(expected)
        assert found.overlap_rate[number] == pytest.approx(overlap)
        assert found.error[number] == pytest.approx(by_account(frame, expected))
        # Without clusters near the variance of Sato, which holds for sparse strata too.
        assert alone.error[number] == pytest.approx(sato(frame, expected), rel=0.15)
        ours, others = frame[frame["ours"]], frame[~frame["ours"]]
        assert plain.value[number] == pytest.approx(
            ours["reached"].mean() - others["reached"].mean()
        )
        # In one stratum both are the same but for the others' mean.
        assert plain.error[number] == pytest.approx(single.error[number], rel=0.1)
        assert plain.freedom[number] == single.freedom[number]


def by_account(frame: pd.DataFrame, difference: float) -> float:
    """Standard error by accounts, trial by trial."""
    sums: dict[int, float] = {}
    weights = 0.0
    for _, stratum in frame.groupby("stratum"):
        n, n1 = len(stratum), int(stratum["ours"].sum())
        if not 0 < n1 < n:
            continue
        weights += n1 * (n - n1) / n
        mean = (stratum["reached"] - difference * stratum["ours"]).mean()
        for account, ours, reached in zip(
            stratum["account"], stratum["ours"], stratum["reached"], strict=True
        ):
            left = reached - mean - (difference if ours else 0)
            part = left * (n - n1) / n if ours else -left * n1 / n
            sums[account] = sums.get(account, 0.0) + part * np.sqrt(n / (n - 1))
    g = len(sums)
    return float(np.sqrt(sum(x * x for x in sums.values()) * g / (g - 1)) / weights)


def sato(frame: pd.DataFrame, difference: float) -> float:
    """Standard error of the risk difference (Sato 1989, Biometrics 45, 1323-1324)."""
    p = q = weights = 0.0
    for _, stratum in frame.groupby("stratum"):
        n1, total = int(stratum["ours"].sum()), len(stratum)
        n0 = total - n1
        x1 = int((stratum["ours"] & stratum["reached"]).sum())
        x0 = int((~stratum["ours"] & stratum["reached"]).sum())
        p += (n1**2 * x0 - n0**2 * x1 + n1 * n0 * (n0 - n1) / 2) / total**2
        q += (x1 * (n0 - x0) + x0 * (n1 - x1)) / (2 * total)
        weights += n1 * n0 / total
    return float(np.sqrt(difference * p + q) / weights)


def test_attempts_at_one_company_are_no_independent_trials() -> None:
    random = np.random.default_rng(1)
    account = np.repeat(np.arange(40), 20)
    reached = np.repeat(random.random(40) < 0.3, 20)
    stratum = np.zeros(len(account), dtype=np.int64)
    side = (account % 2).astype(np.int64)
    clustered = SideBySide(side, stratum, account).adjusted(reached)
    alone = SideBySide(side, stratum, np.arange(len(account))).adjusted(reached)
    assert (clustered.error > 4 * alone.error).all()


# --- tables --------------------------------------------------------------------------------------


def attempts(n: int = 4_000, seed: int = 1, effect: float = 0.0, mix: bool = False) -> Attempts:
    """Calls with one of two messages. With `mix`, message `b` goes to the better segment."""
    random = np.random.default_rng(seed)
    person = random.integers(n // 2, size=n)
    segment = np.where(person % 3 == 0, "Large", "Small")
    share = np.where(segment == "Large", 0.8, 0.2) if mix else np.full(n, 0.5)
    message = np.where(random.random(n) < share, "b", "a")
    rate = np.where(segment == "Large", 0.24, 0.06) if mix else np.full(n, 0.1)
    reached = random.random(n) < rate + effect * (message == "b")
    frame = pd.DataFrame(
        {
            "activity_id": [f"x{i}" for i in range(n)],
            "type": "call",
            "person_id": [f"contact:{p}" for p in person],
            "account_id": [f"a{p // 2}" for p in person],
            "owner_id": [f"s{p % 4}" for p in person],
            "message_variant": message,
            "segment": segment,
            "source": "web",
            "attempt_number": random.integers(1, 4, size=n),
            "is_at_risk": True,
            "is_followed": True,
            "held_meeting_id": np.where(reached, "m", None),
            "as_of": pd.Timestamp("2026-06-30"),
        }
    )
    for column in MEETINGS.columns:
        if column not in frame:
            frame[column] = None
    return Attempts(frame)


def comparison(table: pd.DataFrame, value: str) -> pd.Series:
    rows = table[
        (table["definition_id"] == "meeting_held_14")
        & (table["group_dimension"] == "all")
        & (table["dimension"] == "message_variant")
        & (table["dimension_value"] == value)
    ]
    (row,) = rows.to_dict("records")
    return pd.Series(row)


def test_what_goes_with_more_is_said_so_and_no_more() -> None:
    row = comparison(activity_comparisons(attempts(effect=0.08)), "b")
    assert row["said"] == "goes with more meetings, after adjustment"
    assert row["evidence"] == "observed" and row["warning"] is None
    assert row["low_simultaneous_difference"] <= row["low_adjusted_difference"]
    assert row["expected_by_chance"] == pytest.approx(row["n_compared"] * 0.05)


def test_a_message_that_went_to_better_segments_is_warned_about() -> None:
    row = comparison(activity_comparisons(attempts(mix=True)), "b")
    assert row["low_raw_difference"] > 0
    assert row["warning"] in ("sign_differs", "gone_after_adjustment")
    assert row["said"] == "no difference can be told"


def test_a_message_of_one_segment_alone_has_no_others_like_it() -> None:
    made = attempts()
    made.codes["message_variant"] = made.codes["segment"]
    row = comparison(activity_comparisons(made), "Large")
    assert row["warning"] == "thin_overlap" and row["said"] == "not enough data to compare"


def test_estimates_count_and_say_what_is_needed() -> None:
    made = attempts()
    table = activity_estimates(made)
    row = comparison(table, "a")
    frame = made.frame[made.frame["message_variant"] == "a"]
    k, n = int(frame["held_meeting_id"].notna().sum()), len(frame)
    assert (row["n_events"], row["n_mature"]) == (k, n)
    assert row["attempts_per_effect"] == pytest.approx(n / k, abs=1e-5)
    assert 0.8 * n < row["effective_n"] <= n
    assert row["low_attempts_per_effect"] < n / k < row["high_attempts_per_effect"]
    assert row["n_needed_for_1_at_50"] < row["n_needed_for_1_at_80"] < row["n_needed_for_5_at_50"]
    booked = table[table["definition_id"] == "meeting_booked_14"]
    assert set(booked["reason"]) == {"no_effect_yet"}
    assert (
        booked["n_needed_for_1_at_50"].isna().all() and booked["attempts_per_effect"].isna().all()
    )


def test_a_company_without_attempts_has_empty_tables() -> None:
    made = Attempts(attempts().frame.iloc[:0])
    assert len(activity_estimates(made)) == 0
    assert len(activity_comparisons(made)) == 0
    assert len(reminder_sequences(invitations({}, 0))) == 0


# --- seminars ------------------------------------------------------------------------------------


def invitations(hazards: dict[int, float], n: int, sender: str = "ceo") -> Attempts:
    """`n` people, each at a company of their own, reminded until they sign up: exactly the
    hazards, as far as whole people allow.
    """
    rows, left = [], list(range(n))
    for number, hazard in hazards.items():
        k = round(hazard * len(left))
        rows += [(f"{sender}{who}", number, f"s{who}" if place < k else None)
                 for place, who in enumerate(left)]  # fmt: skip
        left = left[k:]
    frame = pd.DataFrame(rows, columns=["person_id", "reminder_no", "signup_id"])
    frame = frame.assign(
        activity_id=[f"{sender}{i}" for i in range(len(frame))], type="email",
        account_id=frame["person_id"], first_sender_id=sender, campaign_id="breakfast",
        attempt_number=frame["reminder_no"] + 1, is_at_risk=True, is_followed=True,
        as_of=pd.Timestamp("2026-06-30"),
    )  # fmt: skip
    for column in SIGNUPS.columns:
        if column not in frame:
            frame[column] = None
    return Attempts(frame, SIGNUPS)


def test_reminders_add_up_and_say_how_many_mails_fill_the_seminar() -> None:
    table = reminder_sequences(invitations({0: 0.1, 1: 0.1, 2: 0.05}, 1_000))
    rows = table[table["dimension"] == "first_sender"].set_index("reminder_no")
    assert rows["n_at_risk"].tolist() == [1_000, 900, 810]
    assert rows["n_events"].tolist() == [100, 90, 40]
    assert rows["signed_up_rate"].tolist() == pytest.approx([0.1, 0.19, 0.23])
    assert rows["invitations_per_person"].tolist() == pytest.approx([1, 1.9, 2.71])
    assert rows["invitations_per_signup"].tolist() == pytest.approx([10, 10, 2.71 / 0.23])
    # Of people that are asked once each, and answer or not, the whole is a plain proportion.
    n, k = 1_000, 230
    low, high = rows.loc[2, ["low_signed_up_rate", "high_signed_up_rate"]]
    p, z = k / n, 1.959964
    centre, half = (
        (p + z * z / 2 / n) / (1 + z * z / n),
        np.sqrt(p * (1 - p) / n + z * z / 4 / n**2) * z / (1 + z * z / n),
    )
    assert (low, high) == (
        pytest.approx(centre - half, abs=2e-4), pytest.approx(centre + half, abs=2e-4),
    )  # fmt: skip
    people = rows.loc[2, "n_people_needed_for_20_at_80"]
    assert betabinom.sf(19, int(people), k + 0.5, n - k + 0.5) >= 0.8
    assert rows.loc[2, "n_invitations_needed_for_20_at_80"] == np.ceil(2.71 * people)


def test_of_reminders_whose_first_is_unknown_the_whole_is_not_told() -> None:
    table = reminder_sequences(invitations({1: 0.1, 2: 0.0}, 200))
    rows = table[table["dimension"] == "all"]
    assert rows["estimated_rate"].tolist() == pytest.approx([0.1, 0.0])
    assert rows["signed_up_rate"].isna().all()
    assert set(rows["reason"]) == {"earlier_ones_unknown"}


def test_nobody_signed_up_yet_is_no_number() -> None:
    table = reminder_sequences(invitations({0: 0.0, 1: 0.0}, 50))
    rows = table[table["dimension"] == "all"]
    assert set(rows["reason"]) == {"no_effect_yet"}
    assert rows["n_people_needed_for_1_at_50"].isna().all()
    assert (rows["high_signed_up_rate"] > 0.02).all()
