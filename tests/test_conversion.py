"""Estimates against worked numbers, published tables, slow recomputation and known truth."""

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats
from scipy.special import betainc, betaln, expit, logit

from analysis import conversion, risk_sets, sellers, visits
from analysis.entries import Entries
from analysis.incidence import Incidence, cumulative_incidence, incidence_on
from analysis.intervals import wilson
from analysis.pooling import _posterior, normal_scores, pooled
from analysis.risk_sets import Subjects
from measure import trials
from publishing.catalogue import estimate_tables
from publishing.estimates import incoherent

DAY = 86_400


def one_group(
    leaving: Any, event: Any, last_day: int, entry: Any = None, cluster: Any = None, which: int = 1
) -> Incidence:
    leaving, event = np.asarray(leaving), np.asarray(event)
    nobody = np.full(len(leaving), -1)
    entry = nobody if entry is None else np.asarray(entry)
    cluster = np.arange(len(leaving)) if cluster is None else np.asarray(cluster)
    subjects = Subjects(np.zeros(len(leaving), int), 1, cluster, entry, leaving, event)
    return cumulative_incidence(subjects, last_day, (which,))[0]


# --- worked numbers and published tables ---------------------------------------------------------


def test_sixty_deals_with_ties() -> None:
    """metric-definitions: 0.448096 and 0.551904; with losses taken for censored, 0.7516."""
    random = np.random.default_rng(0)
    leaving, event = random.integers(1, 30, 60), random.choice([0, 1, 2], 60)
    last = int(leaving.max())
    assert one_group(leaving, event, last).rate[0, -1] == pytest.approx(0.448096, abs=5e-7)
    assert one_group(leaving, event, last, which=2).rate[0, -1] == pytest.approx(0.551904, abs=5e-7)
    naive = one_group(leaving, np.where(event == 2, 0, event), last)
    assert naive.rate[0, -1] == pytest.approx(0.7516, abs=5e-5)


def test_the_breast_cancer_table_of_satagopan() -> None:
    """Satagopan et al. (2004), British Journal of Cancer 91, 1229–1235, table 2."""
    leaving = [7, 10, 14, 16, 18, 23, 24, 26, 27] + [60] * 296
    event = [0, 1, 0, 1, 2, 1, 0, 2, 1] + [0] * 296
    found = one_group(leaving, event, 60)
    percent = 100 * found.rate[0, [0, 10, 16, 23, 27]]
    assert np.diff(percent).round(1).tolist() == [0.3, 0.3, 0.3, 0.3]
    # The table adds up the rounded steps.
    assert percent == pytest.approx([0.0, 0.3, 0.6, 0.9, 1.2], abs=4 * 0.05)
    deaths = one_group(leaving, np.minimum(event, 1), 60)
    survival = [round(100 - 100 * float(deaths.rate[0, m]), 1) for m in (10, 16, 18, 23, 26, 27)]
    assert survival == [99.7, 99.3, 99.0, 98.7, 98.3, 98.0]


def test_the_remission_times_of_freireich() -> None:
    """6-MP group; survival and Greenwood's errors as in Collett, Modelling Survival Data, ch. 2."""
    times = (
        6,
        6,
        6,
        -6,
        7,
        -9,
        10,
        -10,
        -11,
        13,
        16,
        -17,
        -19,
        -20,
        22,
        23,
        -25,
        -32,
        -32,
        -34,
        -35,
    )
    censored_if_negative = np.array(times)
    found = one_group(np.abs(times), (censored_if_negative > 0).astype(int), 35)
    days = [6, 7, 10, 13, 16, 22, 23]
    survival = [0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448]
    error = [0.0764, 0.0869, 0.0963, 0.1068, 0.1141, 0.1282, 0.1346]
    assert 1 - found.rate[0, days] == pytest.approx(survival, abs=5e-4)
    assert np.sqrt(found.variance[0, days]) == pytest.approx(error, abs=5e-5)


