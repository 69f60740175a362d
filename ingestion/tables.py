"""The one declaration of every input table.

Belongs here: tables, columns, types, keys, privacy class, documentation. Casts, Parquet schemas,
reject rules, dbt sources, docs and Dagster column metadata are derived from it.
Does not belong here: where a column comes from in some CRM (that is a mapping).
"""

import hashlib
import json
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import yaml


class Privacy(StrEnum):
    """What a column may reveal about a natural person. Every column has one."""

    NONE = "none"  # configuration and company figures
    PSEUDONYM = "pseudonym"  # a key that another table or the CRM can resolve to a person
    PERSON = "person"  # names an employee
    FREE_TEXT = "free_text"  # typed by people, may hold anything


class CellType(StrEnum):
    """How a cell is read. `SQL_TYPES` gives the landed type."""

    ID = "id"
    TEXT = "text"
    INTEGER = "integer"
    MONEY = "money"
    RATE = "rate"
    FRACTION = "fraction"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamp"
    CURRENCY = "currency"
    EMAIL_HASH = "email_hash"
    PHONE_HASH = "phone_hash"
    CHANGE_VALUE = "change_value"


SQL_TYPES = {
    CellType.ID: "VARCHAR",
    CellType.TEXT: "VARCHAR",
    CellType.INTEGER: "BIGINT",
    CellType.MONEY: "DECIMAL(18,2)",
    CellType.RATE: "DECIMAL(18,8)",
    CellType.FRACTION: "DOUBLE",
    CellType.BOOLEAN: "BOOLEAN",
    CellType.DATE: "DATE",
    CellType.TIMESTAMP: "TIMESTAMP",
    CellType.CURRENCY: "VARCHAR",
    CellType.EMAIL_HASH: "VARCHAR",
    CellType.PHONE_HASH: "VARCHAR",
    CellType.CHANGE_VALUE: "VARCHAR",
}


@dataclass(frozen=True)
class Column:
    """One column of an input table.

    `minimum` is the smallest value a number may have; `choices` the only values a text may have;
    `is_past` says that no export can know a later time than its own; `is_label` that it names a
    stage or pipeline, which is shown and published, and so never a person.
    """

    name: str
    cell_type: CellType
    privacy: Privacy
    doc: str
    required: bool = False
    choices: tuple[str, ...] = ()
    minimum: int | None = None
    is_past: bool = False
    is_label: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.privacy, Privacy):
            raise TypeError(f"column {self.name}: privacy class missing")
        if not self.doc:
            raise TypeError(f"column {self.name}: doc missing")

    @property
    def sql_type(self) -> str:
        return SQL_TYPES[self.cell_type]


@dataclass(frozen=True)
class Table:
    """One input table. `grain` says what one row is, `key` which columns tell rows apart."""

    name: str
    grain: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    by_name: dict[str, Column] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {c.name: c for c in self.columns})
        for name in self.key:
            self.by_name[name]

    @property
    def schema(self) -> dict[str, str]:
        """Landed column name to SQL type, the landing columns last."""
        return {c.name: c.sql_type for c in (*self.columns, *LANDING_COLUMNS)}

    @property
    def version(self) -> str:
        """Changes when anything that decides the landed content changes; docs do not."""
        shape = [
            (c.name, c.cell_type, c.required, c.choices, c.minimum, c.is_past, c.is_label)
            for c in (*self.columns, *LANDING_COLUMNS)
        ]
        return hashlib.sha256(json.dumps([self.name, shape]).encode()).hexdigest()[:12]


NONE, PSEUDONYM, PERSON, FREE_TEXT = Privacy
ID, TEXT = CellType.ID, CellType.TEXT

LANDING_COLUMNS = (
    Column("load_id", TEXT, NONE, "The load this row came with: file bytes, mapping, declaration."),
    Column("record_number", CellType.INTEGER, NONE, "Record in the file, the header not counted."),
    Column("known_at", CellType.TIMESTAMP, NONE, "When the export knew this (UTC)."),
    Column("is_complete", CellType.BOOLEAN, NONE, "The export names every record there is."),
    Column(
        "stated_columns",
        TEXT,
        NONE,
        "The columns that the file has, each between spaces; of the others it says nothing.",
    ),
)

