"""Shipped mappings: a written sample of every variant each claims, and what it lands."""

import csv
import io
import json
import pickle
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pytest
import yaml
from conftest import build_only, mart

from ingestion.home import Home
from ingestion.landing.deciding import Landing
from ingestion.landing.report import FileOutcome
from ingestion.mappings.loading import Mappings


def landed(home: Home, file: FileOutcome, table: str, columns: str) -> list[tuple[Any, ...]]:
    path = home.landed / file.load_id / f"{table}.parquet"
    with duckdb.connect() as connection:
        return connection.execute(f"select {columns} from '{path}' order by all").fetchall()


def land(home: Home, name: str, content: str | bytes) -> FileOutcome:
    data = content.encode() if isinstance(content, str) else content
    (home.inbox / name).write_bytes(data)
    (file,) = (f for f in Landing(home).run().files if f.name == name)
    assert (file.outcome, file.rules) == ("landed", {}), file
    return file


def workbook(*rows: list[Any]) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def json_lines(*objects: dict[str, Any]) -> str:
    return "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in objects)


def parquet(folder: Path, query: str) -> bytes:
    path = folder / "sample.parquet"
    with duckdb.connect() as connection:
        connection.execute(f"copy ({query}) to '{path}' (format parquet)")
    return path.read_bytes()


DEAL = (
    "deal_id, seller_id, pipeline_id, stage_id, status, cast(amount as varchar), currency, "
    "cast(created_at as varchar), cast(closed_at as varchar)"
)

# --- Pipedrive -----------------------------------------------------------------------------------

PIPEDRIVE_DEAL = (
    "pipedrive:7", "pipedrive:Ann Berg", "pipedrive:default", "pipedrive:Proposal Made", "won",
    "1200.50", "EUR", "2026-01-05 08:00:00", "2026-02-01 09:30:00",
)  # fmt: skip


@pytest.mark.parametrize(
    "content",
    [
        "Deal - ID,Deal - Owner,Deal - Pipeline,Deal - Stage,Deal - Status,Deal - Value,"
        "Deal - Currency of Value,Deal - Deal created,Deal - Won time,Deal - Lost time\n"
        "7,Ann Berg,Pipeline,Proposal Made,Won,1200.5,EUR,2026-01-05 09:00:00,"
        "2026-02-01 10:30:00,\n",
        # As a workbook leaks it: required columns starred, days as serial numbers.
        workbook(
            ["Deal - System ID*", "Deal - Owner", "Deal - Pipeline", "Deal - Stage (pipeline)",
             "Deal - Status", "Deal - Value", "Deal - Currency of value", "Deal - Deal created",
             "Deal - Closed on"],
            [7, "Ann Berg", "Pipeline", "Proposal Made", "Won", 1200.5, "EUR", "46027.375",
             "46054.4375"],
        ),
        "Deal - ID,Deal - Besitzer,Deal - Pipeline,Deal - Phase,Deal - Status,Deal - Wert,"
        "Deal - Währung von Wert,Deal - Deal erstellt,Deal - Datum des gewonnenen Deals\n"
        "7,Ann Berg,Pipeline,Proposal Made,Gewonnen,1200.5,EUR,2026-01-05 09:00:00,"
        "2026-02-01 10:30:00\n",
        "Affaire - ID,Affaire - Propriétaire,Affaire - Pipeline,Affaire - Étape,Affaire - Statut,"
        "Affaire - Valeur,Affaire - Devise de Valeur,Affaire - Affaire créée,Affaire - Date de gain"
        "\n7,Ann Berg,Pipeline,Proposal Made,Gagnée,1200.5,EUR,2026-01-05 09:00:00,"
        "2026-02-01 10:30:00\n",
        "Affaire - ID,Affaire - Propriétaire,Affaire - Étape,Affaire - Statut,Affaire - Valeur,"
        "Affaire - Devise de Valeur,Affaire - Affaire créée,Affaire - Date de gain,"
        "Affaire - Heure de l’échec\n"
        "7,Ann Berg,Proposal Made,Gagnée,1200.5,EUR,2026-01-05 09:00:00,2026-02-01 10:30:00,\n",
    ],
    ids=["english", "workbook", "german", "french", "french with curly quotes"],
)  # fmt: skip
def test_pipedrive_lists_of_deals(home: Home, content: str | bytes) -> None:
    file = land(home, "deals-2026-02-28", content)
    assert file.file_kind == "pipedrive/deals"
    assert landed(home, file, "deals", DEAL) == [PIPEDRIVE_DEAL]


