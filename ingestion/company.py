"""The company file: what a company says of itself, and the defaults where it says nothing.

Belongs here: its entries, their meaning (`COMPANY_TEMPLATE`), days in the company's zone.
Does not belong here: where the file lies (`home`).
"""

from datetime import UTC, date, datetime, time
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator

from ingestion.settings import Strict

COMPANY_TEMPLATE = """\
# What Mellantid needs to know about the company. Lines may be left out; the values here are the
# ones used then.

# The zone in which a day begins and ends, and in which exports without an offset are read.
zone: Europe/Stockholm

# Company currency (ISO 4217). Also the currency of exports that name none.
currency: SEK

# Country (ISO 3166) that phone numbers without a prefix belong to.
country: SE

# A move taken back within this many minutes is a correction: kept, flagged, not counted as a
# conversion.
correction_grace_minutes: 60

# A lost deal that is reopened within this many days was not lost; one reopened later is another
# attempt, and its win no longer counts as the first one's.
reopen_grace_days: 90

# A user who moves this many deals in one second has edited them in bulk.
bulk_deals: 5

# A deal without activity for this many days is idle.
idle_days: 30

# The parts of the day that activities are told apart by, each with the hour it begins at; the last
# one lasts until the first begins.
dayparts: {morning: 6, afternoon: 12, evening: 18}

# The check-in: days from one to the next; the chance to reach the goal that is enough; the part of
# the pace that counts as moving; the chance of a better pace that counts as improving; how many
# check-ins are looked back on.
check_in: {every_days: 14, enough: 0.6, moving: 0.9, improving: 0.8, look_back: 3}

# The language of the check-in: en or sv.
language: en

# How many days a published set is kept. Rollback and slow readers need some.
keep_published_days: 30

# How many private build folders (warehouse/<as_of>) are kept. They can always be rebuilt.
keep_warehouses: 3

# Who is told when a run fails; nobody until filled in. Passwords and tokens come from the
# environment, see docs/operations.md.
alerts:
  email_from: null
  email_to: []
  smtp_host: null
  slack_channel: null

# Jumps the gate refused on some day although they are real (a bulk import, a merger). Each line
# lets one check pass on one day, and is published with its reason, for example:
#   - {check: deals_keep_their_number, as_of: 2026-03-31, why: the Norwegian company joined}
accepted_changes: []
"""


def checked_zone(zone: str) -> str:
    """The zone, or ValueError if there is none of that name."""
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"{zone!r} is not an IANA zone such as Europe/Stockholm") from error
    return zone


class Alerts(Strict):
    email_from: str | None = None
    email_to: tuple[str, ...] = ()
    smtp_host: str | None = None
    slack_channel: str | None = None


class CheckInRules(Strict):
    every_days: int = Field(14, ge=1, le=92)
    enough: float = Field(0.6, gt=0, lt=1)
    moving: float = Field(0.9, gt=0, le=2)
    improving: float = Field(0.8, gt=0.5, lt=1)
    look_back: int = Field(3, ge=1, le=6)


class AcceptedChange(Strict):
    """A check whose finding on one day a person has looked at and found right."""

    check: str
    as_of: date
    why: str = Field(min_length=1)


class Company(Strict):
    """The company file. See `COMPANY_TEMPLATE` for what each entry means."""

    zone: str = "Europe/Stockholm"
    currency: str = Field("SEK", pattern="^[A-Z]{3}$")
    country: str = Field("SE", pattern="^[A-Z]{2}$")
    correction_grace_minutes: int = Field(60, ge=0)
    reopen_grace_days: int = Field(90, ge=0)
    bulk_deals: int = Field(5, ge=2)
    idle_days: int = Field(30, ge=1)
    dayparts: dict[str, int] = Field(
        default_factory=lambda: {"morning": 6, "afternoon": 12, "evening": 18}
    )
    check_in: CheckInRules = CheckInRules.model_construct()
    language: Literal["en", "sv"] = "en"
    keep_published_days: int = Field(30, ge=1)
    keep_warehouses: int = Field(3, ge=1)
    alerts: Alerts = Alerts()
    accepted_changes: tuple[AcceptedChange, ...] = ()

    @field_validator("zone")
    @classmethod
    def _is_a_zone(cls, zone: str) -> str:
        return checked_zone(zone)

    @field_validator("dayparts")
    @classmethod
    def _are_hours(cls, dayparts: dict[str, int]) -> dict[str, int]:
        hours = list(dayparts.values())
        if not hours or len(set(hours)) < len(hours) or not all(0 <= hour < 24 for hour in hours):
            raise ValueError("each part of the day needs an hour of its own, from 0 to 23")
        if any(not name or " " in name for name in dayparts):
            raise ValueError("a part of the day is named by one word")
        return dayparts

    @property
    def daypart_of_hours(self) -> list[str]:
        """The part of the day of each hour, 0 to 23."""
        begins = {hour: name for name, hour in self.dayparts.items()}
        name, names = begins[max(begins)], []
        for hour in range(24):
            name = begins.get(hour, name)
            names.append(name)
        return names

    @property
    def tz(self) -> ZoneInfo:
        return ZoneInfo(self.zone)

    def end_of(self, day: date, zone: str | None = None) -> datetime:
        """The last second of `day` in the company's zone, or in `zone`, as naive UTC.

        The last second and not the next midnight: an interval bound must keep its own date.
        """
        local = datetime.combine(day, time(23, 59, 59), tzinfo=ZoneInfo(zone or self.zone))
        return local.astimezone(UTC).replace(tzinfo=None)

    def today(self) -> date:
        return datetime.now(self.tz).date()
