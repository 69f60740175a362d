"""The invented company: who sells what how, and the records that its CRM keeps.

Belongs here: parameters with their meaning, deals, leads and activities with all their changes.
Does not belong here: drawing them (`histories`), file formats (`hubspot`, `salesforce`).
"""

from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Europe/Stockholm")
WON, LOST = "won", "lost"


@dataclass(frozen=True)
class Stage:
    """An open stage. From it a deal advances, is lost, skips one stage, or falls back one.

    `advance` and `skip` are chances at average skill; the rest, less `regress`, is lost.
    `median_days` is the median stay. `old_label` is what it was called, and `is_retired` that it
    was in use, before `Parameters.reform_days` ago.
    """

    key: str
    label: str
    role: str
    advance: float
    skip: float
    regress: float
    median_days: float
    old_label: str | None = None
    is_retired: bool = False


@dataclass(frozen=True)
class Area:
    """A business area with a pipeline of its own. `share` is its part of the deals."""

    key: str
    name: str
    pipeline: str
    share: float
    stages: tuple[Stage, ...]


@dataclass(frozen=True)
class Seller:
    key: str
    team: str
    skill: float  # added to the log-odds of advancing, in every stage, at the start
    drift: float  # by which that changes in a year
    large_share: float  # how much of the seller's leads are of the enterprise segment


SOFTWARE = Area(
    "software",
    "Software",
    "default",
    0.65,
    (
        Stage("meeting", "Meeting held", "prospect", 0.66, 0.03, 0.0, 16, "Meeting booked"),
        Stage("needs", "Needs analysis", "prospect", 0.70, 0.04, 0.05, 26),
        Stage("demo", "Demo", "prospect", 0.80, 0.03, 0.04, 14, is_retired=True),
        Stage("proposal", "Proposal sent", "quote", 0.62, 0.02, 0.08, 32),
        Stage("negotiation", "Negotiation", "quote", 0.74, 0.00, 0.07, 28),
    ),
)
SERVICES = Area(
    "services",
    "Services",
    "services",
    0.35,
    (
        Stage("scoping", "Scoping", "prospect", 0.62, 0.02, 0.0, 20),
        Stage("offer", "Offer", "quote", 0.60, 0.00, 0.06, 24),
        Stage("signing", "Signing", "quote", 0.85, 0.00, 0.05, 12),
    ),
)

TEAMS = (("North", 0.15), ("South", 0.3), ("Key", 0.6))
SKILLS = ((0.5, -0.2), (0.15, 0.1), (-0.1, 0.25), (-0.45, 0.0))