def test_pipedrive_deals_of_the_api(home: Home) -> None:
    own = {"files": {"deals_api": {"tables": {"deals": {"columns": {
        "stage_id": {"values": {"4": "Proposal Made"}},
        "pipeline_id": {"from": "pipeline_id", "values": {"1": "default"}}}}}}}}  # fmt: skip
    (home.mappings / "pipedrive.yml").write_text(yaml.safe_dump(own))
    deal = {
        "id": 7, "user_id": {"id": 3, "name": "Ann Berg"}, "pipeline_id": 1, "stage_id": 4,
        "status": "won", "value": 1200.5, "currency": "EUR", "add_time": "2026-01-05 08:00:00",
        "won_time": "2026-02-01 09:30:00", "lost_time": None,
    }  # fmt: skip
    gone = deal | {"id": 8, "status": "deleted", "won_time": None}
    file = land(home, "deals-2026-02-28.jsonl", json_lines(deal, gone))
    assert file.file_kind == "pipedrive/deals_api"
    first, second = landed(home, file, "deals", DEAL + ", is_deleted")
    assert first == (PIPEDRIVE_DEAL[0], "pipedrive:3", *PIPEDRIVE_DEAL[2:], False)
    assert (second[4], second[-1]) == (None, True)


CHANGES = "deal_id, field, old_value, new_value, cast(occurred_at as varchar), change_source"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("flow-2026-03-31.jsonl", json_lines({
            "object": "dealChange", "timestamp": "2026-03-01 10:00:00",
            "data": {"id": 1, "item_id": 7, "user_id": 3, "field_key": "stage_id", "old_value": 3,
                     "new_value": 4, "log_time": "2026-03-01 10:00:00", "change_source": "app",
                     "is_bulk_update_flag": False}})),
        ("changelog-2026-03-31.csv",
         "deal_id,field_key,old_value,new_value,actor_user_id,time,change_source,"
         "is_bulk_update_flag\n7,stage_id,3,4,3,2026-03-01 10:00:00,app,false\n"),
        ("deals_flow_deal_change-2026-03-31.csv",
         "id,item_id,user_id,field_key,old_value,new_value,log_time,change_source\n"
         "1,7,3,stage_id,3,4,2026-03-01 10:00:00,app\n"),
    ],
)  # fmt: skip
def test_pipedrive_logs_of_changes(home: Home, name: str, content: str) -> None:
    file = land(home, name, content)
    assert file.file_kind == "pipedrive/changes"
    assert landed(home, file, "deal_changes", CHANGES) == [
        ("pipedrive:7", "stage_id", "pipedrive:3", "pipedrive:4", "2026-03-01 10:00:00", "ui")
    ]


def test_pipedrive_bulk_edits_are_marked(home: Home) -> None:
    file = land(home, "flow-2026-03-31.csv",
                "deal_id,field_key,old_value,new_value,log_time,change_source,is_bulk_update_flag\n"
                "7,value,10,1200.5,2026-03-01 10:00:00,api,true\n")  # fmt: skip
    assert landed(home, file, "deal_changes", CHANGES) == [
        ("pipedrive:7", "amount", "10.00", "1200.50", "2026-03-01 10:00:00", "bulk")
    ]


ACTIVITY = "activity_id, type, cast(occurred_at as varchar), deal_id, outcome"


