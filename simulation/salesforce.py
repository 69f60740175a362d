"""The invented company's exports, as Salesforce's Data Loader writes them.

Belongs here: Salesforce's objects, field names and formats, and the mapping the company would have.
Does not belong here: how deals behave (`company`), where the files go (`home`).

A deleted opportunity stays in the export, marked as such; a duplicate is deleted, as Salesforce
merges no opportunities.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any

from simulation.company import LOST, WON, ZONE, Area, Company, Deal, Lead, Seller, end_of
from simulation.hubspot import EMPLOYEES, INDUSTRIES, accounts, seller_name

Rows = Iterable[list[Any]]

TRACKED = {"owner": "Owner", "amount": "Amount", "close_date": "CloseDate", "stage": "StageName"}
STATUSES = {
    "new": "Open - Not Contacted",
    "working": "Working - Contacted",
    "qualified": "Closed - Converted",
    "disqualified": "Closed - Not Converted",
}
TYPES = {"new": "New Customer", "renewal": "Renewal", "expansion": "Existing Customer - Upgrade"}


def exports(company: Company, day: date) -> dict[str, Rows]:
    """What would be exported at the end of `day`: file name to rows, the header first."""
    until = end_of(day)
    return {
        f"Opportunity-{day}.csv": _opportunities(company, until),
        f"OpportunityHistory-{day}.csv": _stage_history(company, until),
        f"OpportunityFieldHistory-{day}.csv": _field_history(company, until),
        f"Lead-{day}.csv": _leads(company, until),
        f"Task-{day}.csv": _tasks(company, until),
        f"Event-{day}.csv": _events(company, until),
        f"User-{day}.csv": _users(company),
        f"Account-{day}.csv": _accounts(company, until),
    }


def stage_name(area: Area, key: str) -> str:
    """Stage names are one list for all sales processes; a record type uses some of them."""
    if key in (WON, LOST):
        return "Closed Won" if key == WON else "Closed Lost"
    return next(stage.label for stage in area.stages if stage.key == key)


def _record_type(area: Area) -> str:
    return "012000000000000AAA" if area.pipeline == "default" else "012000000000001AAA"


def _at(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000")


def _day(at: datetime) -> str:
    return at.astimezone(ZONE).date().isoformat()


def opportunity_id(deal: Deal) -> str:
    return f"006{deal.number:012d}AAA"


def lead_id(lead: Lead) -> str:
    return f"00Q{lead.number:012d}AAA"


def user_id(company: Company, seller: Seller) -> str:
    return f"005{company.parameters.sellers.index(seller):012d}AAA"


def _account_id(account: int) -> str:
    return f"001{account:012d}AAA"


def _is_deleted(deal: Deal, until: datetime) -> bool:
    return not deal.is_shown(until)


def _existing(company: Company, until: datetime) -> Iterable[Deal]:
    return (deal for deal in company.deals if deal.created_at <= until)


def _opportunities(company: Company, until: datetime) -> Rows:
    yield [
        "Id", "IsDeleted", "Name", "AccountId", "RecordTypeId", "StageName", "Amount",
        "CurrencyIsoCode", "Probability", "CloseDate", "Type", "LeadSource", "IsClosed", "IsWon",
        "OwnerId", "CreatedDate", "Segment__c", "Business_Area__c",
    ]  # fmt: skip
    for deal in _existing(company, until):
        stage = deal.known(until)[-1]
        closed = stage.value in (WON, LOST)
        yield [
            opportunity_id(deal),
            str(_is_deleted(deal, until)).lower(),
            f"Deal {deal.number}",
            _account_id(deal.account),
            _record_type(deal.area),
            stage_name(deal.area, stage.value),
            deal.value("amount", until) or "",
            deal.currency,
            {WON: 100, LOST: 0}.get(stage.value, 50),
            _day(stage.at) if closed else deal.value("close_date", until),
            TYPES[deal.deal_type],
            deal.source or "",
            str(closed).lower(),
            str(stage.value == WON).lower(),
            user_id(company, deal.value("owner", until)),
            _at(deal.created_at),
            deal.segment,
            deal.area.name,
        ]


def _stage_history(company: Company, until: datetime) -> Rows:
    """The state after every change of stage, amount or close date."""
    yield [
        "Id", "OpportunityId", "StageName", "Amount", "CloseDate", "CreatedById", "CreatedDate",
        "IsDeleted",
    ]  # fmt: skip
    number = 0
    for deal in _existing(company, until):
        state: dict[str, Any] = {}
        for change in (c for c in deal.changes if c.at <= until):
            state[change.name] = change.value
            if change.name != "stage":
                continue
            number += 1
            yield [
                f"008{number:012d}AAA",
                opportunity_id(deal),
                stage_name(deal.area, change.value),
                state.get("amount", ""),
                state["close_date"],
                _user(company, change.by),
                _at(change.at),
                str(_is_deleted(deal, until)).lower(),
            ]


def _field_history(company: Company, until: datetime) -> Rows:
    yield [
        "Id", "OpportunityId", "Field", "OldValue", "NewValue", "CreatedById", "CreatedDate",
        "IsDeleted",
    ]  # fmt: skip
    number = 0
    for deal in _existing(company, until):
        state: dict[str, Any] = {}
        for change in (c for c in deal.changes if c.at <= until):
            value = change.value
            if change.name == "owner":
                value = user_id(company, value)
            elif change.name == "stage":
                value = stage_name(deal.area, value)
            old = state.get(change.name)
            state[change.name] = value
            if old is None or old == value:
                continue
            number += 1
            yield [
                f"017{number:012d}AAA",
                opportunity_id(deal),
                TRACKED[change.name],
                old,
                value,
                _user(company, change.by),
                _at(change.at),
                str(_is_deleted(deal, until)).lower(),
            ]


def _user(company: Company, key: str) -> str:
    sellers = {seller.key: seller for seller in company.parameters.sellers}
    return user_id(company, sellers[key]) if key in sellers else f"005{key.upper():0>12}AAA"


def _leads(company: Company, until: datetime) -> Rows:
    yield [
        "Id", "IsDeleted", "Status", "LeadSource", "OwnerId", "CreatedDate", "IsConverted",
        "ConvertedDate", "ConvertedOpportunityId",
    ]  # fmt: skip
    for lead in company.leads:
        if lead.created_at > until:
            continue
        converted = lead.deal if lead.deal and lead.ended_at <= until else None
        yield [
            lead_id(lead),
            "false",
            STATUSES[lead.stage(until)],
            lead.source or "",
            user_id(company, lead.seller),
            _at(lead.created_at),
            str(converted is not None).lower(),
            _day(lead.ended_at) if converted else "",
            opportunity_id(converted) if converted else "",
        ]


def _tasks(company: Company, until: datetime) -> Rows:
    yield [
        "Id", "IsDeleted", "WhatId", "WhoId", "AccountId", "OwnerId", "Subject", "Status",
        "ActivityDate", "CompletedDateTime", "CreatedDate", "TaskSubtype", "CallDisposition",
        "CallDurationInSeconds", "CallType",
    ]  # fmt: skip
    for activity in company.activities:
        if activity.kind != "call" or activity.occurred_at > until:
            continue
        yield [
            f"00T{activity.number:012d}AAA",
            "false",
            opportunity_id(activity.deal),
            "",
            _account_id(activity.deal.account),
            user_id(company, activity.seller),
            "Call",
            "Completed",
            _day(activity.occurred_at),
            _at(activity.occurred_at),
            _at(activity.occurred_at),
            "Call",
            activity.outcome,
            activity.duration_ms // 1_000,
            "Outbound",
        ]


def _events(company: Company, until: datetime) -> Rows:
    """Each meeting, and the copy that its invitee has of it."""
    yield [
        "Id", "IsDeleted", "IsChild", "WhatId", "WhoId", "AccountId", "OwnerId", "Subject",
        "StartDateTime", "EndDateTime",
    ]  # fmt: skip
    for activity in company.activities:
        if activity.kind != "meeting" or activity.occurred_at > until:
            continue
        for prefix, is_child in (("00U", "false"), ("00U9", "true")):
            yield [
                f"{prefix}{activity.number:0{15 - len(prefix)}d}AAA",
                "false",
                is_child,
                opportunity_id(activity.deal),
                "",
                _account_id(activity.deal.account),
                user_id(company, activity.seller),
                "Meeting",
                _at(activity.occurred_at),
                _at(activity.occurred_at),
            ]


def _users(company: Company) -> Rows:
    yield ["Id", "Name", "Email", "IsActive", "Department"]
    for seller in company.parameters.sellers:
        mail = f"{seller.key.lower()}@seller.example"
        yield [user_id(company, seller), seller_name(seller), mail, "true", seller.team]


def _accounts(company: Company, until: datetime) -> Rows:
    yield [
        "Id",
        "IsDeleted",
        "Name",
        "Industry",
        "NumberOfEmployees",
        "BillingCountry",
        "Segment__c",
    ]
    for account, segment in accounts(company, until).items():
        yield [
            _account_id(account),
            "false",
            f"Company {account}",
            INDUSTRIES[account % 4],
            EMPLOYEES[segment] + account % 17,
            "Sweden",
            segment,
        ]


def account_id(account: int) -> str:
    """As published tables have it: without contacts, the tally's own name for the company."""
    return f"tally:Company {account}"


