"""How the invented company sells, and what its CRM makes of it.

Belongs here: the histories drawn from the company's parameters.
Does not belong here: the parameters (`company`), file formats (`hubspot`, `salesforce`).

Leads become deals, deals move through stages by competing outcomes whose chances depend on
segment, source, the size of the deal and a skill of the seller that drifts; stays are log-normal.
Sellers get different mixes of leads, so that raw win rates mislead about skill, and large deals are
won less often, so that amounts mislead about wins. On top of what really happened lies what people
do to a CRM: misclicks, bulk clean-ups, duplicates merged, deals deleted and restored, dates pushed,
amounts changed after the win, stages renamed and taken out of use.
"""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np

from simulation.company import (
    FOREVER,
    LOST,
    WON,
    ZONE,
    Activity,
    Change,
    Company,
    Deal,
    Lead,
    Parameters,
    Seller,
    end_of,
)
from simulation.working_days import days_from, is_working_day, later, working_time


def simulate(n_deals: int, seed: int, as_of: date, parameters: Parameters | None = None) -> Company:
    """A company with `n_deals` deals begun in the years up to `as_of`, and the leads it had.

    The same arguments give the same company. Shapes: deals in order of creation, duplicates of
    some after them; leads; calls and meetings in order of time, none after `as_of`.
    """
    parameters = parameters or Parameters()
    random = np.random.default_rng(seed)
    company = Company(parameters, as_of, [], [], [])
    starts = sorted(_start(random, parameters, as_of) for _ in range(n_deals))
    n_accounts = max(1, int(n_deals / 1.4))
    account_segment = random.choice(3, n_accounts, p=[0.5, 0.32, 0.18])
    for number, created_at in enumerate(starts, start=1):
        deal = _deal(random, company, number, created_at, account_segment)
        company.deals.append(deal)
        company.activities += _activities(random, deal, company.until)
    _clean_up(company)
    for deal in list(company.deals):
        _remove(random, company, deal)
    _add_idle_leads(random, company)
    company.activities.sort(key=lambda a: (a.occurred_at, a.deal.number, a.kind))
    for number, activity in enumerate(company.activities, start=1):
        activity.number = number
    return company


def _start(random: np.random.Generator, parameters: Parameters, as_of: date) -> datetime:
    """A working day by season, an hour of the working day."""
    while True:
        day = as_of - timedelta(days=int(random.integers(1, int(365 * parameters.years))))
        if is_working_day(day) and random.random() < parameters.season[day.month - 1] / 1.3:
            return working_time(random, day)


def _drawn(random: np.random.Generator, shares: dict[str, tuple[float, float]]) -> str:
    weights = [share for share, _ in shares.values()]
    return list(shares)[int(random.choice(len(weights), p=weights))]


def _deal(
    random: np.random.Generator,
    company: Company,
    number: int,
    created_at: datetime,
    account_segment: np.ndarray[Any, Any],
) -> Deal:
    parameters = company.parameters
    seller = parameters.sellers[int(random.integers(len(parameters.sellers)))]
    wanted = 2 if random.random() < seller.large_share else int(random.random() < 0.4)
    same = np.flatnonzero(account_segment == wanted)
    account = int(random.choice(same)) if len(same) else int(random.integers(len(account_segment)))
    source = _drawn(random, parameters.sources)
    deal = Deal(
        number,
        account,
        parameters.areas[int(random.random() > parameters.areas[0].share)],
        list(parameters.segments)[int(account_segment[account])],
        None if random.random() < parameters.missing_source else source,
        _drawn(random, parameters.deal_types),
        "EUR" if random.random() < parameters.euro_share else "SEK",
        seller,
        created_at,
    )
    size = float(random.lognormal(0, parameters.size_spread))
    log_odds = parameters.sources[source][1] + parameters.size_effect * np.log(size)
    log_odds += parameters.deal_types[deal.deal_type][1] + parameters.segments[deal.segment]
    moves = _history(random, company, deal, log_odds)
    _write_down(random, parameters, deal, moves, size)
    if deal.deal_type == "new" and random.random() < parameters.first_as_lead:
        deal.lead = _lead(random, company, deal)
    if random.random() < parameters.credit_split:
        deal.credits = _credits(random, parameters, seller)
    if random.random() < parameters.next_step_planned:
        deal.next_step_days = int(random.integers(1, 30))
    return deal