@pytest.mark.parametrize(
    ("name", "content", "occurred_at", "outcome"),
    [
        ("activities-2026-03-31.csv",
         "Activity - ID,Activity - Type,Activity - Subject,Activity - Due date,Activity - Done,"
         "Activity - Assigned to user,Deal - ID\n"
         "5,Call,Hello,2026-03-01 11:00,Done,Ann Berg,7\n", "2026-03-01 10:00:00", "done"),
        ("activities-2026-03-31.csv",
         "Activity - System ID,Activity type,Activity - Due date,Activity - Done,Deal - System ID\n"
         "5,Call,46082.4583333333,To do,7\n", "2026-03-01 10:00:00", "planned"),
        # Ticked off days later. A day is a day of the company's, though times are in UTC.
        ("activities-2026-03-31.jsonl", json_lines({
            "id": 5, "type": "call", "due_date": "2026-02-27", "done": True, "deal_id": 7,
            "marked_as_done_time": "2026-03-01 10:00:00", "user_id": 3}),
         "2026-02-26 23:00:00", "done"),
    ],
)  # fmt: skip
def test_pipedrive_activities(
    home: Home, name: str, content: str, occurred_at: str, outcome: str
) -> None:
    file = land(home, name, content)
    assert landed(home, file, "activities", ACTIVITY) == [
        ("pipedrive:5", "call", occurred_at, "pipedrive:7", outcome)
    ]


def test_pipedrive_status_and_log_make_one_ledger(home: Home) -> None:
    values = {"1": "Qualified", "4": "Proposal Made"}
    own = {"files": {"changes": {"tables": {"deal_changes": {"columns": {
        "old_value": {"from": "old_value", "values": values},
        "new_value": {"from": "new_value", "values": values}}}}}}}  # fmt: skip
    (home.mappings / "pipedrive.yml").write_text(yaml.safe_dump(own))
    (home.inbox / "deals-2026-03-31.csv").write_text(
        "Deal - ID,Deal - Stage,Deal - Status,Deal - Value,Deal - Deal created,Deal - Won time\n"
        "7,Proposal Made,Won,100,2026-01-05 09:00:00,2026-02-01 10:30:00\n"
    )
    (home.inbox / "flow-2026-03-31.csv").write_text(
        "deal_id,field_key,old_value,new_value,log_time,id\n"
        "7,stage_id,1,4,2026-01-20 10:00:00,1\n7,stage_id,1,4,2026-01-20 10:00:00,2\n"
        "7,status,open,won,2026-02-01 09:30:00,3\n"
    )
    moves = mart(build_only(home, date(2026, 3, 31)), "fct_stage_transitions")
    found = moves.sort_values("move_number")[["move_kind", "to_stage_id"]].values.tolist()
    assert found == [["create", "pipedrive:Qualified"], ["skip", "pipedrive:Proposal Made"],
                     ["won", "pipedrive:Won"]]  # fmt: skip


# --- Dynamics and Business Central ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("Opportunities 2026-02-28.xlsx", workbook(
            ["(Do Not Modify) Opportunity", "(Do Not Modify) Row Checksum",
             "(Do Not Modify) Modified On", "Topic", "Account", "Status", "Status Reason",
             "Sales Stage", "Est. Revenue", "Actual Revenue", "Owner", "Created On",
             "Actual Close Date", "Probability"],
            ["7", "x", 46054.4375, "Lathe", "Åkeri AB", "Lost", "Out-Sold", "3-Propose", 1200.5,
             None, "Ann Berg", 46027.375, 46054.4375, 60])),
        ("Opportunities 2026-02-28.csv",
         "(Do Not Modify) Opportunity,Opportunity_Status,Opportunity_Pipeline Phase,"
         "Opportunity_Est. revenue,Opportunity_Owner,Opportunity_Created On,"
         "Opportunity_Actual Close Date,Opportunity_Probability,Status,Status Reason\n"
         "7,Lost,Propose,1200.5,Ann Berg,2026-01-05 09:00,2026-02-01 10:30,60,Lost,Out-Sold\n"),
        ("opportunity 2026-02-28.jsonl", json_lines(
            {"opportunityid": "7", "statecode": 2, "stepname": "3-Propose",
             "estimatedvalue": 1200.5, "_ownerid_value": "Ann Berg",
             "createdon": "2026-01-05T08:00:00Z", "actualclosedate": "2026-02-01T09:30:00Z",
             "closeprobability": 60, "Status": "Lost", "Status Reason": "Out-Sold"})),
    ],
    ids=["workbook", "prefixed", "table"],
)  # fmt: skip
def test_dynamics_opportunities(home: Home, name: str, content: str | bytes) -> None:
    file = land(home, name, content)
    assert file.file_kind == "dynamics/opportunities"
    assert landed(home, file, "deals", DEAL + ", probability, lost_reason") == [
        ("dynamics:7", "dynamics:Ann Berg", "dynamics:default", "dynamics:Propose", "lost",
         "1200.50", "SEK", "2026-01-05 08:00:00", "2026-02-01 09:30:00", 0.6, "Out-Sold")
    ]  # fmt: skip


