"""Invented companies as stays, whose true rates are known: many, and each in a moment.

Belongs here: what is drawn. Does not belong here: what is asked of it (`forecasts`, `paces`).

Frames go straight to analysis, as dbt's fct_stage_stays would. Deals move by competing outcomes
with log-normal stays, on working days; large deals are won less often, some customers by halves as
often as others. Nothing here is of the form that analysis fits.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit, logit

SEGMENTS = {"Small": (0.5, 0.25, 60_000), "Mid": (0.32, 0.0, 240_000),
            "Large": (0.18, -0.35, 1_100_000)}  # fmt: skip
SEASON = np.array([1.1, 1.1, 1.2, 1.0, 1.1, 0.8, 0.25, 0.9, 1.3, 1.3, 1.2, 0.7])
START = np.datetime64("2020-01-01")


@dataclass(frozen=True)
class Company:
    """`advance`: chance to move on from each stage at average odds; `medians` of stays in days.

    `falls_by`: part of the odds of each stage that is lost within the year before `turns_on`'s end.
    """

    deals_a_year: float
    years: float = 5.0
    advance: tuple[float, ...] = (0.66, 0.70, 0.78, 0.62, 0.74)
    medians: tuple[float, ...] = (16, 26, 14, 32, 28)
    skip: float = 0.03
    regress: float = 0.05
    n_sellers: int = 6
    growth: float = 0.0  # of arrivals, a year
    log_odds_a_year: float = 0.0  # by which each stage's odds change in the last year
    halved: dict[Any, float] = field(default_factory=dict)  # stage or (stage, seller): log-odds

    @property
    def until(self) -> np.datetime64:
        return START + int(365.25 * self.years)


def stays(random: np.random.Generator, company: Company, entered: Any = None) -> pd.DataFrame:
    """The frame that `Stays.of` takes, of all that ever becomes of deals begun by `until`, or of
    those that `entered` on these days.

    It goes beyond that day: `Stays.at` tells what was known on one.
    """
    if entered is None:
        n = int(random.poisson(company.deals_a_year * company.years))
        entered = _starts(random, company, n)
    n = len(entered)
    account = random.integers(0, max(int(n / 1.4), 1), n)
    segment = random.choice(3, max(account.max(initial=0) + 1, 1),
                            p=[share for share, *_ in SEGMENTS.values()])[account]  # fmt: skip
    seller = random.integers(0, company.n_sellers, n)
    size = random.lognormal(0, 0.7, n)
    facts = np.array([(odds, amount) for _, odds, amount in SEGMENTS.values()])[segment]
    odds = facts[:, 0] - 0.2 * np.log(size)
    amount = np.round(facts[:, 1] * size, -3) + 1_000
    slower = np.where(segment == 2, 1.6, 1.0)
    stage, at = np.zeros(n, dtype=int), entered.astype("datetime64[D]")
    alive, parts = np.arange(n), []
    last = len(company.advance)
    base = logit(np.array(company.advance))
    for number in range(1, 40):
        if not len(alive):
            break
        here, begun = stage[alive], at[alive]
        medians = np.array(company.medians)[here] * slower[alive]
        days = np.maximum(np.round(medians * random.lognormal(0, 0.7, len(alive))), 1)
        left = np.busday_offset(begun + days.astype(int), 0, roll="forward")
        years_ago = np.clip((company.until - left).astype(int) / 365.25, 0, 1)
        own = base[here] + odds[alive] + company.log_odds_a_year * (1 - years_ago)
        for key, change in company.halved.items():
            is_it = (
                (here == key[0]) & (seller[alive] == key[1])
                if isinstance(key, tuple)
                else (here == key)
            )
            is_it = is_it & (left > company.until - 180)
            own = own + change * is_it
        chance = random.random(len(alive))
        to = np.where(random.random(len(alive)) < expit(own), here + 1, -1)
        to = np.where((chance < company.skip) & (here + 2 < last), here + 2, to)
        to = np.where((chance > 1 - company.regress) & (here > 0), here - 1, to)
        parts.append(pd.DataFrame({
            "deal": alive, "visit_number": number, "stage": here, "entered_on": begun,
            "left_on": left, "to": to,
        }))  # fmt: skip
        stage[alive], at[alive] = to, left
        alive = alive[(to >= 0) & (to < last)]
    frame = pd.concat(parts, ignore_index=True).sort_values(["deal", "visit_number"])
    return _as_read(frame, company, account, segment, seller, amount)


def _starts(random: np.random.Generator, company: Company, n: int) -> Any:
    """Working days by season, ever more of them where the company grows."""
    days = np.arange(START, company.until)
    weight = SEASON[days.astype("datetime64[M]").astype(int) % 12] * np.is_busday(days)
    weight = weight * np.exp(company.growth * (days - START).astype(int) / 365.25)
    return np.sort(random.choice(days, n, p=weight / weight.sum()))


def _as_read(
    frame: pd.DataFrame, company: Company, account: Any, segment: Any, seller: Any, amount: Any
) -> pd.DataFrame:
    deal = frame["deal"].to_numpy()
    to, stage = frame["to"].to_numpy(), frame["stage"].to_numpy()
    last = len(company.advance)
    how = np.where(to < 0, "lost", np.where(to == last, "won", "open"))
    moved = how == "open"
    far = np.datetime64("2100-01-01")
    return pd.DataFrame({
        "journey_id": deal,
        "visit_number": frame["visit_number"].to_numpy(),
        "account_id": account[deal],
        "is_renewal": False,
        "pipeline_id": "p",
        "stage_id": np.array([f"stage {i}" for i in range(last)])[stage],
        "role": np.where(stage < 3, "prospect", "quote"),
            "stage_rank": stage + 1.0,
        "seller_id": np.array([f"s{i}" for i in range(company.n_sellers)])[seller[deal]],
        "segment": np.array(list(SEGMENTS))[segment[deal]],
        "amount": amount[deal],
        "entered_on": frame["entered_on"].to_numpy(),
        "is_arrival": frame["visit_number"].to_numpy() == 1,
        "followed_from_on": frame["entered_on"].to_numpy(),
        "followed_until_on": far,
        "left_on": frame["left_on"].to_numpy(),
        "how_ended": how,
        "next_pipeline_id": np.where(moved, "p", None),
        "next_stage_id": np.where(moved, np.array([f"stage {i}" for i in range(last + 1)])[
            np.clip(to, 0, last)], None),
        "next_stage_rank": np.where(moved, to + 1.0, np.nan),
        "left_seller_id": np.array([f"s{i}" for i in range(company.n_sellers)])[seller[deal]],
        "left_amount": np.where(how == "won", amount[deal], np.nan),
        "as_of": pd.Timestamp(far),
    })  # fmt: skip
