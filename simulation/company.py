"""How the invented company's deals behave.

Belongs here: parameters with their meaning, and the histories drawn from them.
Does not belong here: file formats (`hubspot`).

Deals move through stages by competing outcomes whose chances depend on segment, source and the
seller's skill; stays are log-normal. Sellers get different mixes of leads, so that raw win rates
mislead about skill, and large deals are won less often, so that amounts mislead about wins.
"""

from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

ZONE = ZoneInfo("Europe/Stockholm")


@dataclass(frozen=True)
class Stage:
    """An open stage. From it a deal advances, is lost, skips one stage, or falls back one.

    `advance` and `skip` are chances at average skill; the rest, less `regress`, is lost.
    `median_days` is the median stay.
    """

    key: str
    label: str
    role: str
    advance: float
    skip: float
    regress: float
    median_days: float


@dataclass(frozen=True)
class Seller:
    key: str
    team: str
    skill: float  # added to the log-odds of advancing, in every stage
    large_share: float  # how much of the seller's leads are of the enterprise segment


@dataclass(frozen=True)
class Parameters:
    """The company. Everything here is written to the truth file."""

    years: float = 2.0
    stages: tuple[Stage, ...] = (
        Stage("lead", "Lead", "lead", 0.55, 0.02, 0.00, 12),
        Stage("meeting", "Meeting booked", "prospect", 0.62, 0.03, 0.05, 14),
        Stage("needs", "Needs analysis", "prospect", 0.66, 0.04, 0.06, 24),
        Stage("proposal", "Proposal sent", "quote", 0.58, 0.00, 0.08, 30),
        Stage("negotiation", "Negotiation", "quote", 0.72, 0.00, 0.07, 26),
    )
    sellers: tuple[Seller, ...] = tuple(
        Seller(f"{team}{n}", team, skill, share)
        for team, share in (("North", 0.15), ("South", 0.3), ("Key", 0.6))
        for n, skill in enumerate((0.5, 0.15, -0.1, -0.45), start=1)
    )
    segments: dict[str, float] = field(
        # Added to the log-odds of advancing.
        default_factory=lambda: {"Small": 0.25, "Mid": 0.0, "Enterprise": -0.35}
    )
    sources: dict[str, tuple[float, float]] = field(
        # Share of leads, and what is added to the log-odds of advancing.
        default_factory=lambda: {
            "Organic Search": (0.25, 0.0),
            "Paid Search": (0.2, -0.35),
            "Referrals": (0.15, 0.5),
            "Offline Sources": (0.3, -0.15),
            "Email Marketing": (0.1, 0.1),
        }
    )
    business_areas: dict[str, float] = field(
        default_factory=lambda: {"Software": 0.6, "Services": 0.4}
    )
    median_amount: dict[str, float] = field(
        default_factory=lambda: {"Small": 60_000, "Mid": 240_000, "Enterprise": 1_100_000}
    )
    # New leads per month relative to the year's mean; July and Christmas are quiet in Sweden.
    season: tuple[float, ...] = (1.1, 1.1, 1.2, 1.0, 1.1, 0.8, 0.25, 0.9, 1.3, 1.3, 1.2, 0.7)
    slower_enterprise: float = 1.6  # stays are this much longer
    missing_amount: float = 0.08
    euro_share: float = 0.15
    missing_source: float = 0.05
    reopened: float = 0.02  # of lost deals, after about two months
    owner_changes: float = 0.06  # of deals, at their second move


@dataclass
class Deal:
    """One deal with its true history up to its end, whenever that is."""

    number: int
    account: int
    seller: Seller
    later_seller: Seller | None
    segment: str
    source: str | None
    business_area: str
    amount: int | None
    currency: str
    created_at: datetime
    moves: list[tuple[datetime, str]]

    def known(self, until: datetime) -> list[tuple[datetime, str]]:
        return [move for move in self.moves if move[0] <= until]


@dataclass
class Activity:
    number: int
    kind: str
    deal: Deal
    occurred_at: datetime
    outcome: str
    duration_ms: int
    seller: Seller


@dataclass
class Company:
    parameters: Parameters
    as_of: date
    deals: list[Deal]
    activities: list[Activity]

    @property
    def until(self) -> datetime:
        end = datetime(self.as_of.year, self.as_of.month, self.as_of.day, 23, 59, 59, tzinfo=ZONE)
        return end.astimezone(UTC)

    def truth(self) -> dict[str, Any]:
        """Parameters, and what became of every deal in the end, beyond `as_of`."""
        keys = [stage.key for stage in self.parameters.stages]
        entered = {key: [d for d in self.deals if key in {s for _, s in d.moves}] for key in keys}
        return {
            "parameters": asdict(self.parameters),
            "eventual_win_rate": {
                key: sum(d.moves[-1][1] == "won" for d in deals) / len(deals) if deals else None
                for key, deals in entered.items()
            },
        }


def simulate(n_deals: int, seed: int, as_of: date, parameters: Parameters | None = None) -> Company:
    """A company of `n_deals` deals created in the years up to `as_of`.

    The same arguments give the same company. Shapes: `n_deals` deals in order of creation; calls
    and meetings in order of time, none after `as_of`.
    """
    parameters = parameters or Parameters()
    random = np.random.default_rng(seed)
    company = Company(parameters, as_of, [], [])
    starts = sorted(_start(random, parameters, as_of) for _ in range(n_deals))
    n_accounts = max(1, int(n_deals / 1.4))
    account_segment = random.choice(3, n_accounts, p=[0.5, 0.32, 0.18])
    for number, created_at in enumerate(starts, start=1):
        deal = _deal(random, parameters, number, created_at, account_segment)
        company.deals.append(deal)
        company.activities += _activities(random, deal, company.until)
    company.activities.sort(key=lambda a: (a.occurred_at, a.deal.number, a.kind))
    for number, activity in enumerate(company.activities, start=1):
        activity.number = number
    return company