# The rows of `raw.sightings`: when each load was seen.
SIGHTING_COLUMNS = (
    Column("load_id", TEXT, NONE, "The load."),
    Column("known_at", CellType.TIMESTAMP, NONE, "When it was seen (UTC); null where rows say it."),
    Column(
        "made_number", CellType.INTEGER, NONE, "Its place among all exports, as they were made."
    ),
    Column(
        "series", TEXT, NONE, "Its file mapping and name without digits: one list, again and again."
    ),
)

# The one row of `raw.run`.
RUN_COLUMNS = (
    Column("as_of", CellType.DATE, NONE, "The day the run speaks of."),
    Column(
        "as_of_at",
        CellType.TIMESTAMP,
        NONE,
        "The last second of `as_of` in the company's zone, in UTC.",
    ),
    Column(
        "knowledge_basis",
        TEXT,
        NONE,
        "`as_known`: what exports said by then; `as_reconstructed`: what the CRM knew by then, as "
        "later exports tell.",
    ),
    Column("zone", TEXT, NONE, "IANA time zone."),
    Column("currency", TEXT, NONE, "Company currency."),
    Column(
        "correction_grace_seconds",
        CellType.INTEGER,
        NONE,
        "A move taken back within this time is a correction.",
    ),
    Column(
        "reopen_grace_seconds",
        CellType.INTEGER,
        NONE,
        "A loss taken back within this time did not happen.",
    ),
    Column(
        "bulk_deals",
        CellType.INTEGER,
        NONE,
        "Deals one user moved in one second for it to be a bulk edit.",
    ),
    Column(
        "idle_days", CellType.INTEGER, NONE, "Days without activity after which a deal is idle."
    ),
    Column(
        "dayparts",
        TEXT,
        NONE,
        "The part of the day that each of its 24 hours belongs to, with blanks between.",
    ),
)

ACTIVITY_TYPES = (
    "call", "meeting", "email", "message", "mail_event", "seminar", "signup", "task", "note",
    "other",
)  # fmt: skip
# Of experiments; amount_won is of deals won.
OUTCOMES = (
    "meeting_held", "meeting_booked", "signup", "deal_created", "deal_won", "amount_won",
)  # fmt: skip
FIDELITY = ("event_log", "latest_per_stage", "snapshot_diff", "created_closed")