BUSINESS_CENTRAL = {
    "stages": [
        {"pipeline_id": "NEW", "stage_id": str(i), "position": i, "kind": "open"} for i in (1, 2, 3)
    ]
    + [
        {"pipeline_id": "NEW", "stage_id": "Won", "position": 8, "kind": "won"},
        {"pipeline_id": "NEW", "stage_id": "Lost", "position": 9, "kind": "lost"},
    ]
}
ENTRIES = [
    ["Entry No.", "Opportunity No.", "Sales Cycle Code", "Sales Cycle Stage", "Date of Change",
     "Action Taken", "Estimated Value (LCY)", "Probability %", "Estimated Close Date",
     "Salesperson Code", "Active"],
    ["11", "OP1", "NEW", "1", "2026-01-05", "", "100", "10", "2026-03-31", "AB", "No"],
    ["12", "OP1", "NEW", "2", "2026-01-10", "Next", "100", "30", "2026-03-31", "AB", "No"],
    ["13", "OP1", "NEW", "2", "2026-01-12", "Updated", "150", "30", "2026-03-31", "AB", "No"],
    ["14", "OP1", "NEW", "1", "2026-01-12", "Previous", "150", "10", "2026-03-31", "CD", "No"],
    ["15", "OP1", "NEW", "3", "2026-01-20", "Jumped", "150", "70", "2026-03-31", "CD", "No"],
    ["16", "OP1", "NEW", "3", "2026-02-01", "Won", "150", "100", "2026-02-01", "CD", "Yes"],
]  # fmt: skip


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_business_central_entries_are_a_ledger(home: Home, kind: str) -> None:
    (home.mappings / "business_central.yml").write_text(yaml.safe_dump(BUSINESS_CENTRAL))
    content = "".join(",".join(row) + "\n" for row in ENTRIES).encode()
    if kind == "xlsx":
        content = workbook(*ENTRIES)
    file = land(home, f"Opportunity Entries 2026-02-28.{kind}", content)
    assert file.file_kind == "business_central/entries"
    moves = mart(build_only(home, date(2026, 2, 28)), "fct_stage_transitions").sort_values(
        "move_number"
    )
    found = moves[["move_kind", "to_stage_id", "seller_id"]].values.tolist()
    expected = [("create", "1", "AB"), ("advance", "2", "AB"), ("regress", "1", "CD"),
                ("skip", "3", "CD"), ("won", "Won", "CD")]  # fmt: skip
    system = "business_central"
    assert found == [[k, f"{system}:{stage}", f"{system}:{who}"] for k, stage, who in expected]
    assert float(moves["amount"].iloc[-1]) == 150


def test_business_central_lists_of_opportunities_and_stages(home: Home) -> None:
    file = land(home, "Opportunities 2026-02-28.csv",
                "No.,Description,Salesperson Code,Sales Cycle Code,Status,Creation Date,Date Closed"
                "\nOP1,Lathe,AB,NEW,In Progress,2026-01-05,\n")  # fmt: skip
    assert file.file_kind == "business_central/opportunities"
    stages = land(home, "Sales Cycle Stages 2026-02-28.csv",
                  "Sales Cycle Code,Stage,Description,Completed %,Chances of Success %\n"
                  "NEW,1,Qualification,2,10\n")  # fmt: skip
    assert landed(
        home, stages, "stages", "pipeline_id, stage_id, label, position, probability"
    ) == [("business_central:NEW", "business_central:1", "Qualification", 1, 0.1)]