# --- slow recomputation --------------------------------------------------------------------------


def slowly(
    entry: Any, leaving: Any, event: Any, weight: Any, last_day: int, which: int = 1
) -> float:
    """Aalen–Johansen as in the book, one day after the other; nan once nobody is followed."""
    rate, survival = 0.0, 1.0
    for day in range(last_day + 1):
        is_at_risk = (entry < day) & (leaving >= day)
        n = weight[is_at_risk].sum()
        if n == 0:
            if survival > 0.02:
                return float("nan")
            continue
        leaves = is_at_risk & (leaving == day)
        rate += survival * weight[leaves & (event == which)].sum() / n
        survival *= 1 - weight[leaves & (event > 0)].sum() / n
    return rate


deals = st.lists(
    st.tuples(st.integers(-1, 6), st.integers(0, 12), st.integers(0, 2), st.integers(0, 4)),
    min_size=1,
    max_size=25,
)


@given(deals)
@settings(max_examples=150, deadline=None)
def test_rates_and_variances_equal_a_slow_recomputation(rows: list[tuple[int, ...]]) -> None:
    """With ties, late entries, clusters; the variance from derivatives taken numerically."""
    entry, after, event, cluster = (np.array(column) for column in zip(*rows, strict=True))
    leaving, last = np.maximum(entry + 1, after), 10
    ones = np.ones(len(rows))
    event = np.where(leaving > last, 0, event)
    found = [one_group(leaving, event, last, entry, cluster, which) for which in (1, 2)]
    for which, incidence in enumerate(found, start=1):
        expected = slowly(entry, leaving, event, ones, last, which)
        assert incidence.rate[0, last] == pytest.approx(expected, nan_ok=True)
    total = found[0].rate + found[1].rate
    assert np.nanmax(np.append(total, 0)) <= 1 + 1e-9
    assert (np.diff(found[0].rate[0][~np.isnan(found[0].rate[0])]) >= -1e-12).all()
    n_clusters = len(set(cluster[entry < last]))
    if np.isnan(found[0].rate[0, last]) or n_clusters < 2:
        return
    influence = np.empty(len(rows))
    for i in range(len(rows)):
        step = np.where(np.arange(len(rows)) == i, 1e-5, 0)
        up, down = (slowly(entry, leaving, event, ones + s, last) for s in (step, -step))
        influence[i] = (up - down) / 2e-5
    of_cluster = np.bincount(cluster, influence)
    n = int((entry < last).sum())
    factor = n_clusters / (n_clusters - 1) * (n - 1) / n
    expected = float((of_cluster**2).sum() * factor)
    assert found[0].variance[0, last] == pytest.approx(expected, abs=1e-7)


def test_a_few_that_were_not_followed_widen_the_interval_and_many_silence_it() -> None:
    """Of 100 one is out of sight, still open, on day 20: 60 % were won, or 61 %."""
    leaving, event = [5] * 60 + [6] * 39 + [20], [1] * 60 + [2] * 39 + [0]
    found = one_group(leaving, event, 30)
    assert (found.rate[0, 30], found.unknown[0, 30]) == pytest.approx((0.6, 0.01))
    low, high = found.bounds(30)
    assert low == pytest.approx(wilson(0.6, 100)[0])
    assert high == pytest.approx(wilson(0.61, 100)[1])
    many = one_group([5] * 60 + [6] * 37 + [20] * 3, [1] * 60 + [2] * 37 + [0] * 3, 30)
    assert np.isnan(many.rate[0, 30])


def test_without_censoring_it_is_the_binomial() -> None:
    event = np.array([1] * 7 + [2] * 5 + [0] * 18)
    found = one_group(np.where(event > 0, 3, 10), event, 10)
    assert found.rate[0, 10] == pytest.approx(7 / 30)
    assert found.variance[0, 10] == pytest.approx(7 / 30 * 23 / 30 / 30)
    assert found.effective_n[0, 10] == pytest.approx(30)
    interval = stats.binomtest(7, 30).proportion_ci(method="wilson")
    assert np.hstack(wilson(7 / 30, 30)) == pytest.approx([interval.low, interval.high])