def _start(random: np.random.Generator, parameters: Parameters, as_of: date) -> datetime:
    """A working day by season, an hour of the working day."""
    while True:
        day = as_of - timedelta(days=int(random.integers(1, int(365 * parameters.years))))
        if day.weekday() < 5 and random.random() < parameters.season[day.month - 1] / 1.3:
            return _working_time(random, day)


def _working_time(random: np.random.Generator, day: date) -> datetime:
    minutes = int(np.clip(random.normal(60 * 13, 150), 60 * 8, 60 * 17))
    local = datetime(day.year, day.month, day.day, minutes // 60, minutes % 60, tzinfo=ZONE)
    return local.astimezone(UTC) + timedelta(seconds=int(random.integers(60)))


def _deal(
    random: np.random.Generator,
    parameters: Parameters,
    number: int,
    created_at: datetime,
    account_segment: np.ndarray[Any, Any],
) -> Deal:
    seller = parameters.sellers[int(random.integers(len(parameters.sellers)))]
    wanted = 2 if random.random() < seller.large_share else int(random.random() < 0.4)
    same = np.flatnonzero(account_segment == wanted)
    account = int(random.choice(same)) if len(same) else int(random.integers(len(account_segment)))
    segment = list(parameters.segments)[int(account_segment[account])]
    sources = list(parameters.sources)
    shares = [share for share, _ in parameters.sources.values()]
    source = sources[int(random.choice(len(sources), p=shares))]
    area = "Software" if random.random() < parameters.business_areas["Software"] else "Services"
    size = float(random.lognormal(0, 0.7))
    amount = int(parameters.median_amount[segment] * size / 1_000) * 1_000 + 1_000
    log_odds = seller.skill + parameters.segments[segment] + parameters.sources[source][1]
    slower = parameters.slower_enterprise if segment == "Enterprise" else 1.0
    moves = _history(random, parameters, created_at, log_odds - 0.2 * np.log(size), slower)
    changes = random.random() < parameters.owner_changes
    others = [s for s in parameters.sellers if s.team == seller.team and s != seller]
    euro = random.random() < parameters.euro_share
    return Deal(
        number,
        account,
        seller,
        others[int(random.integers(len(others)))] if changes else None,
        segment,
        None if random.random() < parameters.missing_source else source,
        area,
        None if random.random() < parameters.missing_amount else amount // (10 if euro else 1),
        "EUR" if euro else "SEK",
        created_at,
        moves,
    )


def _history(
    random: np.random.Generator,
    parameters: Parameters,
    created_at: datetime,
    log_odds: float,
    slower: float,
) -> list[tuple[datetime, str]]:
    stages = parameters.stages
    position, at = 0, created_at
    moves = [(at, stages[0].key)]
    while True:
        stage = stages[position]
        at = _later(random, at, stage.median_days * slower)
        odds = stage.advance / (1 - stage.advance) * np.exp(log_odds)
        draw = random.random()
        if draw < stage.regress:
            position -= 1
        elif draw < stage.regress + stage.skip and position + 2 < len(stages):
            position += 2
        elif random.random() < odds / (1 + odds):
            position += 1
        else:
            moves.append((at, "lost"))
            if random.random() >= parameters.reopened:
                return moves
            at = _later(random, at, 60)
        if position == len(stages):
            moves.append((at, "won"))
            return moves
        moves.append((at, stages[position].key))


def _later(random: np.random.Generator, at: datetime, median_days: float) -> datetime:
    """After a log-normal stay, on a working day."""
    day = (at + timedelta(days=max(1.0, float(random.lognormal(np.log(median_days), 0.7))))).date()
    while day.weekday() > 4:
        day += timedelta(days=1)
    return max(_working_time(random, day), at + timedelta(hours=1))


CALL_OUTCOMES = ("Connected", "No answer", "Left voicemail", "Busy", "Wrong number")


def _activities(random: np.random.Generator, deal: Deal, until: datetime) -> list[Activity]:
    """A few calls in every stay, and a meeting on most moves forward."""
    found = []
    ends = [at for at, _ in deal.moves[1:]]
    for (begin, stage), end in zip(deal.moves, ends, strict=False):
        if stage in ("won", "lost"):
            continue
        for _ in range(int(random.poisson(1.5))):
            at = begin + (end - begin) * float(random.random())
            at = _working_time(random, at.date())
            outcome = CALL_OUTCOMES[int(random.choice(5, p=[0.35, 0.4, 0.15, 0.07, 0.03]))]
            length = int(random.exponential(240_000)) if outcome == "Connected" else 0
            found.append(Activity(0, "call", deal, at, outcome, length, deal.seller))
        if random.random() < 0.7:
            outcome = "COMPLETED" if random.random() < 0.85 else "NO_SHOW"
            found.append(Activity(0, "meeting", deal, end, outcome, 3_600_000, deal.seller))
    return [activity for activity in found if deal.created_at <= activity.occurred_at <= until]