# --- Swedish -------------------------------------------------------------------------------------

LIME = (
    "Affärsnamn;Företag;Affärsansvarig;Status;Affärsvärde;Sannolikhet;Offertdatum;"
    "Förväntat avslutsdatum;Avtalsdatum;Skapad\n"
    "Svarv åt Åkeriet;Åkeri AB;Åsa Öberg;Avtal;1\u00a0234 567,50;100 %;2026-01-20;2026-03-31;"
    "2026-02-01;2026-01-05\n"
)


@pytest.mark.parametrize(
    ("content", "entry"),
    [
        (LIME.encode("cp1252"), "lime/deals"),
        (LIME.encode("utf-8-sig"), "lime/deals_utf8"),
        (LIME.encode(), "lime/deals_utf8"),
        (LIME.replace("Affärsnamn", "Affär").replace("Status", "Steg")
             .replace("Affärsansvarig", "Säljare").replace("Affärsvärde", "Belopp")
             .encode("cp1252"), "lime/deals"),
        (workbook(*[line.split(";") for line in LIME.splitlines()]), "lime/deals"),
    ],
    ids=["windows-1252", "utf-8 with mark", "utf-8", "other words", "workbook"],
)  # fmt: skip
def test_swedish_exports(home: Home, content: bytes, entry: str) -> None:
    file = land(home, "affarer-2026-02-28", content)
    assert file.file_kind in (entry, "lime/deals")
    assert landed(home, file, "deals", DEAL + ", account_id") == [
        ("lime:Svarv åt Åkeriet", "lime:Åsa Öberg", "lime:default", "lime:Avtal", None,
         "1234567.50", "SEK", "2026-01-04 23:00:00", "2026-01-31 23:00:00", "lime:Åkeri AB")
    ]  # fmt: skip
    assert landed(home, file, "deal_changes", "new_value, cast(occurred_at as varchar)") == [
        ("lime:Avtal", "2026-01-31 23:00:00"),
        ("lime:Offert", "2026-01-19 23:00:00"),
    ]


# --- calls and mails -----------------------------------------------------------------------------

CALL_LAYOUTS = {
    "v1": "line,date (TZ offset incl.),time (TZ offset incl.),number timezone,datetime (UTC),"
    "country_code,direction,from,to,answered,missed_call_reason,user,duration (total),"
    "duration (in call),via,voicemail,tags\n"
    "Sales,2026-03-01,11:00:00,Europe/Stockholm,2026-03-01 10:00:00,SE,outbound,46850000000,"
    "46701740605,Yes,,Ann Berg,75,61,,,\n"
    "Sales,2026-03-01,12:00:00,Europe/Stockholm,2026-03-01 11:00:00,SE,inbound,46701740605,"
    "46850000000,No,agents_did_not_answer,[No associated user],20,,,,\n",
    "v3": "line,datetime (tz offset incl.),number timezone,datetime (utc),country_code,direction,"
    "from,to,answered,missed_call_reason,user,duration (total),duration (in call),voicemail,"
    "recording,comments,tags,call quality,team,customer number,in-call duration,call id\n"
    "Sales,2026-03-01 11:00:00,Europe/Stockholm,2026-03-01 10:00:00.083,SE,outbound,46850000000,"
    "46701740605,Yes,,Ann Berg,75,61,,,,,,,+46 70 174 06 05,00:01:01,991\n"
    "Sales,2026-03-01 12:00:00,Europe/Stockholm,2026-03-01 11:00:00,SE,inbound,46701740605,"
    "46850000000,No,agents_did_not_answer,[No associated user],20,,,,,,,,+46 70 174 06 05,,992\n",
}
CALL_LAYOUTS["v2"] = CALL_LAYOUTS["v1"].replace("\n", ",\n").replace("tags,", "tags,IVR Branch")