def _history(
    random: np.random.Generator, company: Company, deal: Deal, log_odds: float
) -> list[tuple[datetime, str]]:
    """What really happened: the stages entered, until it is won or lost for good."""
    parameters = company.parameters
    reformed = end_of(company.reformed_on)
    started = end_of(company.as_of) - timedelta(days=365 * parameters.years)
    slower = parameters.slower_enterprise if deal.segment == "Enterprise" else 1.0
    at, stages = deal.created_at, deal.area.stages
    stage = stages[0]
    moves = [(at, stage.key)]
    while True:
        at = later(random, at, stage.median_days * slower)
        years = (at - started).total_seconds() / (365.25 * 86_400)
        odds = stage.advance / (1 - stage.advance)
        odds *= np.exp(log_odds + deal.seller.skill + deal.seller.drift * years)
        in_use = [s for s in stages if at < reformed or not s.is_retired]
        position = sum(stages.index(s) <= stages.index(stage) for s in in_use) - 1
        draw = random.random()
        if draw < stage.regress and position > 0:
            position -= 1
        elif draw < stage.regress + stage.skip and position + 2 < len(in_use):
            position += 2
        elif random.random() < odds / (1 + odds):
            position += 1
        else:
            moves.append((at, LOST))
            if random.random() >= parameters.reopened_after_lost:
                return moves
            at = later(random, at, 60)
            position = max(position, 0)
        if position == len(in_use):
            moves.append((at, WON))
            if random.random() >= parameters.reopened_after_won:
                return moves
            at = later(random, at, 7)
            position -= 1
        stage = in_use[position]
        moves.append((at, stage.key))


def _write_down(
    random: np.random.Generator,
    parameters: Parameters,
    deal: Deal,
    moves: list[tuple[datetime, str]],
    size: float,
) -> None:
    """What the CRM keeps of it: owner, amount, close date, misclicks and all."""
    owner, amount, close = deal.seller, _amount(parameters, deal, size), _first_close(random, deal)
    others = [s for s in parameters.sellers if s.team == owner.team and s != owner]
    changes_owner = random.random() < parameters.owner_changes
    is_stated = random.random() >= parameters.missing_amount
    stated_at = int(random.random() < parameters.late_amount)
    stages = {stage.key: stage for stage in deal.area.stages}
    keys = list(stages)
    for number, (at, stage) in enumerate(moves):
        if number == 1 and changes_owner:
            owner = others[int(random.integers(len(others)))]
        if number == 0 or (number == 1 and changes_owner):
            deal.changes.append(Change(at, "owner", owner, owner.key))
        if is_stated and number >= stated_at:
            changed = number > 1 and random.random() < parameters.amount_changes
            amount = (
                max(1_000, int(amount * float(random.lognormal(0, 0.2)))) if changed else amount
            )
            if number == stated_at or changed:
                deal.changes.append(Change(at, "amount", amount, owner.key))
        close, is_moved = _next_close(random, parameters, close, at, stage, number)
        if is_moved:
            deal.changes.append(Change(at, "close_date", close, owner.key))
        before = moves[number - 1][1] if number else None
        two_on = before in keys and stage in keys and keys.index(stage) - keys.index(before) == 2
        between = keys[keys.index(stage) - 1] if two_on else None
        is_skip = between and not stages[between].is_retired
        if is_skip and random.random() < parameters.skips_in_one_second:
            deal.changes.append(Change(at, "stage", between, "workflow", "workflow"))
            deal.changes.append(Change(at, "stage", stage, "workflow", "workflow"))
        else:
            deal.changes.append(Change(at, "stage", stage, owner.key))
        if stage in keys and random.random() < parameters.misclicks:
            wrong = [k for k in (*keys, WON, LOST) if k != stage]
            click = at + timedelta(seconds=int(random.integers(30, 300)))
            back = click + timedelta(seconds=int(random.integers(30, 900)))
            slip = wrong[int(random.integers(len(wrong)))]
            deal.changes.append(Change(click, "stage", slip, owner.key, is_mistake=True))
            deal.changes.append(Change(back, "stage", stage, owner.key))
    if moves[-1][1] == WON and is_stated and random.random() < parameters.amount_restated:
        at = later(random, moves[-1][0], 30)
        deal.changes.append(Change(at, "amount", int(amount * 0.9), owner.key))


def _amount(parameters: Parameters, deal: Deal, size: float) -> int:
    amount = int(parameters.median_amount[deal.segment] * size / 1_000) * 1_000 + 1_000
    return amount // 10 if deal.currency == "EUR" else amount


def _first_close(random: np.random.Generator, deal: Deal) -> date:
    return deal.created_at.date() + timedelta(days=int(random.integers(60, 180)))


def _next_close(
    random: np.random.Generator,
    parameters: Parameters,
    close: date,
    at: datetime,
    stage: str,
    number: int,
) -> tuple[date, bool]:
    """The expected close after a move, and whether it is written anew; closing sets the day."""
    if number == 0:
        return close, True
    if stage in (WON, LOST):
        return at.astimezone(ZONE).date(), True
    draw = random.random()
    if draw < parameters.close_date_pushed:
        later = max(close, at.date()) + timedelta(days=int(random.integers(20, 90)))
        return later, True
    if draw < parameters.close_date_pushed + parameters.close_date_pulled:
        return max(at.date(), close - timedelta(days=30)), True
    return close, False