TABLES = {
    table.name: table
    for table in (
        Table(
            "deals",
            "one deal in one export",
            ("deal_id",),
            (
                Column("deal_id", ID, NONE, "The deal.", required=True),
                Column("lead_id", ID, PSEUDONYM, "The lead it grew out of."),
                Column("account_id", ID, NONE, "The company it is with."),
                Column("seller_id", ID, PSEUDONYM, "The owner, by id or by name."),
                Column("pipeline_id", ID, NONE, "The pipeline it stands in.", is_label=True),
                Column("stage_id", ID, NONE, "The stage it stands in.", is_label=True),
                Column(
                    "status",
                    TEXT,
                    NONE,
                    "Open, won or lost, where the CRM keeps that apart from the stage.",
                    choices=("open", "won", "lost"),
                ),
                Column("amount", CellType.MONEY, NONE, "Value in `currency`.", minimum=0),
                Column("currency", CellType.CURRENCY, NONE, "ISO 4217 code of `amount`."),
                Column("source", TEXT, NONE, "Where the deal came from."),
                Column("business_area", TEXT, NONE, "The part of the company that sells it."),
                Column("segment", TEXT, NONE, "Market segment of the deal."),
                Column("product", TEXT, NONE, "Main product."),
                Column(
                    "deal_type",
                    TEXT,
                    NONE,
                    "New business, renewal or expansion.",
                    choices=("new", "renewal", "expansion"),
                ),
                Column("partner_id", ID, NONE, "The partner it is sold through."),
                Column(
                    "created_at",
                    CellType.TIMESTAMP,
                    NONE,
                    "When the deal was created.",
                    is_past=True,
                ),
                Column(
                    "expected_close_on", CellType.DATE, NONE, "The close date the seller expects."
                ),
                Column("closed_at", CellType.TIMESTAMP, NONE, "When it was won or lost."),
                Column("next_step_on", CellType.DATE, NONE, "Date of the next planned activity."),
                Column("lost_reason", TEXT, FREE_TEXT, "Why it was lost, as typed."),
                Column(
                    "probability", CellType.FRACTION, NONE, "The CRM's own win probability, 0–1."
                ),
                Column("is_deleted", CellType.BOOLEAN, NONE, "Deleted in the CRM."),
            ),
        ),
        Table(
            "deal_merges",
            "one deal merged into another",
            ("deal_id",),
            (
                Column("deal_id", ID, NONE, "The deal that was given up.", required=True),
                Column("merged_into_deal_id", ID, NONE, "The deal that goes on.", required=True),
                Column("merged_at", CellType.TIMESTAMP, NONE, "When they were merged."),
            ),
        ),
        Table(
            "deal_changes",
            "one change of one field of one deal",
            ("deal_id", "field", "occurred_at", "new_value"),
            (
                Column("deal_id", ID, NONE, "The deal.", required=True),
                Column(
                    "field",
                    TEXT,
                    NONE,
                    "The field of `deals` that changed; other fields keep the CRM's name.",
                    required=True,
                ),
                Column(
                    "pipeline_id",
                    ID,
                    NONE,
                    "Of a change of stage, the pipeline of the new one, where the source names it.",
                ),
                Column(
                    "old_value", CellType.CHANGE_VALUE, FREE_TEXT, "Value before, written as text."
                ),
                Column(
                    "new_value", CellType.CHANGE_VALUE, FREE_TEXT, "Value after, written as text."
                ),
                Column(
                    "occurred_at",
                    CellType.TIMESTAMP,
                    NONE,
                    "When the change happened.",
                    required=True,
                    is_past=True,
                ),
                Column("recorded_at", CellType.TIMESTAMP, NONE, "When the CRM wrote it down."),
                Column("sequence", CellType.INTEGER, NONE, "The CRM's own order of changes."),
                Column("changed_by", ID, PSEUDONYM, "The user who changed it."),
                Column(
                    "change_source",
                    TEXT,
                    NONE,
                    "How it was changed.",
                    choices=("ui", "import", "bulk", "workflow", "api"),
                ),
                Column(
                    "fidelity",
                    TEXT,
                    NONE,
                    "Whether the file holds every change or only the latest one per stage.",
                    required=True,
                    choices=FIDELITY,
                ),
            ),
        ),
        Table(
            "deal_credits",
            "one seller's share of one deal",
            ("deal_id", "seller_id"),
            (
                Column("deal_id", ID, NONE, "The deal.", required=True),
                Column("seller_id", ID, PSEUDONYM, "The seller credited.", required=True),
                Column(
                    "share", CellType.FRACTION, NONE, "Share of the credit, 0–1.", required=True
                ),
            ),
        ),
        Table(
            "leads",
            "one lead in one export",
            ("lead_id",),
            (
                Column("lead_id", ID, PSEUDONYM, "The lead.", required=True),
                Column(
                    "pipeline_id", ID, NONE, "The pipeline its stages belong to.", is_label=True
                ),
                Column("stage_id", ID, NONE, "The stage it stands in.", is_label=True),
                Column("source", TEXT, NONE, "Where the lead came from."),
                Column("campaign", TEXT, NONE, "The campaign that brought it."),
                Column("seller_id", ID, PSEUDONYM, "The owner, by id or by name."),
                Column("status", TEXT, NONE, "Status as the CRM words it."),
                Column(
                    "created_at",
                    CellType.TIMESTAMP,
                    NONE,
                    "When the lead was created.",
                    is_past=True,
                ),
                Column("converted_at", CellType.TIMESTAMP, NONE, "When it became a deal."),
                Column("converted_deal_id", ID, NONE, "The deal it became."),
                Column("segment", TEXT, NONE, "Market segment of the lead."),
                Column("is_deleted", CellType.BOOLEAN, NONE, "Deleted in the CRM."),
            ),
        ),
        Table(
            "activities",
            "one activity",
            ("activity_id",),
            (
                Column("activity_id", ID, NONE, "The activity.", required=True),
                Column(
                    "type",
                    TEXT,
                    NONE,
                    "What was done; a `mail_event` is what became of a mail: opened, clicked, …; "
                    "a `seminar` is one event, its campaign's; a `signup` is somebody's to it; "
                    "`other` is of a type that no mapping names.",
                    required=True,
                    choices=ACTIVITY_TYPES,
                ),
                Column("source_type", TEXT, NONE, "The type as the source words it."),
                Column(
                    "occurred_at",
                    CellType.TIMESTAMP,
                    NONE,
                    "When it took place, or is to take place.",
                    required=True,
                ),
                Column("completed_at", CellType.TIMESTAMP, NONE, "When it was marked as done."),
                Column("seller_id", ID, PSEUDONYM, "Who did it, by id or by name."),
                Column("deal_id", ID, NONE, "The deal it was about."),
                Column("lead_id", ID, PSEUDONYM, "The lead it was about."),
                Column("contact_id", ID, PSEUDONYM, "The person it was with."),
                Column("account_id", ID, NONE, "The company it was with."),
                Column(
                    "email_hash",
                    CellType.EMAIL_HASH,
                    PSEUDONYM,
                    "Keyed hash of the other end's mail address, where the log has no id.",
                ),
                Column(
                    "phone_hash",
                    CellType.PHONE_HASH,
                    PSEUDONYM,
                    "Keyed hash of the other end's phone number, where the log has no id.",
                ),
                Column(
                    "direction",
                    TEXT,
                    NONE,
                    "Who started it.",
                    choices=("outbound", "inbound"),
                ),
                Column(
                    "outcome",
                    TEXT,
                    NONE,
                    "How it went: connected, no_answer, held, …. What is `planned` or `booked` has "
                    "not taken place; `canceled`, `no_show` and `rescheduled` did not. Sign-ups: "
                    "`attended` and `no_show` tell who came.",
                ),
                Column("duration_s", CellType.INTEGER, NONE, "Length in whole seconds.", minimum=0),
                Column("segment", TEXT, NONE, "Market segment of the other end, as written down."),
                Column("campaign_id", ID, NONE, "The campaign it belongs to."),
                Column("message_variant", TEXT, NONE, "Which wording was used."),
                Column("sender_id", ID, PSEUDONYM, "Who signed the message."),
                Column(
                    "reminder_no",
                    CellType.INTEGER,
                    NONE,
                    "0 for the first, then 1, 2, …",
                    minimum=0,
                ),
                Column(
                    "is_deleted",
                    CellType.BOOLEAN,
                    NONE,
                    "Deleted in the CRM, or a copy of another.",
                ),
            ),
        ),
        Table(
            "activity_links",
            "one activity and one record it concerns",
            ("activity_id", "record_type", "record_id"),
            (
                Column("activity_id", ID, NONE, "The activity.", required=True),
                Column(
                    "record_type",
                    TEXT,
                    NONE,
                    "What the record is.",
                    required=True,
                    choices=("deal", "lead", "contact", "account"),
                ),
                Column("record_id", ID, PSEUDONYM, "The record.", required=True),
            ),
        ),
        Table(
            "sellers",
            "one seller in one period of validity",
            ("seller_id", "valid_from"),
            (
                Column("seller_id", ID, PSEUDONYM, "The seller.", required=True),
                Column("name", TEXT, PERSON, "Name, as deals may refer to it."),
                Column(
                    "email_hash", CellType.EMAIL_HASH, PSEUDONYM, "Keyed hash of the mail address."
                ),
                Column("team", TEXT, NONE, "Team or office."),
                Column("manager", TEXT, PERSON, "Name of the manager."),
                Column("is_active", CellType.BOOLEAN, NONE, "Still sells."),
                Column("valid_from", CellType.DATE, NONE, "First day this row holds."),
                Column("valid_to", CellType.DATE, NONE, "Last day this row holds."),
            ),
        ),
        Table(
            "accounts",
            "one company that buys",
            ("account_id",),
            (
                Column("account_id", ID, NONE, "The company.", required=True),
                Column("segment", TEXT, NONE, "Market segment."),
                Column("industry", TEXT, NONE, "Industry."),
                Column("country", TEXT, NONE, "Country."),
                Column("employees", CellType.INTEGER, NONE, "Number of employees.", minimum=0),
                Column("parent_account_id", ID, NONE, "The group it belongs to."),
            ),
        ),
        Table(
            "contacts",
            "one person at an account, known only by keyed hashes",
            ("contact_id",),
            (
                Column("contact_id", ID, PSEUDONYM, "The person.", required=True),
                Column("account_id", ID, NONE, "The company they work for."),
                Column(
                    "email_hash", CellType.EMAIL_HASH, PSEUDONYM, "Keyed hash of the mail address."
                ),
                Column(
                    "phone_hash", CellType.PHONE_HASH, PSEUDONYM, "Keyed hash of the phone number."
                ),
                Column("role", TEXT, NONE, "Role in the purchase."),
            ),
        ),
        Table(
            "stages",
            "one stage of one pipeline in one period of validity",
            ("pipeline_id", "stage_id", "valid_from"),
            (
                Column("pipeline_id", ID, NONE, "The pipeline.", required=True),
                Column("stage_id", ID, NONE, "The stage.", required=True),
                Column("label", TEXT, NONE, "What people call it."),
                Column("position", CellType.INTEGER, NONE, "Order in the pipeline.", required=True),
                Column(
                    "kind",
                    TEXT,
                    NONE,
                    "Whether a deal here is open, won or lost.",
                    required=True,
                    choices=("open", "won", "lost"),
                ),
                Column("role", TEXT, NONE, "Part of the journey: lead, prospect, quote, …"),
                Column("probability", CellType.FRACTION, NONE, "The CRM's probability, 0–1."),
                Column(
                    "is_start",
                    CellType.BOOLEAN,
                    NONE,
                    "Whether the pipeline's deals all begin here, as the company declares.",
                ),
                Column("valid_from", CellType.DATE, NONE, "First day this row holds."),
                Column("valid_to", CellType.DATE, NONE, "Last day this row holds."),
            ),
        ),
        Table(
            "goals",
            "one revenue target for one period and scope",
            ("scope", "scope_id", "period_start_on", "period_end_on"),
            (
                Column(
                    "scope",
                    TEXT,
                    NONE,
                    "Whose goal.",
                    required=True,
                    choices=("company", "segment", "seller"),
                ),
                Column(
                    "scope_id", TEXT, PSEUDONYM, "Which segment or seller; empty for the company."
                ),
                Column("period_start_on", CellType.DATE, NONE, "First day.", required=True),
                Column("period_end_on", CellType.DATE, NONE, "Last day.", required=True),
                Column("amount", CellType.MONEY, NONE, "Revenue to win.", required=True, minimum=0),
                Column(
                    "currency", CellType.CURRENCY, NONE, "ISO 4217 code of `amount`.", required=True
                ),
            ),
        ),
        Table(
            "experiments",
            "one experiment",
            ("experiment_id",),
            (
                Column("experiment_id", ID, NONE, "The experiment.", required=True),
                Column("hypothesis", TEXT, FREE_TEXT, "What is expected to happen, and why."),
                Column(
                    "variants",
                    TEXT,
                    NONE,
                    "Variants and their shares, as in `standard: 50, question: 50`; the first is "
                    "what the others are compared with.",
                ),
                Column(
                    "unit",
                    TEXT,
                    NONE,
                    "What is assigned.",
                    choices=("account", "contact", "lead", "deal", "seller"),
                ),
                Column(
                    "primary_outcome",
                    TEXT,
                    NONE,
                    "The outcome fixed before the start.",
                    choices=OUTCOMES,
                ),
                Column(
                    "window_days", CellType.INTEGER, NONE, "Follow-up per unit in days.", minimum=1
                ),
                Column("start_on", CellType.DATE, NONE, "First day of assignment."),
                Column("end_on", CellType.DATE, NONE, "Last day of assignment."),
            ),
        ),
        Table(
            "assignments",
            "one unit of one experiment",
            ("experiment_id", "unit_id"),
            (
                Column("experiment_id", ID, NONE, "The experiment.", required=True),
                Column("unit_id", ID, PSEUDONYM, "The unit assigned.", required=True),
                Column("account_id", ID, NONE, "The account the unit belongs to."),
                Column("variant", TEXT, NONE, "The variant it got.", required=True),
                Column("assigned_at", CellType.TIMESTAMP, NONE, "When.", required=True),
            ),
        ),
        Table(
            "actions",
            "one change in how we work",
            ("action_on", "scope", "scope_id", "kind"),
            (
                Column("action_on", CellType.DATE, NONE, "The day it began.", required=True),
                Column(
                    "scope",
                    TEXT,
                    NONE,
                    "Where it was changed.",
                    required=True,
                    choices=("company", "segment", "stage", "seller"),
                ),
                Column("scope_id", TEXT, PSEUDONYM, "Which one; empty for the company."),
                Column("kind", TEXT, NONE, "Activity, message, skill, …", required=True),
                Column(
                    "metric",
                    TEXT,
                    NONE,
                    "The number it should move, per selling day or, of a rate, of all exits.",
                    choices=("new_deals", "moves_forward", "won_deals", "forward_rate"),
                ),
            ),
        ),
        Table(
            "fx_rates",
            "one currency on one day",
            ("rate_on", "currency"),
            (
                Column("rate_on", CellType.DATE, NONE, "The day.", required=True),
                Column("currency", CellType.CURRENCY, NONE, "ISO 4217 code.", required=True),
                Column(
                    "rate",
                    CellType.RATE,
                    NONE,
                    "Company currency for one unit of `currency`.",
                    required=True,
                ),
            ),
        ),
    )
}