@pytest.mark.parametrize("layout", sorted(CALL_LAYOUTS))
def test_aircall_layouts_know_the_customer_by_the_hash_of_the_number(
    home: Home, layout: str
) -> None:
    contacts = land(
        home,
        "hubspot-contacts.csv",
        "Record ID,First Name,Email,Phone Number\n1,A,a@b.example,070-174 06 05\n",
    )
    ((number,),) = landed(home, contacts, "contacts", "phone_hash")
    file = land(home, "calls-2026-03-31.csv", CALL_LAYOUTS[layout])
    columns = (
        "type, strftime(occurred_at, '%H:%M'), seller_id, direction, outcome, duration_s, "
        "phone_hash"
    )
    assert sorted(landed(home, file, "activities", columns)) == [
        ("call", "10:00", "aircall:Ann Berg", "outbound", "connected", 61, number),
        ("call", "11:00", None, "inbound", "no_answer", None, number),
    ]
    ids = [row[0] for row in landed(home, file, "activities", "activity_id")]
    assert len(set(ids)) == 2
    assert not any("46701740605" in identity for identity in ids)


def test_mailchimp_activity_names_nobody(home: Home) -> None:
    contacts = land(
        home, "hubspot-contacts.csv", "Record ID,First Name,Email\n1,A,Ann@Firm.example\n"
    )
    ((address,),) = landed(home, contacts, "contacts", "email_hash")
    header = ["campaign_id", "list_id", "email_id", "email_address", "action", "type", "timestamp",
              "url", "ip"]  # fmt: skip
    row = ["c1", "l1", "abc", "ann@firm.example", "open", "", "2026-03-01T10:00:00+00:00", "", ""]
    columns = "type, outcome, cast(occurred_at as varchar), campaign_id, email_hash, activity_id"
    rows = set()
    for name, content in (
        ("activity-1.csv", f"{','.join(header)}\n{','.join(row)}\n"),
        ("activity-2.jsonl", json_lines(dict(zip(header, row, strict=True)))),
    ):
        file = land(home, name, content)
        assert file.file_kind == "mailchimp/email_activity"
        rows |= set(landed(home, file, "activities", columns))
    ((kind, outcome, at, campaign, hashed, identity),) = rows
    assert (kind, outcome, at) == ("mail_event", "opened", "2026-03-01 10:00:00")
    assert (campaign, hashed) == ("mailchimp:c1", address)
    assert "firm" not in identity


def test_mailup_events(home: Home) -> None:
    file = land(home, "mailup-2026-03-31.csv",
                "idList,idInvio,idNl,e-mail,subject,statusType,details,statusChange,sentDate\n"
                "1,5,9,ann@firm.example,Hi,SNT,,,20260301T100000\n"
                "1,5,9,ann@firm.example,Hi,CLK,https://x.example,20260301T113000,"
                "20260301T100000\n")  # fmt: skip
    columns = "type, direction, outcome, cast(occurred_at as varchar)"
    assert landed(home, file, "activities", columns) == [
        ("email", "outbound", "sent", "2026-03-01 09:00:00"),
        ("mail_event", "inbound", "clicked", "2026-03-01 10:30:00"),
    ]


# --- HubSpot -------------------------------------------------------------------------------------

HUBSPOT_DEAL = (
    "hubspot:7", "hubspot:Ann Berg", "hubspot:default", "hubspot:contractsent", None, "1200.50",
    "EUR", "2026-01-05 08:00:00", "2026-02-01 09:30:00",
)  # fmt: skip