def test_where_nothing_happened_accounts_count_and_not_their_deals() -> None:
    """Ten accounts of a hundred deals without a win are hardly more than ten deals."""
    cluster = np.repeat(np.arange(10), 100)
    found = one_group(np.full(1_000, 5), np.zeros(1_000, int), 5, cluster=cluster)
    _, high = wilson(found.rate[0, 5], found.effective_n[0, 5])
    assert found.effective_n[0, 5] < 10
    assert high > 0.2


def random_subjects(seed: int) -> Subjects:
    """Of forty groups, some followed late, some of two accounts that end alike."""
    random = np.random.default_rng(seed)
    group = np.repeat(np.arange(40), random.integers(1, 30, 40))
    leaving = random.integers(0, 400, len(group))
    entry = np.where(random.random(len(group)) < 0.2, random.integers(-1, 300, len(group)), -1)
    cluster = random.integers(0, len(group) // 2 + 1, len(group))
    event = random.choice([0, 1, 2], len(group))
    # Two accounts, of four and six deals: half of each is won, on any days.
    alike = np.array([1, 1, 2, 2, 1, 1, 1, 2, 2, 2])
    return Subjects(
        np.append(group, np.full(10, 40)),
        41,
        np.append(cluster, [10**6] * 4 + [10**6 + 1] * 6),
        np.append(entry, np.full(10, -1)),
        np.append(leaving, random.integers(1, 80, 10)),
        np.append(event, alike),
    )


@pytest.mark.parametrize("seed", range(20))
def test_estimates_on_some_days_are_those_of_all_days(seed: int) -> None:
    subjects, days = random_subjects(seed), (30, 90, 180, 365)
    (some,) = incidence_on(subjects, days, (1,))
    (each,) = cumulative_incidence(subjects, 366, (1,))
    for name in ("rate", "unknown", "n_events", "effective_n"):
        of_all = getattr(each, name)[:, days]
        assert np.allclose(getattr(some, name), of_all, rtol=1e-9, atol=1e-9, equal_nan=True), name
    # Of two accounts that end alike there is no variance, and two tell little.
    assert (some.effective_n[40, 1:] < 0.1).all()


@pytest.mark.parametrize("n", [1, 7, 40, 150])
def test_estimates_do_not_depend_on_how_many_are_looked_at_together(
    n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor do those of groups that nobody is in, first, between others and last."""
    subjects = random_subjects(n)
    subjects = replace(subjects, group=subjects.group * 2 + 1, n_groups=2 * subjects.n_groups + 3)
    for estimated, days in ((incidence_on, (30, 90, 365)), (cumulative_incidence, 366)):
        whole = estimated(subjects, days, (1, 2))
        with monkeypatch.context() as patch:
            patch.setattr(risk_sets, "N_TOGETHER", n)
            parts = estimated(subjects, days, (1, 2))
        for one, other in zip(whole, parts, strict=True):
            for name, values in vars(one).items():
                found = getattr(other, name)
                assert np.allclose(values, found, rtol=1e-6, atol=1e-9, equal_nan=True), name


def test_those_known_too_late_to_be_followed_do_not_count() -> None:
    leaving, event = [2, 2, 2, 10, 10], [1, 1, 1, 0, 0]
    alone = one_group(leaving, event, 10)
    with_others = one_group([*leaving, *[40] * 50], [*event, *[1] * 50], 10, [-1] * 5 + [30] * 50)
    assert with_others.rate[0, 10] == alone.rate[0, 10] == pytest.approx(0.6)
    assert with_others.effective_n[0, 10] == pytest.approx(alone.effective_n[0, 10])


# --- known truth ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cells() -> list[trials.Cell]:
    chosen = product(trials.PATTERNS, (30, 300), (0.02, 0.1, 0.5, 0.95))
    return [trials.coverage(11, pattern, n, rate, 400) for pattern, n, rate in chosen]


def test_intervals_hold_what_they_promise(cells: list[trials.Cell]) -> None:
    """Each cell not below 92.5 %, the mean between 94 and 96.5 %, as far as 400 trials can tell."""
    for cell in cells:
        told = round(cell.reported * cell.replications)
        hits = round(cell.coverage * told)
        assert stats.binom.cdf(hits, told, 0.925) > 1e-4, cell
    mean = np.mean([cell.coverage for cell in cells])
    error = 3 * np.sqrt(0.95 * 0.05 / sum(cell.replications for cell in cells))
    assert 0.94 - error < mean < 0.965 + error


def test_estimates_are_not_biased_and_naive_rates_are(cells: list[trials.Cell]) -> None:
    for cell in cells:
        error = 4 * np.sqrt(cell.rate * (1 - cell.rate) / cell.n * 3 / cell.replications)
        assert abs(cell.bias) < 0.005 + error, cell
    young = [cell for cell in cells if cell.pattern == "young" and cell.rate == 0.5]
    assert all(cell.naive_bias < -0.1 for cell in young)


def test_pooled_intervals_and_rank_ranges_hold() -> None:
    group = trials.Group(12, (5, 20, 80), 0.3, 0.3)
    found = trials.pooling(5, group, 150)
    # 1,800 sellers, those of one replication alike in part.
    assert 0.92 < found["sellers"] <= 1
    assert found["ranks"] > 0.93
    assert found["width"] < 0.8


def test_the_slow_end_of_stays_is_not_that_of_the_quick_wins() -> None:
    found = trials.time_in_stage(3, 200, 200)
    assert abs(found["bias"]) < 0.2 < 1.5 < -found["naive_bias"]
    assert found["coverage"] > 0.91


def test_the_rate_part_of_the_mix_is_covered() -> None:
    assert trials.mix(2, 40, 0.5, 15)["coverage"] > 0.9


def test_of_equals_side_by_side_hardly_one_seems_apart() -> None:
    """Six per cent of companies at most, as far as 30 can tell; by each alone a third and more."""
    found = trials.equals(4, 12, 60, 30)
    assert found["seller_at_once"] <= 2 / 30
    assert found["segment_at_once"] <= 2 / 30
    assert found["seller_alone"] > 0.25


# --- readings of time ----------------------------------------------------------------------------


def entries(rows: list[dict[str, Any]]) -> Entries:
    return Entries(entries_table(rows))


def entries_table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Entries given in days: entered (before as_of), won, lost, next_any, left, late, gap."""
    frame = pd.DataFrame(rows).astype({"entered": float})
    entered = trials.AS_OF - (frame["entered"].to_numpy() * DAY).astype("timedelta64[s]")
    reached = {
        name: frame.get(name, pd.Series(np.nan, frame.index)).fillna(10_000).to_numpy() * DAY
        for name in ("won", "lost", "next_any", "left")
    }
    late = frame.get("late", pd.Series(0.0, frame.index)).fillna(0).to_numpy() * DAY
    columns = {
        name: frame[name].to_numpy()
        for name in ("segment", "source", "seller_id", "account_id", "stage_id")
        if name in frame
    }
    columns.setdefault("account_id", np.arange(len(frame)))
    table = trials.entries_frame(entered, late, reached, **columns)
    if "gap" in frame:
        gap = (frame["gap"].fillna(0).to_numpy() * DAY).astype("timedelta64[s]")
        table["won_at_earliest"] = np.where(gap > 0, table["won_at"] - gap, np.datetime64("NaT"))
    return table


def random() -> np.random.Generator:
    return np.random.default_rng(1)


def all_of(found: pd.DataFrame, definition: str, horizon: int) -> dict[str, Any]:
    rows = found.query(
        "dimension == 'all' and definition_id == @definition and horizon_days == @horizon"
    )
    (row,) = rows.to_dict("records")
    return {str(name): value for name, value in row.items()}


def test_an_event_counts_on_the_day_that_ends_with_it_and_ended_days_are_followed() -> None:
    rows = [{"entered": 30.0, "won": 30.0}, {"entered": 30.0}, {"entered": 29.99}]
    found = all_of(conversion.conversion_tables(entries(rows))[0], "won", 30)
    assert (found["n_entered"], found["n_mature"], found["n_events"]) == (3, 2, 1)
    # On day 30 two of the three are still followed.
    assert found["estimated_rate"] == pytest.approx(0.5)
    # A day that has not ended: not yet an event, and a day less of follow-up.
    unfinished = [{"entered": 30.5, "won": 30.2}, {"entered": 30.5}]
    assert all_of(conversion.conversion_tables(entries(unfinished))[0], "won", 90)["n_events"] == 0


def test_a_deal_open_when_history_starts_counts_from_then_on() -> None:
    """Two followed from the entry, one won; a third seen from day 10, won on day 20."""
    rows = [{"entered": 100, "won": 5}, {"entered": 100}, {"entered": 100, "won": 20, "late": 10}]
    found = all_of(conversion.conversion_tables(entries(rows))[0], "won", 90)
    assert found["estimated_rate"] == pytest.approx(1 / 2 + 1 / 2 * 1 / 2)
    assert found["n_mature"] == 2


def test_what_nobody_was_followed_for_is_null() -> None:
    found = all_of(
        conversion.conversion_tables(entries([{"entered": 50}, {"entered": 20}]))[0], "won", 90
    )
    assert np.isnan(found["estimated_rate"])
    assert np.isnan(found["high_rate"])
    assert found["effective_n"] == 0
    assert found["maturity_rate"] == 0


def test_bounds_between_exports_make_an_envelope_and_wide_ones_nothing() -> None:
    """Won on day 100 at the latest and day 70 at the earliest: by day 90, perhaps."""
    rows = [{"entered": 400, "won": 100, "gap": 30}, *[{"entered": 400, "won": 10}] * 2]
    found = conversion.conversion_tables(entries([*rows, {"entered": 400}]))[0]
    by_90 = all_of(found, "won", 90)
    assert by_90["estimated_rate"] == by_90["lowest_rate"] == pytest.approx(0.5)
    assert by_90["highest_rate"] == pytest.approx(0.75)
    assert by_90["low_rate"] < wilson(0.5, 4)[0] + 1e-6
    assert by_90["high_rate"] == pytest.approx(wilson(0.75, 4)[1])
    wide = [{"entered": 400, "won": 20, "gap": 8}, {"entered": 400}]
    told = conversion.conversion_tables(entries(wide))[0]
    # Eight days are more than a quarter of 30, and less than one of 90.
    assert np.isnan(all_of(told, "won", 30)["estimated_rate"])
    for table in (
        sellers.seller_mix(entries(wide)),
        sellers.seller_conversion(entries(wide), random()),
    ):
        columns = [c for c in ("seller_rate", "rate_difference", "pooled_rate") if c in table]
        by_30 = table.query("definition_id == 'won' and horizon_days == 30")
        by_90 = table.query("definition_id == 'won' and horizon_days == 90")
        assert by_30[columns].isna().all(axis=None)
        assert by_90[columns].notna().all(axis=None)
    assert all_of(told, "won", 90)["estimated_rate"] == 0.5


def test_time_in_stage_is_that_of_won_deals() -> None:
    won = [{"entered": 300, "won": 50, "left": float(day)} for day in range(1, 31)]
    lost = [{"entered": 300, "lost": 60, "left": 60.0}] * 30
    found = visits.time_in_stage(entries([*won, *lost]), trials.NO_OPEN_DEALS)
    (row,) = found.query("dimension == 'all' and horizon_days == 90").to_dict("records")
    assert (row["median_days_in_stage"], row["p80_days_in_stage"]) == (15, 24)
    assert row["effective_n"] == pytest.approx(30)
    few = visits.time_in_stage(entries([*won[:4], *lost]), trials.NO_OPEN_DEALS)
    assert few["p80_days_in_stage"].isna().all()
    assert few["n_slow_deals"].isna().all()


@pytest.mark.parametrize("segments", [("Small", "Large"), (None, None), ("Small", None)])
def test_open_deals_slower_than_most_won_ones_are_counted(segments: tuple[Any, Any]) -> None:
    """A segment that is unknown is a segment of its own, and may be the only one."""
    won = [
        {"entered": 300, "won": 50, "left": float(day), "segment": segment}
        for segment in segments
        for day in range(1, 31)
    ]
    table = entries_table(won)
    found, where = Entries(table), dict(table[["pipeline_id", "stage_id"]].iloc[0])
    open_deals = pd.DataFrame(
        [{**where, "segment": segments[0], "days_in_stage": days} for days in (5, 24, 25, 99)]
        + [{**where, "segment": segments[1], "days_in_stage": 30}]
        + [{**where, "stage_id": "elsewhere", "segment": segments[0], "days_in_stage": 400}]
    )
    table = visits.time_in_stage(found, open_deals).query("horizon_days == 90")
    (of_all,) = table.query("dimension == 'all'").to_dict("records")
    assert (of_all["n_open_deals"], of_all["n_slow_deals"]) == (5, 3)
    by_segment = table.query("dimension == 'segment'")
    counts = by_segment[["n_open_deals", "n_slow_deals"]].to_numpy().tolist()
    expected = [[5, 3]] if segments[0] == segments[1] else [[4, 2], [1, 1]]
    assert sorted(counts) == sorted(expected)


# --- sellers -------------------------------------------------------------------------------------


def test_pooled_bounds_equal_those_of_the_integral() -> None:
    """Two sellers, the integral over mean and weight by quadrature."""
    successes, n = np.array([3.0, 9.0]), np.array([20.0, 20.0])
    found = pooled(successes, n, normal_scores(2, np.random.default_rng(1)))

    def density(weight: float, mean: float) -> float:
        size = 20 / 4 * weight / (1 - weight)
        a, b = mean * size, (1 - mean) * size
        return float(np.exp((betaln(a + successes, b + n - successes) - betaln(a, b)).sum() + 50))

    def moment(weight: float, mean: float) -> float:
        size = 20 / 4 * weight / (1 - weight)
        return density(weight, mean) * (3 + mean * size) / (20 + size)

    bounds = (1e-4, 1 - 1e-4)
    total = integrate.dblquad(density, *bounds, *bounds, epsabs=1e-4, epsrel=1e-4)[0]
    expected = integrate.dblquad(moment, *bounds, *bounds, epsabs=1e-4, epsrel=1e-4)[0] / total
    assert found.rate[0] == pytest.approx(expected, abs=0.003)
    assert found.low[0] < found.rate[0] < found.high[0]


@pytest.mark.parametrize("rate", [0.03, 0.3, 0.9])
@pytest.mark.parametrize("spread", [0.0, 0.8, 1.5])
def test_pooled_bounds_hold_their_share_of_the_posterior(rate: float, spread: float) -> None:
    random = np.random.default_rng(6)
    n = np.resize([5.0, 20.0, 80.0, 1_000.0], 10)
    true = expit(logit(rate) + spread * random.normal(size=10))
    successes = random.binomial(n.astype(int), true).astype(float)
    found = pooled(successes, n, normal_scores(10, random))
    mean, concentration, weight = _posterior(successes, n, np.ones(10, dtype=int))
    a = successes + (mean * concentration)[:, None]
    b = n - successes + ((1 - mean) * concentration)[:, None]
    for bound, share in ((found.low, 0.025), (found.high, 0.975)):
        held = weight @ betainc(a, b, bound)
        inside = (bound > 1e-9) & (bound < 1 - 1e-9)
        assert held[inside] == pytest.approx(np.full(inside.sum(), share), abs=0.005)


def test_alike_sellers_are_told_alike_and_none_is_ranked() -> None:
    for n in (2, 12, 60):
        rows = [
            {"entered": 100, "won": 10 if deal < 4 else None, "seller_id": seller,
             "account_id": seller * 50 + deal}
            for seller in range(n)
            for deal in range(20)
        ]  # fmt: skip
        found = sellers.seller_conversion(entries(rows), np.random.default_rng(1))
        won = found.query("definition_id == 'won' and horizon_days == 90")
        assert set(won["rank"]) == {sellers.NO_RANK}
        for column in ("pooled_rate", "low_pooled_rate", "high_pooled_rate"):
            assert won[column].nunique() == 1
        assert won["first_rank"].isna().all()


def test_a_seller_that_stands_out_is_ranked_and_few_deals_are_drawn_to_the_others() -> None:
    def of(seller: int, n: int, n_won: int) -> list[dict[str, Any]]:
        return [
            {"entered": 100, "won": 10 if deal < n_won else None, "seller_id": seller,
             "account_id": seller * 1_000 + deal}
            for deal in range(n)
        ]  # fmt: skip

    rows = [*of(0, 200, 120), *of(1, 200, 40), *of(2, 200, 45), *of(3, 200, 38), *of(4, 5, 5)]
    table = sellers.seller_conversion(entries(rows), np.random.default_rng(1))
    won = table.query("definition_id == 'won' and horizon_days == 90").set_index("seller_id")
    assert won.loc[0, "rank"] in ("1–2 of 5", "1–1 of 5")
    assert won.loc[4, "estimated_rate"] == 1
    assert won.loc[4, "pooled_rate"] < 0.9
    assert abs(won.loc[0, "pooled_rate"] - 0.6) < 0.01


def test_no_cell_depends_on_another() -> None:
    random = np.random.default_rng(3)
    rows = [
        {"entered": 100, "won": 10 if random.random() < 0.3 else None, "stage_id": f"s{deal % 2}",
         "seller_id": int(random.integers(6))}
        for deal in range(400)
    ]  # fmt: skip
    both = sellers.seller_conversion(entries(rows), np.random.default_rng(1))
    accounts = [{**row, "account_id": i} for i, row in enumerate(rows)]
    alone = sellers.seller_conversion(
        entries([row for row in accounts if row["stage_id"] == "s1"]), np.random.default_rng(1)
    )
    expected = both[both["stage_id"] == "s1"].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone.reset_index(drop=True), expected)


def test_mix_and_rate_equal_pandas_and_add_up() -> None:
    random = np.random.default_rng(4)
    rows = [
        {"entered": 100, "won": 10 if random.random() < 0.3 else None,
         "seller_id": int(random.integers(4)), "account_id": int(random.integers(200)),
         "segment": random.choice(["a", "b"]), "source": random.choice(["x", "y", None])}
        for _ in range(300)
    ]  # fmt: skip
    found = sellers.seller_mix(entries(rows)).query("definition_id == 'won' and horizon_days == 90")
    frame = pd.DataFrame(rows).assign(won=lambda f: f["won"].notna(), source=lambda f: f["source"])
    frame["cell"] = frame["segment"] + frame["source"].fillna("?")
    team = frame.groupby("cell")["won"].agg(["size", "mean"])
    share = team["size"] / len(frame)
    for row in found.itertuples():
        own = (
            frame[frame["seller_id"] == row.seller_id].groupby("cell")["won"].agg(["size", "mean"])
        )
        weight = (own["size"] / own["size"].sum()).reindex(team.index, fill_value=0)
        rate = own["mean"].reindex(team.index).fillna(team["mean"])
        by_mix = ((weight - share) * (rate + team["mean"]) / 2).sum()
        by_rate = ((weight + share) / 2 * (rate - team["mean"])).sum()
        assert row.mix_difference == pytest.approx(by_mix, abs=1e-12)
        assert row.rate_difference == pytest.approx(by_rate, abs=1e-12)
        together = row.mix_difference + row.rate_difference
        assert together == pytest.approx(row.difference, abs=1e-12)
        assert row.is_reversed == (row.difference * row.rate_difference < 0)


def test_a_seller_below_the_others_only_by_its_leads_is_flagged() -> None:
    """Simpson: better than the other in both segments, worse in all."""

    def of(seller: str, segment: str, n: int, n_won: int) -> list[dict[str, Any]]:
        return [
            {"entered": 100, "won": 10 if deal < n_won else None, "seller_id": seller,
             "segment": segment}
            for deal in range(n)
        ]  # fmt: skip

    rows = [*of("s", "large", 90, 18), *of("s", "small", 10, 7)]
    rows += [*of("t", "large", 10, 1), *of("t", "small", 90, 54)]
    deals = entries([{**row, "account_id": i} for i, row in enumerate(rows)])
    found = sellers.seller_mix(deals).query("definition_id == 'won' and horizon_days == 90")
    (row,) = found[found["seller_id"] == "s"].to_dict("records")
    assert row["difference"] < 0 < row["rate_difference"]
    assert row["is_reversed"]
    assert row["low_rate_difference"] < row["rate_difference"] < row["high_rate_difference"]


def test_a_seller_with_leads_like_nobody_elses_has_no_bounds() -> None:
    rows = [
        {"entered": 100, "won": 10 if deal % 3 else None, "seller_id": deal % 2,
         "segment": f"s{deal % 2}"}
        for deal in range(30)
    ]  # fmt: skip
    found = sellers.seller_mix(entries(rows)).query("definition_id == 'won' and horizon_days == 90")
    assert (found["rate_difference"] == 0).all()
    assert found["low_rate_difference"].isna().all()


# --- what is published ---------------------------------------------------------------------------


def test_no_entries_give_empty_tables_of_the_declared_columns() -> None:
    empty = Entries(entries_table([{"entered": 10}]).iloc[:0])
    tables = [
        *conversion.conversion_tables(empty),
        visits.time_in_stage(empty, trials.NO_OPEN_DEALS),
    ]
    tables += [
        sellers.seller_conversion(empty, np.random.default_rng(1)),
        sellers.seller_mix(empty),
    ]
    names = ["conversion_estimates", "conversion_curves", "time_in_stage", "seller_conversion"]
    for name, table in zip([*names, "seller_mix"], tables, strict=True):
        (declared,) = (t for t in estimate_tables() if t.name == name)
        assert set(table) == set(declared.types)
        assert table.empty


def test_a_rate_says_whether_its_stage_drifts_or_all_where_it_has_none() -> None:
    rates = pd.DataFrame({"pipeline_id": ["p", "p", "p", "q"], "stage_id": ["s", "t", None, None]})
    drift = pd.DataFrame({
        "pipeline_id": ["p", "p", None],
        "stage_id": ["s", None, None],
        "is_of_all": [False, False, True],
        "is_drifting": [True, True, False],
    })  # fmt: skip
    found = conversion.with_drift(rates, drift)["is_drifting"]
    assert found.tolist() == [True, None, False, False]
    assert conversion.with_drift(rates, drift.iloc[:0])["is_drifting"].isna().all()


def test_incoherent_estimates_are_found() -> None:
    (table,) = (t for t in estimate_tables() if t.name == "conversion_estimates")
    good = conversion.conversion_tables(entries([{"entered": 100, "won": 10}, {"entered": 100}]))[0]
    assert incoherent(good, table) == []
    for column, value in (("high_rate", 0.0), ("estimated_rate", 1.2), ("n_events", 5)):
        assert incoherent(good.assign(**{column: value}), table)
    assert incoherent(pd.concat([good, good]), table)
