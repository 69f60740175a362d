"""The invented company's exports, as HubSpot writes them.

Belongs here: HubSpot's file names, headers and formats, and the mapping the company would have.
Does not belong here: how deals behave (`company`).
"""

import csv
import gzip
import io
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from simulation.company import ZONE, Company, Deal

MARKER = ".simulated"
PIPELINE = "Sales Pipeline"


class NotASimulation(Exception):
    """The folder holds something that a simulation did not write."""


def write_home(company: Company, folder: Path) -> list[Path]:
    """Write exports, mapping and truth into `folder`, which becomes a data home.

    Refuses a folder that holds anything a simulation did not write: invented deals among real
    ones could not be told apart again. Returns the files written.
    """
    marker = folder / MARKER
    if folder.exists() and any(folder.iterdir()) and not marker.exists():
        raise NotASimulation(f"{folder} holds files that are not simulated; choose an empty folder")
    (folder / "inbox").mkdir(parents=True, exist_ok=True)
    (folder / "mappings").mkdir(exist_ok=True)
    marker.write_text("Everything in this home is invented.\n")
    day = company.as_of.isoformat()
    exports = {
        f"hubspot-crm-exports-all-deals-{day}.csv": _deals(company),
        f"hubspot-crm-exports-all-companies-{day}.csv": _companies(company),
        f"hubspot-crm-exports-all-contacts-{day}.csv": _contacts(company),
        f"deal-property-history-{day}.csv.gz": _history(company),
        f"calls-{day}.csv": _activities(company, "call"),
        f"meetings-{day}.csv": _activities(company, "meeting"),
        f"owners-{day}.csv": _owners(company),
    }
    written = []
    for name, rows in exports.items():
        path = folder / "inbox" / name
        _write(path, rows)
        written.append(path)
    mapping = folder / "mappings" / "hubspot.yml"
    mapping.write_text(yaml.safe_dump(_mapping(company), sort_keys=False), encoding="utf-8")
    truth = folder / "truth.json"
    truth.write_text(json.dumps(company.truth(), indent=2) + "\n", encoding="utf-8")
    return [*written, mapping, truth]


def _write(path: Path, rows: Iterable[list[Any]]) -> None:
    """HubSpot quotes every field. No clock in the gzip header, so the same company, same bytes."""
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
    content = text.getvalue().encode()
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)


def _local(at: datetime | None) -> str:
    return at.astimezone(ZONE).strftime("%Y-%m-%d %H:%M") if at else ""