@dataclass(frozen=True)
class Parameters:
    """The company. Everything here is written to the truth file."""

    years: float = 2.0
    areas: tuple[Area, ...] = (SOFTWARE, SERVICES)
    sellers: tuple[Seller, ...] = tuple(
        Seller(f"{team}{n}", team, skill, drift, share)
        for team, share in TEAMS
        for n, (skill, drift) in enumerate(SKILLS, start=1)
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
    median_amount: dict[str, float] = field(
        default_factory=lambda: {"Small": 60_000, "Mid": 240_000, "Enterprise": 1_100_000}
    )
    # New leads per month relative to the year's mean; July and Christmas are quiet in Sweden.
    season: tuple[float, ...] = (1.1, 1.1, 1.2, 1.0, 1.1, 0.8, 0.25, 0.9, 1.3, 1.3, 1.2, 0.7)
    size_spread: float = 0.7  # standard deviation of the log of a deal's size
    size_effect: float = -0.2  # on the log-odds of advancing, of the log of a deal's size
    slower_enterprise: float = 1.6  # stays are this much longer
    first_as_lead: float = 0.6  # of deals, that began as leads
    lead_converts: float = 0.4  # of leads, that become deals
    lead_days: float = 12  # median days from lead to deal
    deal_types: dict[str, tuple[float, float]] = field(
        # Share of deals, and what is added to the log-odds of advancing.
        default_factory=lambda: {
            "new": (0.86, 0.0),
            "renewal": (0.08, 1.6),
            "expansion": (0.06, 0.6),
        }
    )
    euro_share: float = 0.15
    missing_amount: float = 0.08  # never stated
    late_amount: float = 0.3  # stated only at the second stage
    missing_source: float = 0.05
    reopened_after_lost: float = 0.03  # after about two months
    reopened_after_won: float = 0.01  # the customer withdrew; after about a week
    owner_changes: float = 0.06  # of deals, at their second move
    amount_changes: float = 0.25  # at each move from the third on
    amount_restated: float = 0.03  # of deals won, a month later
    close_date_pushed: float = 0.4  # at each move that does not close
    close_date_pulled: float = 0.05
    misclicks: float = 0.02  # of moves, followed by one that is taken back within minutes
    skips_in_one_second: float = 0.3  # of skips, written by a workflow as two moves
    duplicates: float = 0.015  # of deals, entered twice and merged after some weeks
    deleted: float = 0.015  # of deals
    restored: float = 0.4  # of those deleted
    credit_split: float = 0.05  # of deals, between two sellers or three
    next_step_planned: float = 0.6  # of open deals
    silent_days: int = 150  # after which the clean-up at a quarter's end closes a deal
    reform_days: int = 300  # before the last day, when stages were renamed and retired


@dataclass(frozen=True)
class Change:
    """One field of one deal changed, as the CRM writes it down."""

    at: datetime
    name: str  # stage, owner, amount or close_date
    value: Any
    by: str
    source: str = "ui"  # or bulk, workflow
    is_mistake: bool = False


@dataclass
class Lead:
    number: int
    seller: Seller
    source: str | None
    created_at: datetime
    worked_at: datetime  # moved on from `new`
    ended_at: datetime  # converted or disqualified
    deal: "Deal | None" = None

    def stage(self, until: datetime) -> str:
        if self.ended_at <= until:
            return "qualified" if self.deal else "disqualified"
        return "working" if self.worked_at <= until else "new"


@dataclass
class Deal:
    """One deal with all that will ever be written of it."""

    number: int
    account: int
    area: Area
    segment: str
    source: str | None
    deal_type: str
    currency: str
    seller: Seller
    created_at: datetime
    changes: list[Change] = field(default_factory=list)
    lead: Lead | None = None
    merged_into: "Deal | None" = None
    merged_at: datetime | None = None
    deleted_at: datetime | None = None
    restored_at: datetime | None = None
    credits: tuple[tuple[Seller, str], ...] = ()
    next_step_days: int | None = None

    def known(self, until: datetime, name: str = "stage") -> list[Change]:
        """Changes of one field by `until`, the first being its value at the creation."""
        return [c for c in self.changes if c.name == name and c.at <= until]

    def value(self, name: str, until: datetime) -> Any:
        known = self.known(until, name)
        return known[-1].value if known else None

    def is_shown(self, until: datetime) -> bool:
        """Whether an export made at `until` names it."""
        if self.created_at > until or (self.merged_at and self.merged_at <= until):
            return False
        deleted = self.deleted_at is not None and self.deleted_at <= until
        return not deleted or (self.restored_at is not None and self.restored_at <= until)


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
    leads: list[Lead]
    activities: list[Activity]

    @property
    def until(self) -> datetime:
        return end_of(self.as_of)

    @property
    def reformed_on(self) -> date:
        return self.as_of - timedelta(days=self.parameters.reform_days)

    def truth(self) -> dict[str, Any]:
        """Parameters, and what became of every deal in the end, beyond `as_of`."""
        rates = {}
        for area in self.parameters.areas:
            for stage in area.stages:
                passed = [
                    deal
                    for deal in self.deals
                    if deal.area == area
                    and any(c.value == stage.key and not c.is_mistake for c in deal.changes)
                ]
                won = sum(deal.known(FOREVER)[-1].value == WON for deal in passed)
                rates[stage.key] = won / len(passed) if passed else None
        return {
            "parameters": asdict(self.parameters),
            "eventual_win_rate": rates,
            "lead_conversion_rate": sum(lead.deal is not None for lead in self.leads)
            / max(1, len(self.leads)),
        }


FOREVER = datetime(2200, 1, 1, tzinfo=UTC)


def end_of(day: date) -> datetime:
    """The last second of `day` in the company's zone."""
    return datetime(day.year, day.month, day.day, 23, 59, 59, tzinfo=ZONE).astimezone(UTC)
