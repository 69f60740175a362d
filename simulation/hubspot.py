"""The invented company's exports, as HubSpot writes them.

Belongs here: HubSpot's headers and formats, and the mapping the company would have.
Does not belong here: how deals behave (`company`), where the files go (`home`).
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from simulation.company import LOST, WON, ZONE, Area, Company, Deal, Lead, Seller, end_of

Rows = Iterable[list[Any]]

# Changes of HubSpot deal properties that the history export is asked for.
PROPERTIES = {
    "stage": "dealstage", "owner": "hubspot_owner_id", "amount": "amount",
    "close_date": "closedate",
}  # fmt: skip
SOURCES = {"ui": "CRM_UI", "bulk": "BATCH_UPDATE", "workflow": "AUTOMATION_PLATFORM"}
LEAD_STAGES = {key: key.capitalize() for key in ("new", "working", "qualified", "disqualified")}


def exports(company: Company, day: date) -> dict[str, Rows]:
    """What would be exported at the end of `day`: file name to rows, the header first."""
    until = end_of(day)
    name = "hubspot-crm-exports-all"
    return {
        f"{name}-deals-{day}.csv": _deals(company, day),
        f"{name}-leads-{day}.csv": _leads(company, until),
        f"{name}-companies-{day}.csv": _companies(company, until),
        f"{name}-contacts-{day}.csv": _contacts(company, until),
        f"deal-property-history-{day}.csv.gz": _history(company, until),
        f"deal-splits-{day}.csv": _splits(company, until),
        f"calls-{day}.csv": _activities(company, "call", until),
        f"meetings-{day}.csv": _activities(company, "meeting", until),
        f"owners-{day}.csv": _owners(company),
    }


def stage_id(area: Area, key: str) -> str:
    """HubSpot's own names in the first pipeline; those of a second one are its own."""
    closing = {WON: "closedwon", LOST: "closedlost"}
    if key in closing:
        return closing[key] if area.pipeline == "default" else f"{area.pipeline}_{key}"
    return key


def _label(company: Company, area: Area, key: str, day: date) -> str:
    if key in (WON, LOST):
        return "Closed Won" if key == WON else "Closed Lost"
    stage = next(stage for stage in area.stages if stage.key == key)
    return stage.old_label if stage.old_label and day < company.reformed_on else stage.label


def _pipeline(area: Area) -> str:
    return "Sales Pipeline" if area.pipeline == "default" else area.name


def _local(at: datetime | None) -> str:
    return at.astimezone(ZONE).strftime("%Y-%m-%d %H:%M") if at else ""


