"""Goals of the invented company, and what it changed: the sheets in which it says so.

Belongs here: how they are set. Does not belong here: reaching them; no change has an effect.
"""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

from simulation.company import FOREVER, WON, Company, Deal
from simulation.hubspot import seller_name

KRONOR_FOR_A_EURO = 11
AMBITION = 1.1  # times what an average quarter has brought


def goals(company: Company) -> Iterable[list[Any]]:
    """A goal for each quarter of the last year and the next one: company, segments, sellers."""
    yield ["scope", "scope_id", "period_start_on", "period_end_on", "amount"]
    quarters = 4 * company.parameters.years
    won = {deal.number: _won(company, deal) for deal in company.deals}
    scopes: list[tuple[str, str, list[Deal]]] = [("company", "", company.deals)]
    for segment in company.parameters.segments:
        scopes.append(("segment", segment, [d for d in company.deals if d.segment == segment]))
    for seller in company.parameters.sellers:
        deals = [deal for deal in company.deals if deal.seller == seller]
        scopes.append(("seller", seller_name(seller), deals))
    for scope, scope_id, deals in scopes:
        amount = AMBITION * sum(won[deal.number] for deal in deals) / quarters
        for year in (company.as_of.year, company.as_of.year + 1):
            for month in (1, 4, 7, 10):
                end = date(year + month // 10, (month + 3) % 12, 1) - timedelta(1)
                yield [scope, scope_id, date(year, month, 1), end, round(amount, -3)]


def actions(company: Company) -> Iterable[list[Any]]:
    """Two changes in how it works, neither of which does anything."""
    yield ["action_on", "scope", "scope_id", "kind", "metric"]
    segment = list(company.parameters.segments)[1]
    yield [company.as_of - timedelta(150), "segment", segment, "message", "moves_forward"]
    seller = seller_name(company.parameters.sellers[0])
    yield [company.as_of - timedelta(110), "seller", seller, "skill", "forward_rate"]


def _won(company: Company, deal: Deal) -> float:
    """What it was won for by the company's last day, in kronor, roughly."""
    if deal.value("stage", company.until) != WON or deal.merged_into is not None:
        return 0.0
    amount = float(deal.value("amount", FOREVER) or 0)
    return amount * (KRONOR_FOR_A_EURO if deal.currency == "EUR" else 1)