DEAL_IDS = tuple(c.name for c in TABLES["deals"].columns if c.cell_type is CellType.ID)


def dbt_sources() -> str:
    """The text of `dbt/models/records/_sources.yml`: every input table and the run's own row."""
    tables = [
        {
            "name": table.name,
            "description": f"{table.grain.capitalize()}. Key: {', '.join(table.key)}.",
            "columns": [
                {
                    "name": c.name,
                    "description": c.doc,
                    "data_type": c.sql_type.lower(),
                    "config": {"meta": {"privacy": str(c.privacy)}},
                }
                for c in (*table.columns, *LANDING_COLUMNS)
            ],
        }
        for table in TABLES.values()
    ]
    tables.append(
        {
            "name": "run",
            "description": "One row: what this run calls now, where, and in which currency.",
            "columns": [
                {"name": c.name, "description": c.doc, "data_type": c.sql_type.lower()}
                for c in RUN_COLUMNS
            ],
        }
    )
    tables.append(
        {
            "name": "sightings",
            "description": "One row per load and moment at which its bytes were seen.",
            "columns": [
                {"name": c.name, "description": c.doc, "data_type": c.sql_type.lower()}
                for c in SIGHTING_COLUMNS
            ],
        }
    )
    tables.append(
        {
            "name": "horizons",
            "description": "One row per horizon of conversion.",
            "columns": [
                {
                    "name": "horizon_days",
                    "description": "Days of follow-up after entering a stage.",
                    "data_type": "bigint",
                }
            ],
        }
    )
    document = {"version": 2, "sources": [{"name": "raw", "tables": tables}]}
    header = "# Written by `make sources` from ingestion/tables.py. Do not edit.\n"
    return header + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)


MAPPINGS_DOC = Path(__file__).parents[1] / "docs" / "mappings.md"
DOC_MARK = "<!-- Below: written by `make sources` from ingestion/tables.py. Do not edit. -->\n"


def mappings_doc() -> str:
    """docs/mappings.md with the input tables and columns that a mapping can ask for."""
    above, mark, _ = MAPPINGS_DOC.read_text(encoding="utf-8").partition(DOC_MARK)
    parts = [above, mark]
    for table in TABLES.values():
        parts.append(f"\n### {table.name}: {table.grain}\n\n")
        parts.append("| column | type | what it is |\n|---|---|---|\n")
        for c in table.columns:
            kind = f"one of {', '.join(c.choices)}" if c.choices else c.cell_type.replace("_", " ")
            must = ", required" if c.required else ""
            parts.append(f"| `{c.name}` | {kind}{must} | {c.doc} |\n")
    return "".join(parts)


if __name__ == "__main__":
    target = Path(__file__).parents[1] / "dbt" / "models" / "records" / "_sources.yml"
    target.write_text(dbt_sources(), encoding="utf-8")
    MAPPINGS_DOC.write_text(mappings_doc(), encoding="utf-8")