def _utc(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _label(company: Company, key: str) -> str:
    labels = {stage.key: stage.label for stage in company.parameters.stages}
    return {**labels, "won": "Closed Won", "lost": "Closed Lost"}[key]


def _stage_id(key: str) -> str:
    return {"won": "closedwon", "lost": "closedlost"}.get(key, key)


def _owner_of(deal: Deal, company: Company) -> Any:
    changed = deal.later_seller and len(deal.known(company.until)) > 1
    return deal.later_seller if changed else deal.seller


def _name(seller: Any) -> str:
    return f"Seller {seller.key}"


def _deals(company: Company) -> Iterable[list[Any]]:
    yield [
        "Record ID", "Deal Name", "Pipeline", "Deal Stage", "Amount", "Currency", "Close Date",
        "Create Date", "Deal owner", "Deal Type", "Original Traffic Source", "Segment",
        "Business Area", "Associated Company IDs", "Last Modified Date",
    ]  # fmt: skip
    for deal in company.deals:
        known = deal.known(company.until)
        at, stage = known[-1]
        closed = at if stage in ("won", "lost") else None
        yield [
            100_000 + deal.number,
            f"Deal {deal.number}",
            PIPELINE,
            _label(company, stage),
            "" if deal.amount is None else f"{deal.amount}.0",
            deal.currency,
            _local(closed),
            _local(deal.created_at),
            _name(_owner_of(deal, company)),
            "New Business",
            deal.source or "",
            deal.segment,
            deal.business_area,
            500_000 + deal.account,
            _local(at),
        ]


def _history(company: Company) -> Iterable[list[Any]]:
    yield [
        "dealId", "property", "value", "sourceType", "sourceId", "sourceLabel", "timestamp",
        "updatedByUserId",
    ]  # fmt: skip
    for deal in company.deals:
        known = deal.known(company.until)
        owner = deal.seller
        changes = [(deal.created_at, "hubspot_owner_id", _owner_id(company, owner))]
        if deal.amount is not None:
            changes.append((deal.created_at, "amount", str(deal.amount)))
        if deal.later_seller and len(known) > 1:
            changes.append((known[1][0], "hubspot_owner_id", _owner_id(company, deal.later_seller)))
        changes += [(at, "dealstage", _stage_id(stage)) for at, stage in known]
        for at, name, value in sorted(changes, key=lambda change: change[0]):
            user = _owner_id(company, owner)
            yield [
                100_000 + deal.number, name, value, "CRM_UI", f"userId:{user}", "", _utc(at), user
            ]  # fmt: skip


def _owner_id(company: Company, seller: Any) -> str:
    return str(7_000 + company.parameters.sellers.index(seller))


def _owners(company: Company) -> Iterable[list[Any]]:
    yield ["id", "email", "firstName", "lastName", "team", "active"]
    for seller in company.parameters.sellers:
        mail = f"{seller.key.lower()}@seller.example"
        yield [_owner_id(company, seller), mail, "Seller", seller.key, seller.team, "true"]


def _companies(company: Company) -> Iterable[list[Any]]:
    yield [
        "Record ID",
        "Company name",
        "Industry",
        "Number of Employees",
        "Country/Region",
        "Segment",
    ]
    seen: dict[int, str] = {deal.account: deal.segment for deal in company.deals}
    employees = {"Small": 20, "Mid": 180, "Enterprise": 2_400}
    industries = ("Manufacturing", "Retail", "Construction", "Health")
    for account, segment in sorted(seen.items()):
        industry = industries[account % 4]
        size = employees[segment] + account % 17
        yield [500_000 + account, f"Company {account}", industry, size, "Sweden", segment]


def _contacts(company: Company) -> Iterable[list[Any]]:
    yield ["Record ID", "First Name", "Email", "Phone Number", "Associated Company IDs"]
    for account in sorted({deal.account for deal in company.deals}):
        # Numbers of the range the Swedish authority sets aside for fiction.
        phone = f"070-174 06 {5 + account % 95:02d}"
        mail = f"contact{account}@company{account}.example"
        yield [900_000 + account, "Contact", mail, phone, 500_000 + account]


def _activities(company: Company, kind: str) -> Iterable[list[Any]]:
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
        if activity.kind != kind:
            continue
        values = [_utc(activity.occurred_at), activity.outcome]
        if kind == "call":
            values += ["OUTBOUND", str(activity.duration_ms)]
        account = activity.deal.account
        yield [
            2_000_000 + activity.number,
            *values,
            _owner_id(company, activity.seller),
            100_000 + activity.deal.number,
            500_000 + account,
            900_000 + account,
        ]


def _mapping(company: Company) -> dict[str, Any]:
    """The company's own stages, as it would write them into its home."""
    stages: list[dict[str, Any]] = [
        {
            "pipeline_id": "default",
            "stage_id": stage.key,
            "label": stage.label,
            "position": position,
            "kind": "open",
            "role": stage.role,
        }
        for position, stage in enumerate(company.parameters.stages, start=1)
    ]
    for position, key in enumerate(("won", "lost"), start=len(stages) + 1):
        stages.append(
            {
                "pipeline_id": "default",
                "stage_id": _stage_id(key),
                "label": _label(company, key),
                "position": position,
                "kind": key,
            }
        )
    values = {stage["label"]: stage["stage_id"] for stage in stages}
    columns = {"stage_id": {"from": ["Deal Stage"], "values": values}}
    return {"stages": stages, "files": {"deals": {"tables": {"deals": {"columns": columns}}}}}