@pytest.mark.parametrize(
    "header",
    [
        "Record ID,Deal Name,Pipeline,Deal Stage,Amount,Currency,Create Date,Close Date,Deal owner",
        "ID de fiche d'informations,Nom de la transaction,Pipeline,Phase de la transaction,Montant,"
        "Devise,Date de création,Date de fermeture,Propriétaire de la transaction",
        "ID do registro.,Nome do negócio,Pipeline,Etapa do negócio,Valor,Moeda,Data de criação,"
        "Data de fechamento,Proprietário do negócio",
        "Datensatz-ID,Deal-Name,Pipeline,Deal-Phase,Betrag,Währung,Erstellungsdatum,Abschlussdatum,"
        "Für Deal zuständiger Mitarbeiter",
        "Post-ID,Affärsnamn,Pipeline,Affärsfas,Belopp,Valuta,Skapandedatum,Stängningsdatum,"
        "Affärsägare",
    ],
    ids=["english", "french", "portuguese", "german", "swedish"],
)
def test_hubspot_views_in_other_languages(home: Home, header: str) -> None:
    file = land(
        home,
        "hubspot-crm-exports-deals-2026-02-28.csv",
        f'{header},"Date entered ""Contract Sent (Sales Pipeline)"""\n"7","Lathe","Sales Pipeline",'
        '"Contract Sent","1200.5","EUR","2026-01-05 09:00","2026-02-01 10:30","Ann Berg",'
        '"2026-01-20 10:00"\n',
    )
    assert file.file_kind == "hubspot/deals"
    assert landed(home, file, "deals", DEAL) == [HUBSPOT_DEAL]
    assert landed(home, file, "deal_changes", "new_value") == [("hubspot:contractsent",)]


def test_hubspot_objects_with_the_history_of_their_properties(home: Home) -> None:
    deal = {
        "id": "7", "archived": False, "createdAt": "2026-01-05T08:00:00Z",
        "properties": {"dealstage": "contractsent", "amount": "1200.5", "pipeline": "default",
                       "deal_currency_code": "EUR", "createdate": "2026-01-05T08:00:00Z",
                       "closedate": "2026-02-01T09:30:00Z", "hubspot_owner_id": "3"},
        "propertiesWithHistory": {
            "dealstage": [
                {"value": "contractsent", "timestamp": "2026-01-20T09:00:00.123Z",
                 "sourceType": "CRM_UI", "updatedByUserId": 3},
                {"value": "qualifiedtobuy", "timestamp": "2026-01-05T08:00:00Z",
                 "sourceType": "IMPORT"},
            ],
            "amount": [{"value": "1200.5", "timestamp": "2026-01-05T08:00:00Z",
                        "sourceType": "API"}],
        },
    }  # fmt: skip
    other = {"id": "8", "archived": False, "properties": {"dealstage": "closedlost"}}
    file = land(home, "deals-2026-02-28.jsonl", json_lines(deal, other))
    assert (file.file_kind, file.records) == ("hubspot/deals_api", 2)
    assert landed(home, file, "deals", DEAL)[0] == (
        HUBSPOT_DEAL[0], "hubspot:3", *HUBSPOT_DEAL[2:]
    )  # fmt: skip
    changes = "field, new_value, cast(occurred_at as varchar), change_source, changed_by"
    assert landed(home, file, "deal_changes", changes) == [
        ("amount", "1200.50", "2026-01-05 08:00:00", "api", None),
        ("stage_id", "hubspot:contractsent", "2026-01-20 09:00:00.123", "ui", "hubspot:3"),
        ("stage_id", "hubspot:qualifiedtobuy", "2026-01-05 08:00:00", "import", None),
    ]


def test_a_history_that_is_no_list_costs_that_history_and_shows_nothing(home: Home) -> None:
    deals = [
        {"id": "1", "archived": False, "properties": {"dealstage": "closedwon"},
         "propertiesWithHistory": {"dealstage": "Secret Customer"}},
        {"id": "2", "archived": False, "properties": {"dealstage": "closedwon"},
         "propertiesWithHistory": {"dealstage": [
             {"value": "closedwon", "timestamp": "2026-01-20T09:00:00Z"}]}},
        {"id": "3", "archived": False, "properties": [], "propertiesWithHistory": []},
    ]  # fmt: skip
    (home.inbox / "deals-2026-02-28.jsonl").write_text(json_lines(*deals))
    (file,) = Landing(home).run().files
    assert (file.accepted, file.rules) == (3, {})
    assert file.left_out == {"propertiesWithHistory.dealstage: not_json": 1}
    assert "Secret" not in str(file)
    assert landed(home, file, "deals", "deal_id, stage_id") == [
        ("hubspot:1", "hubspot:closedwon"), ("hubspot:2", "hubspot:closedwon"),
        ("hubspot:3", None),
    ]  # fmt: skip
    assert landed(home, file, "deal_changes", "deal_id") == [("hubspot:2",)]