def _credits(
    random: np.random.Generator, parameters: Parameters, seller: Seller
) -> tuple[tuple[Seller, str], ...]:
    others = [s for s in parameters.sellers if s != seller]
    first, second = random.choice(len(others), 2, replace=False)
    if random.random() < 0.5:
        return ((seller, "70%"), (others[first], "30%"))
    return ((seller, "33.34%"), (others[first], "33.33%"), (others[second], "33.33%"))


def _lead(random: np.random.Generator, company: Company, deal: Deal) -> Lead:
    days = max(0.2, float(random.lognormal(np.log(company.parameters.lead_days), 0.8)))
    created_at = deal.created_at - timedelta(days=days)
    worked_at = created_at + (deal.created_at - created_at) * float(random.uniform(0.05, 0.6))
    number = len(company.leads) + 1
    lead = Lead(number, deal.seller, deal.source, created_at, worked_at, deal.created_at, deal)
    company.leads.append(lead)
    return lead


def _add_idle_leads(random: np.random.Generator, company: Company) -> None:
    """The leads that came to nothing, as many as the conversion rate says."""
    parameters = company.parameters
    n_idle = int(len(company.leads) * (1 / parameters.lead_converts - 1))
    for _ in range(n_idle):
        created_at = _start(random, parameters, company.as_of)
        worked_at = later(random, created_at, 3)
        ended_at = later(random, worked_at, parameters.lead_days)
        seller = parameters.sellers[int(random.integers(len(parameters.sellers)))]
        source = _drawn(random, parameters.sources)
        number = len(company.leads) + 1
        company.leads.append(Lead(number, seller, source, created_at, worked_at, ended_at))


def _clean_up(company: Company) -> None:
    """On the last working day of a quarter an administrator closes what has long been silent."""
    silence = timedelta(days=company.parameters.silent_days)
    first = company.as_of - timedelta(days=int(365 * company.parameters.years))
    for day in days_from(first, (company.as_of - first).days + 1):
        month_ends = [date(day.year, m, d) for m, d in ((3, 31), (6, 30), (9, 30), (12, 30))]
        if day not in month_ends:
            continue
        while not is_working_day(day):
            day -= timedelta(days=1)
        at = datetime(day.year, day.month, day.day, 16, 0, 0, tzinfo=ZONE).astimezone(UTC)
        for deal in company.deals:
            known = deal.known(at)
            if not known or known[-1].value in (WON, LOST) or known[-1].at > at - silence:
                continue
            deal.changes = [c for c in deal.changes if c.at <= at]
            deal.changes.append(Change(at, "close_date", day, "admin", "bulk"))
            deal.changes.append(Change(at, "stage", LOST, "admin", "bulk"))


def _remove(random: np.random.Generator, company: Company, deal: Deal) -> None:
    """Some deals are deleted, some of those restored; some were entered twice and are merged."""
    parameters = company.parameters
    if random.random() < parameters.deleted:
        deal.deleted_at = later(random, deal.created_at, 40)
        if random.random() < parameters.restored:
            deal.restored_at = later(random, deal.deleted_at, 10)
    elif random.random() < parameters.duplicates:
        twin = Deal(
            len(company.deals) + 1,
            deal.account,
            deal.area,
            deal.segment,
            deal.source,
            deal.deal_type,
            deal.currency,
            deal.seller,
            later(random, deal.created_at, 4),
            merged_into=deal,
        )
        twin.merged_at = later(random, twin.created_at, 20)
        for name, value in (
            ("owner", deal.seller),
            ("close_date", _first_close(random, twin)),
            ("stage", deal.area.stages[0].key),
        ):
            twin.changes.append(Change(twin.created_at, name, value, deal.seller.key))
        if twin.created_at <= company.until:
            company.deals.append(twin)


# --- activities ----------------------------------------------------------------------------------

CALL_OUTCOMES = ("Connected", "No answer", "Left voicemail", "Busy", "Wrong number")


def _activities(random: np.random.Generator, deal: Deal, until: datetime) -> list[Activity]:
    """A few calls in every stay, and a meeting on most moves forward."""
    found = []
    moves = [(c.at, c.value) for c in deal.known(FOREVER) if not c.is_mistake]
    for (begin, stage), (end, _) in pairwise(moves):
        if stage in (WON, LOST) or end - begin < timedelta(hours=1):
            continue
        for _ in range(int(random.poisson(1.5))):
            at = begin + (end - begin) * float(random.random())
            at = working_time(random, at.date())
            outcome = CALL_OUTCOMES[int(random.choice(5, p=[0.35, 0.4, 0.15, 0.07, 0.03]))]
            length = int(random.exponential(240_000)) if outcome == "Connected" else 0
            found.append(Activity(0, "call", deal, at, outcome, length, deal.seller))
        if random.random() < 0.7:
            outcome = "COMPLETED" if random.random() < 0.85 else "NO_SHOW"
            found.append(Activity(0, "meeting", deal, end, outcome, 3_600_000, deal.seller))
    return [activity for activity in found if deal.created_at <= activity.occurred_at <= until]