def mapping(company: Company) -> dict[str, Any]:
    """The company's own sales processes, as it would write them into mappings/salesforce.yml."""
    stages: list[dict[str, Any]] = [
        {
            "pipeline_id": "leads",
            "stage_id": STATUSES[key],
            "position": position,
            "kind": "lost" if key == "disqualified" else "open",
            "role": "lead",
        }
        for position, key in enumerate(STATUSES, start=1)
    ]
    # Leads come without a history: the company says where they start.
    stages[0]["is_start"] = True
    for area in company.parameters.areas:
        keys = [*(stage.key for stage in area.stages), WON, LOST]
        for position, key in enumerate(keys, start=1):
            row: dict[str, Any] = {
                "pipeline_id": area.pipeline,
                "stage_id": stage_name(area, key),
                "label": stage_name(area, key),
                "position": position,
                "kind": key if key in (WON, LOST) else "open",
            }
            for stage in area.stages:
                if stage.key == key:
                    row["role"] = stage.role
                    if stage.is_retired:
                        row["valid_to"] = company.reformed_on
            stages.append(row)
    types = {_record_type(area): area.pipeline for area in company.parameters.areas}
    columns = {"pipeline_id": {"from": ["RecordTypeId"], "values": types}}
    return {
        "stages": stages,
        "files": {"opportunities": {"tables": {"deals": {"columns": columns}}}},
    }