def test_headers_in_other_case_lose_no_history(home: Home) -> None:
    file = land(home, "x.csv", "Deal,entered Lead,ENTERED Won\n1,2026-01-01,2026-02-01\n")
    assert len(landed(home, file, "deal_changes", "new_value")) == 2


def test_hubspot_tables_that_airbyte_syncs(home: Home, tmp_path: Path) -> None:
    deals = parquet(tmp_path, """
        select '7' as id, timestamptz '2026-01-05 08:00:00Z' as "createdAt", false as archived,
            '{}' as properties, 'contractsent' as properties_dealstage, 1200.5 as properties_amount,
            'EUR' as properties_deal_currency_code, 'default' as properties_pipeline,
            '3' as properties_hubspot_owner_id, '2026-02-01T09:30:00Z' as properties_closedate
    """)  # fmt: skip
    file = land(home, "deals.parquet", deals)
    assert file.file_kind == "hubspot/deals_synced"
    assert landed(home, file, "deals", DEAL)[0] == (
        HUBSPOT_DEAL[0], "hubspot:3", *HUBSPOT_DEAL[2:]
    )  # fmt: skip
    history = parquet(tmp_path, """
        select '7' as "dealId", 'dealstage' as property, 'contractsent' as value,
            'CRM_UI' as "sourceType", timestamptz '2026-01-20 09:00:00Z' as timestamp
    """)  # fmt: skip
    file = land(home, "deals_property_history.parquet", history)
    assert landed(home, file, "deal_changes", CHANGES) == [
        ("hubspot:7", "stage_id", None, "hubspot:contractsent", "2026-01-20 09:00:00", "ui")
    ]


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_hubspot_engagements_that_airbyte_syncs_with_whom_they_concern(
    home: Home, form: str
) -> None:
    lists = {"contacts": ["501", "502"], "companies": ["9"], "deals": []}
    common = {"id": "7", "archived": False, "properties_hubspot_owner_id": "3"}
    at = "2026-02-03T10:00:00.000Z"
    kinds: dict[str, tuple[dict[str, Any], tuple[Any, ...]]] = {
        "calls": ({"properties_hs_timestamp": at, "properties_hs_call_duration": "61000",
                   "properties_hs_call_disposition": "f240bbac-87c9-4f6e-bf70-924b57d47db7"},
                  ("call", "connected", None, 61)),
        "emails": ({"properties_hs_timestamp": at,
                    "properties_hs_email_direction": "INCOMING_EMAIL"},
                   ("email", None, "inbound", None)),
        "meetings": ({"properties_hs_timestamp": at, "properties_hs_meeting_start_time": at,
                      "properties_hs_meeting_outcome": "NO_SHOW"},
                     ("meeting", "no_show", None, None)),
    }  # fmt: skip
    for kind, (own, expected) in kinds.items():
        record = {**common, **lists, **own}
        if form == "csv":
            cells = [json.dumps(v) if isinstance(v, list) else str(v) for v in record.values()]
            text = io.StringIO()
            csv.writer(text).writerows([list(record), cells])
            content = text.getvalue()
        else:
            content = json_lines(record)
        file = land(home, f"engagements_{kind}.{form}", content)
        assert file.file_kind == f"hubspot/{kind}_airbyte"
        columns = "type, outcome, direction, duration_s, activity_id, seller_id"
        assert landed(home, file, "activities", columns) == [(*expected, "hubspot:7", "hubspot:3")]
        assert sorted(landed(home, file, "activity_links", "record_type, record_id")) == [
            ("account", "hubspot:9"), ("contact", "hubspot:501"), ("contact", "hubspot:502"),
        ]  # fmt: skip


def test_what_reading_processes_are_sent_is_not_what_other_threads_fill(home: Home) -> None:
    for kind in Mappings.of(home, home.company()).file_kinds.values():
        before = pickle.dumps(kind)
        assert pickle.loads(before).hash == kind.hash  # noqa: S301 - our own
        assert pickle.dumps(kind) == before, "the hash, kept meanwhile, was sent"