def _utc(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def seller_name(seller: Seller) -> str:
    return f"Seller {seller.key}"


def owner_id(company: Company, seller: Seller) -> str:
    return str(7_000 + company.parameters.sellers.index(seller))


def deal_id(deal: Deal) -> int:
    return 100_000 + deal.number


def account_id(account: int) -> str:
    """As published tables have it."""
    return f"hubspot:{500_000 + account}"


def lead_id(lead: Lead) -> int:
    return 400_000 + lead.number


def _deals(company: Company, day: date) -> Rows:
    until = end_of(day)
    yield [
        "Record ID", "Deal Name", "Pipeline", "Deal Stage", "Amount", "Currency", "Close Date",
        "Create Date", "Deal owner", "Deal Type", "Original Traffic Source", "Segment",
        "Business Area", "Next Activity Date", "Merged Deal IDs", "Associated Company IDs",
        "Last Modified Date",
    ]  # fmt: skip
    for deal in company.deals:
        if not deal.is_shown(until):
            continue
        stage = deal.known(until)[-1]
        amount = deal.value("amount", until)
        is_open = stage.value not in (WON, LOST)
        planned = is_open and deal.next_step_days is not None
        merged = [
            str(deal_id(other))
            for other in company.deals
            if other.merged_into is deal and other.merged_at and other.merged_at <= until
        ]
        yield [
            deal_id(deal),
            f"Deal {deal.number}",
            _pipeline(deal.area),
            _label(company, deal.area, stage.value, day),
            "" if amount is None else f"{amount}.0",
            deal.currency,
            _close_date(deal, until),
            _local(deal.created_at),
            seller_name(deal.value("owner", until)),
            {"new": "New Business", "renewal": "Renewal"}.get(deal.deal_type, "Existing Business"),
            deal.source or "",
            deal.segment,
            deal.area.name,
            (day + timedelta(days=deal.next_step_days or 0)).isoformat() if planned else "",
            ";".join(merged),
            500_000 + deal.account,
            _local(max(c.at for c in deal.changes if c.at <= until)),
        ]


def _close_date(deal: Deal, until: datetime) -> str:
    """The expected date at midnight; of a closed deal, when it was closed."""
    stage = deal.known(until)[-1]
    if stage.value in (WON, LOST):
        return _local(stage.at)
    return f"{deal.value('close_date', until)} 00:00"


def _history(company: Company, until: datetime) -> Rows:
    yield [
        "dealId", "property", "value", "sourceType", "sourceId", "sourceLabel", "timestamp",
        "updatedByUserId",
    ]  # fmt: skip
    users = {seller.key: owner_id(company, seller) for seller in company.parameters.sellers}
    for deal in company.deals:
        if not deal.is_shown(until):
            continue
        for change in deal.changes:
            if change.at > until:
                continue
            value = change.value
            if change.name == "stage":
                value = stage_id(deal.area, value)
            elif change.name == "owner":
                value = owner_id(company, value)
            user = users.get(change.by, change.by)
            yield [
                deal_id(deal), PROPERTIES[change.name], value, SOURCES[change.source],
                f"userId:{user}", "", _utc(change.at), user,
            ]  # fmt: skip


def _leads(company: Company, until: datetime) -> Rows:
    yield [
        "Record ID", "Lead Name", "Lead Stage", "Create Date", "Lead owner", "Lead source",
        "Converted Date", "Associated Deal IDs",
    ]  # fmt: skip
    for lead in company.leads:
        if lead.created_at > until:
            continue
        is_converted = lead.deal is not None and lead.ended_at <= until
        yield [
            lead_id(lead),
            f"Lead {lead.number}",
            LEAD_STAGES[lead.stage(until)],
            _local(lead.created_at),
            seller_name(lead.seller),
            lead.source or "",
            _local(lead.ended_at) if is_converted else "",
            deal_id(lead.deal) if is_converted and lead.deal else "",
        ]


def _splits(company: Company, until: datetime) -> Rows:
    yield ["Deal ID", "Split owner ID", "Split percentage"]
    for deal in company.deals:
        if deal.is_shown(until):
            for seller, share in deal.credits:
                yield [deal_id(deal), owner_id(company, seller), share]


def _owners(company: Company) -> Rows:
    yield ["id", "email", "firstName", "lastName", "team", "active"]
    for seller in company.parameters.sellers:
        mail = f"{seller.key.lower()}@seller.example"
        yield [owner_id(company, seller), mail, "Seller", seller.key, seller.team, "true"]


def accounts(company: Company, until: datetime) -> dict[int, str]:
    """Account number to segment, of those with a deal."""
    return dict(sorted({d.account: d.segment for d in company.deals if d.is_shown(until)}.items()))


EMPLOYEES = {"Small": 20, "Mid": 180, "Enterprise": 2_400}
INDUSTRIES = ("Manufacturing", "Retail", "Construction", "Health")


def _companies(company: Company, until: datetime) -> Rows:
    yield [
        "Record ID", "Company name", "Industry", "Number of Employees", "Country/Region", "Segment"
    ]  # fmt: skip
    for account, segment in accounts(company, until).items():
        industry = INDUSTRIES[account % 4]
        size = EMPLOYEES[segment] + account % 17
        yield [500_000 + account, f"Company {account}", industry, size, "Sweden", segment]


def _contacts(company: Company, until: datetime) -> Rows:
    yield ["Record ID", "First Name", "Email", "Phone Number", "Associated Company IDs"]
    for account in accounts(company, until):
        # Numbers of the range the Swedish authority sets aside for fiction.
        phone = f"070-174 06 {5 + account % 95:02d}"
        mail = f"contact{account}@company{account}.example"
        yield [900_000 + account, "Contact", mail, phone, 500_000 + account]


def _activities(company: Company, kind: str, until: datetime) -> Rows:
    common = [
        "hubspot_owner_id",
        "Associated Deal IDs",
        "Associated Company IDs",
        "Associated Contact IDs",
    ]
    if kind == "call":
        own = ["hs_timestamp", "hs_call_disposition", "hs_call_direction", "hs_call_duration"]
    else:
        own = ["hs_meeting_start_time", "hs_meeting_outcome"]
    yield ["hs_object_id", *own, *common]
    for activity in company.activities:
        if activity.kind != kind or activity.occurred_at > until:
            continue
        values = [_utc(activity.occurred_at), activity.outcome]
        if kind == "call":
            values += ["OUTBOUND", str(activity.duration_ms)]
        account = activity.deal.account
        yield [
            2_000_000 + activity.number,
            *values,
            owner_id(company, activity.seller),
            deal_id(activity.deal),
            500_000 + account,
            900_000 + account,
        ]


def mapping(company: Company) -> dict[str, Any]:
    """The company's own stages and files, as it would write them into mappings/hubspot.yml."""
    stages: list[dict[str, Any]] = [
        _stage("leads", key, label, position, kind, "lead")
        for position, (key, label, kind) in enumerate(
            (
                ("new", "New", "open"),
                ("working", "Working", "open"),
                ("qualified", "Qualified", "open"),
                ("disqualified", "Disqualified", "lost"),
            ),
            start=1,
        )
    ]
    # Leads come without a history: the company says where they start.
    stages[0]["is_start"] = True
    labels: dict[str, str] = {}
    for area in company.parameters.areas:
        for position, stage in enumerate(area.stages, start=1):
            row = _stage(area.pipeline, stage.key, stage.label, position, "open", stage.role)
            if stage.is_retired:
                row["valid_to"] = company.reformed_on
            stages.append(row)
            labels[stage.label] = stage.key
            if stage.old_label:
                labels[stage.old_label] = stage.key
        for position, key in enumerate((WON, LOST), start=len(area.stages) + 1):
            label = "Closed Won" if key == WON else "Closed Lost"
            stages.append(_stage(area.pipeline, stage_id(area, key), label, position, key, None))
    # Both pipelines call their ends the same: the deal's status tells, its pipeline says where.
    ends = {"Closed Won": WON, "Closed Lost": LOST}
    deal_columns = {
        "pipeline_id": {
            "from": ["Pipeline"],
            "values": {_pipeline(area): area.pipeline for area in company.parameters.areas},
        },
        "stage_id": {"from": ["Deal Stage"], "values": {**labels, **dict.fromkeys(ends)}},
        "status": {"from": ["Deal Stage"], "values": {**ends, "*": "open"}},
    }
    known_at = {"file_name": r"(\d{4}-\d{2}-\d{2})"}
    lead_stages = {label: key for key, label in LEAD_STAGES.items()}
    return {
        "stages": stages,
        "files": {
            "deals": {"complete": True, "tables": {"deals": {"columns": deal_columns}}},
            "leads": {
                "doc": "View export of leads.",
                "complete": True,
                "headers": [["Record ID"], ["Lead Stage"]],
                "known_at": known_at,
                "tables": {
                    "leads": {
                        "columns": {
                            "lead_id": "Record ID",
                            "pipeline_id": {"constant": "leads"},
                            "stage_id": {"from": ["Lead Stage"], "values": lead_stages},
                            "source": "Lead source",
                            "seller_id": "Lead owner",
                            "created_at": "Create Date",
                            "converted_at": "Converted Date",
                            "converted_deal_id": "Associated Deal IDs",
                        }
                    }
                },
            },
            "splits": {
                "doc": "Deal splits.",
                "headers": [["Deal ID"], ["Split owner ID"], ["Split percentage"]],
                "known_at": known_at,
                "tables": {
                    "deal_credits": {
                        "columns": {
                            "deal_id": "Deal ID",
                            "seller_id": "Split owner ID",
                            "share": "Split percentage",
                        }
                    }
                },
            },
        },
    }


def _stage(
    pipeline: str, key: str, label: str, position: int, kind: str, role: str | None
) -> dict[str, Any]:
    row = {
        "pipeline_id": pipeline,
        "stage_id": key,
        "label": label,
        "position": position,
        "kind": kind,
    }
    return {**row, "role": role} if role else row
