"""Breakfast seminars of the invented company: invitations, reminders, who signs up and who comes;
and its experiment on who signs the first mail.

Belongs here: how that comes about, as lines of the tally sheet (ingestion/sources/tally.yml) and of
the sheets of experiments (ingestion/sources/mellantid.yml).
Does not belong here: other exports (`hubspot`, `salesforce`), estimators.
"""

from collections.abc import Callable, Iterable
from datetime import date, datetime, time, timedelta
from typing import Any

import numpy as np

from simulation.company import ZONE, Company, end_of
from simulation.working_days import is_working_day

N_INVITED = 150
# Of those who have not signed up, who do after the invitation and each reminder: the third does
# nothing. The CEO's name on the first mail adds to it alone; the wording adds nothing.
HAZARDS, OF_CEO, COMES = (0.05, 0.04, 0.03, 0.0), 0.04, 0.75
# Days before the seminar.
SENT = (23, 16, 9, 3)
# From the first of January on the CEO signs for half of the companies, drawn when they are first
# asked; before, for these shares.
EXPERIMENT, VARIANTS = "first-sender", ("seller", "CEO")
CEO_SHARES = {"Small": 0.2, "Mid": 0.4, "Enterprise": 0.6}
TRUTH = {"hazards": HAZARDS, "of_ceo": OF_CEO, "comes": COMES, "third_reminder": 0.0}
HEADER = [
    "No", "When", "Seller", "What", "Company", "Mail", "Message", "Signed by", "Reminder",
    "Campaign", "Outcome", "Segment",
]  # fmt: skip


Line = dict[str, Any]
Assigned = dict[int, tuple[datetime, bool]]


def lines(company: Company, day: date) -> Iterable[list[Any]]:
    """The tally sheet at the end of `day`, its header first."""
    yield HEADER
    for number, (held_on, seminar) in enumerate(_told(company)[0], start=1):
        for place, line in enumerate(seminar):
            when = line["When"]
            if when <= end_of(day) and (line["What"] != "seminar" or held_on <= day):
                is_known = held_on <= day or line["What"] != "sign-up"
                told = {**line, "Outcome": line.get("Outcome", "") if is_known else ""}
                told["When"] = when.astimezone(ZONE).strftime("%Y-%m-%d %H:%M")
                yield [f"{number}-{place}", *(told.get(header, "") for header in HEADER[1:])]


def experiments(company: Company) -> Iterable[list[Any]]:
    """The sheet that declares the experiment."""
    yield ["experiment_id", "hypothesis", "variants", "unit", "primary_outcome", "window_days",
           "start_on", "end_on"]  # fmt: skip
    start = date(company.as_of.year, 1, 1)
    shares = ", ".join(f"{name}: 50" for name in VARIANTS)
    hypothesis = "A first mail from the CEO fills more seats"
    yield [EXPERIMENT, hypothesis, shares, "account", "signup", 30, start, ""]


def assignments(
    company: Company, day: date, account_id: Callable[[int], str]
) -> Iterable[list[Any]]:
    """The sheet of who got which sender by the end of `day`."""
    yield ["experiment_id", "unit_id", "account_id", "variant", "assigned_at"]
    for account, (at, is_ceo) in _told(company)[1].items():
        if at <= end_of(day):
            unit = account_id(account)
            yield [EXPERIMENT, unit, unit, VARIANTS[is_ceo], at.strftime("%Y-%m-%d %H:%M")]


def _told(company: Company) -> tuple[list[tuple[date, list[Line]]], Assigned]:
    """Each seminar with its lines, and when each company was assigned, whether to the CEO."""
    random = np.random.default_rng(len(company.deals))
    first = company.as_of - timedelta(days=int(365 * company.parameters.years))
    assigned: Assigned = {}
    seminars = _seminars(first, company.as_of)
    return [(day, list(_seminar(random, company, day, assigned))) for day in seminars], assigned


def _seminars(first: date, last: date) -> list[date]:
    """A working Thursday in February, May, September and November."""
    days = (date(year, month, 7) for year in range(first.year, last.year + 1)
            for month in (2, 5, 9, 11))  # fmt: skip
    thursdays = [day + timedelta((3 - day.weekday()) % 7) for day in days]
    return [d for d in thursdays if is_working_day(d) and first < d - timedelta(SENT[0]) < last]


def _seminar(
    random: np.random.Generator, company: Company, held_on: date, assigned: Assigned
) -> Iterable[Line]:
    campaign = {"Campaign": f"Breakfast {held_on}"}
    yield {"What": "seminar", "When": _at(held_on, 8), **campaign}
    known = {d.account: d for d in company.deals if d.created_at < _at(held_on, 8, -SENT[0])}
    asked = random.permutation(sorted(known))[:N_INVITED]
    for account in (int(account) for account in asked):
        deal = known[account]
        who = {
            "Seller": f"Seller {deal.seller.key}",
            "Company": f"Company {account}",
            "Mail": f"contact{account}@company{account}.example",
            "Segment": deal.segment,
            **campaign,
        }
        begins = _at(held_on, 7, -SENT[0])
        if begins.date() >= date(company.as_of.year, 1, 1):
            _, is_ceo = assigned.setdefault(account, (begins, bool(random.random() < 0.5)))
        else:
            is_ceo = bool(random.random() < CEO_SHARES[deal.segment])
        message = str(random.choice(["question", "news"]))
        for number, (hazard, ago) in enumerate(zip(HAZARDS, SENT, strict=True)):
            signer = "CEO" if is_ceo and number == 0 else who["Seller"]
            sent = _at(held_on, int(random.integers(8, 17)), -ago)
            yield {"What": "mail", "When": sent, **who, "Message": message, "Signed by": signer,
                   "Reminder": number}  # fmt: skip
            if random.random() < hazard + OF_CEO * (is_ceo and number == 0):
                outcome = "came" if random.random() < COMES else "did not come"
                after = timedelta(hours=float(random.uniform(1, 60)))
                yield {"What": "sign-up", "When": sent + after, **who, "Outcome": outcome}
                break


def _at(day: date, hour: int, days: int = 0) -> datetime:
    return datetime.combine(day + timedelta(days), time(hour), ZONE)
