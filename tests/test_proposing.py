"""Proposing a mapping for an unseen export: what is decided, what is asked, what it then lands."""

import io
import subprocess
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pytest
import yaml
from conftest import CASES, build, build_only, delivered, mart, shared

from ingestion.errors import UserError
from ingestion.home import Home
from ingestion.landing.deciding import Landing
from ingestion.mappings.loading import Mappings
from ingestion.proposing.writing import as_text, propose_for, save_mapping

SWEDISH = """Ref;Kund;Säljare;Fas;Belopp;Källa;Skapad;Planerat avslut;Sannolikhet
A-1;Åkeri AB;Ann Berg;Möte;1 234 567,50;Mässa;2026-01-05;2026-03-31;20
A-2;Bageri AB;Bo Ek;Offert;80 000,00;Webb;2026-01-07;2026-04-30;50
A-3;Cykel AB;Ann Berg;Vunnen;120 000,00;Webb;2026-01-09;2026-02-28;100
A-4;Data AB;Bo Ek;Förlorad;60 000,00;Mässa;2026-01-11;2026-02-15;0
"""


def write(home: Home, name: str, content: str | bytes) -> Path:
    path = home.root / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def asked(home: Home, name: str, content: str | bytes) -> str:
    return " ".join(propose_for(home, write(home, name, content)).questions)


def workbook(text: str) -> bytes:
    book, out = openpyxl.Workbook(), io.BytesIO()
    for line in text.splitlines():
        book.active.append(line.split(";"))
    book.save(out)
    return out.getvalue()


FORMS = {
    "windows-1252": ("pipeline 2026-02-28.csv", SWEDISH.encode("cp1252")),
    "utf-16": ("pipeline 2026-02-28.csv", SWEDISH.encode("utf-16")),
    "title above": ("pipeline 2026-02-28.csv", ("Report\n\n" + SWEDISH).encode("cp1252")),
    "tabs": ("pipeline 2026-02-28.csv", SWEDISH.replace(";", "\t").encode()),
    "workbook": ("pipeline 2026-02-28.xlsx", workbook(SWEDISH)),
    "utf-8": ("pipeline 2026-02-28.csv", SWEDISH.encode()),
}


def landed_deals(home: Home) -> list[Any]:
    """The landed deals, but for what says which file they came in."""
    report = Landing(home).run()
    assert not report.having("rejected"), report.files
    paths = [str(path) for load in report.loads for path in home.landed.glob(f"{load}/deals.*")]
    with duckdb.connect() as connection:
        query = "select * exclude (load_id) from read_parquet(?) order by all"
        return connection.execute(query, [paths]).fetchall()


def test_from_an_unseen_export_to_marts_without_an_edit(tmp_path: Path) -> None:
    """However the list is written, the same deals land; and the marts are theirs."""
    landed = {}
    for form, (name, content) in FORMS.items():
        home = Home.at(tmp_path / form)
        home.prepare()
        file = write(home, name, content)
        save_mapping(home, propose_for(home, file), "own", file.stem)
        file.rename(home.inbox / name)
        landed[form] = landed_deals(home)
        assert landed[form] == landed["windows-1252"], form
    marts = build(home, date(2026, 3, 1))
    deals = mart(marts, "dim_deals").set_index("deal_id")
    assert len(deals) == 4
    assert float(deals.loc["own:A-1", "amount"]) == 1_234_567.5
    assert deals["status"].to_dict() == {
        "own:A-1": "open", "own:A-2": "open", "own:A-3": "won", "own:A-4": "lost"
    }  # fmt: skip
    assert deals.loc["own:A-2", "seller_id"] == "own:Bo Ek"


def test_the_proposal_is_a_mapping_with_its_evidence(home: Home) -> None:
    proposal = propose_for(home, write(home, "pipeline.csv", SWEDISH.encode("cp1252")))
    text = as_text(proposal, "own", "pipeline")
    mapping = yaml.safe_load(text)
    assert mapping["files"]["pipeline"]["dialect"] == {
        "encoding": "cp1252", "separator": ";", "decimal": ","
    }  # fmt: skip
    stages = [(s["stage_id"], s["kind"]) for s in mapping["stages"]]
    assert stages == [("Möte", "open"), ("Offert", "open"), ("Förlorad", "lost"), ("Vunnen", "won")]
    assert "100% filled, 4 different" in text
    assert "when it was exported" in text
    for private in ("Ann", "Ek", "Åkeri", "1 234"):
        assert private not in text


@pytest.mark.parametrize(
    ("content", "question"),
    [
        ("Ref,Stage,Created\n1,New,03/04/2026\n2,New,05/06/2026\n", "either part may be the day"),
        ("Ref,Stage,Amount,Value\n1,New,5,6\n2,New,7,8\n", "Which column is amount"),
        ("Ref,Stage,Amount\n1,New,5\n2,New,much\n", "some of its cells are not numbers"),
        ("Ref;Stage;Amount\n1;New;1,234\n2;New;5,678\n", "thousands or decimals"),
        ("Stage,Amount\nNew,5\nNew,6\n", "No column is deal_id"),
        ("Ref,Stage,Amount\n1,New,5\n2,Old,6\n", "None of them says that a deal is won or lost"),
        ("Ref,Stge,Amount,Close date\n1,New,5,2026-01-01\n", "Is 'Stge' stage_id"),
        ("Ref,Stage,Amount,Owner\n1,New,5,Ann Berg\n2,New,6,Bo Ek\n", "names sellers"),
        ("Ref,Stage,Amount\n1,New,5\n2,New,6", "last line has no end"),
        ("Ref,Stage,Amount\n1,New,5\n1,Won,6\n", "repeats"),
        (
            "Ref,Stage,Status\n1,New,Förlorad order\n2,New,Inte vunnen\n",
            "in 'Status'? Map each to one of open",
        ),
        ("Ref,Stage,Amount\n1,New,5\n2,Förlorad order,6\n", "Does 'Förlorad order' mean"),
        ("Ref,Stage,Created\n1,New,26.01.05\n2,New,26.02.06\n", "either part may be the day"),
        ("Nr,Deal ID,Stage,Date\n1,A,New,2026-01-01\n2,A,Won,2026-02-01\n", "Or is it 'Nr'"),
        ("Deal,Stage,Amount,Date\nA,New,1,2026-01-01\nA,New,2,2026-01-01\n", "lines of an order"),
        ("Ann Berg,ann@x.se,50000\nBo Ek,bo@x.se,6\n", "No header is known"),
        ("Activity id,Date,Type\n1,2026-01-01,Phone\n2,2026-01-02,Zwx\n", "What are 'Zwx'"),
        ("Ref,Stage,Engaged\n1,New,2026-01-01\n", "Nothing asks for 'Engaged'; there are days"),
        ("Ref,Stage,Margin\n1,New,5.5\n2,New,5.5\n", "Nothing asks for 'Margin'; there are numb"),
        ("Ref,Stage,Champion\n1,New,Ann Berg\n2,New,Bo Ek\n", "'Champion'; there are names in it"),
        ("Ref,Stage,Mail\n1,New,a@x.se\n2,New,b@x.se\n", "there are mail addresses in it"),
        ("Ref,Stage,Årssumma tkr\n1,New,5\n2,New,6\n", "'Årssumma tkr' (unit: thousands)"),
        ("Ref,Stage,Region\n1,New,N\n2,New,N\n", "'Region'; there are few different"),
        ("Ref,Stage,Säljare\n" + "".join(f"{n},New,S{n}\n" for n in range(9)), "differs on every"),
        ("Ref,Stage,Kund\n" + "".join(f"{n},New,K{n % 2}\n" for n in range(20)), "has 2 values in"),
        (
            "Ref,Stage,Källa\n" + "".join(f"{n},New,K{n}\n" for n in range(20)),
            "as a group does not",
        ),
        ("Affär,Stage\nSkrivare,New\nPapper,New\n", "names deals. That works while no two share"),
        ("Ref,Stage,Close date\n1,New,2026-01-01\n", "when an open one is expected to close"),
        (
            "Ref,Stage,Amount USD,Currency\n1,New,5,EUR\n",
            "to be in USD, as 'Amount USD' says",
        ),
        ("Ref,Stage,Skapades datm\n1,New,2026-01-01\n", "Is 'Skapades datm' created_at"),
    ],
)
def test_what_it_cannot_decide_it_asks(home: Home, content: str, question: str) -> None:
    assert question in asked(home, "x.csv", content)


def test_an_order_of_day_and_month_that_another_cell_settles_is_not_asked(home: Home) -> None:
    path = write(home, "x.csv", "Ref,Stage,Created\n1,New,03/04/2026\n2,New,25/06/2026\n")
    proposal = propose_for(home, path)
    assert proposal.dialect["dates"][0] == ["%d/%m/%Y"]
    assert "either part" not in " ".join(proposal.questions)


@pytest.mark.parametrize(
    ("content", "kinds"),
    [
        ("Deal;Fas;Datum;Belopp\nD1;Möte;2026-01-05;10\nD1;Vunnen;2026-02-05;20\n",
         ["create", "won"]),
        ("Deal;Fas;Snapshot date;Belopp\nD1;Möte;2026-01-05;10\nD1;Vunnen;2026-02-05;20\n",
         ["create", "won"]),
    ],
    ids=["steps", "snapshots"],
)  # fmt: skip
def test_rows_that_repeat_a_deal_are_its_history(
    home: Home, content: str, kinds: list[str]
) -> None:
    file = write(home, "x 2026-02-28.csv", content)
    save_mapping(home, propose_for(home, file), "own", "x")
    file.rename(home.inbox / file.name)
    moves = mart(build_only(home, date(2026, 3, 1)), "fct_stage_transitions")
    assert moves.sort_values("move_number")["move_kind"].tolist() == kinds


def test_columns_that_write_dates_differently_each_say_how(home: Home) -> None:
    path = write(home, "x.csv", "Ref,Stage,Created,Closed\n1,New,25/06/2026,04/13/2026\n"
                                "2,New,03/04/2026,03/04/2026\n")  # fmt: skip
    columns = {c.column: c.cell for c in propose_for(home, path).columns}
    assert columns["created_at"]["dates"] == ["%d/%m/%Y"]
    assert columns["closed_at"]["dates"] == ["%m/%d/%Y"]


def test_what_is_shown_names_nobody(home: Home) -> None:
    content = ("Ref,Stage,Deal type\n1,New,Ring Ann Berg 070-1234560\n2,New,Old\n",
               "Ann Berg,ann@x.se,50000\nBo Ek,bo@x.se,6\n",
               "D0,Ann Berg,Lead,1000,2026-01-05\nD1,Bo Ek,Lead,5,2026-01-06\n")  # fmt: skip
    for text in content:
        shown = as_text(propose_for(home, write(home, "x.csv", text)), "own", "x")
        assert "Ann" not in shown
        assert "070" not in shown


def test_a_shipped_mappings_name_is_not_taken(home: Home) -> None:
    with pytest.raises(UserError, match="is shipped"):
        save_mapping(home, propose_for(home, write(home, "x.csv", SWEDISH)), "hubspot", "x")


def test_stages_found_later_go_to_the_top(home: Home) -> None:
    calls = write(home, "calls.csv", "Call id,Date,Type\n1,2026-01-05 10:00,Samtal\n")
    save_mapping(home, propose_for(home, calls), "own", "calls")
    path = save_mapping(home, propose_for(home, write(home, "deals.csv", SWEDISH)), "own", "deals")
    assert len(yaml.safe_load(path.read_text())["stages"]) == 4


def test_a_padded_title_above_the_headers_is_seen(home: Home) -> None:
    padded = "Pipelinerapport;;;;;;;;\n;;;;;;;;\n" + SWEDISH
    for name, content in (("x.csv", padded.encode()), ("x.xlsx", workbook(padded))):
        proposal = propose_for(home, write(home, name, content))
        assert proposal.dialect["skip_lines"][0] == 2
        assert {"deal_id", "amount", "stage_id"} <= {c.column for c in proposal.columns}


def test_a_second_kind_of_file_joins_the_first(home: Home) -> None:
    first = write(home, "pipeline.csv", SWEDISH)
    save_mapping(home, propose_for(home, first), "own", "pipeline")
    content = "Call id,Date,Type,User,Duration\n1,2026-01-05 10:00,Samtal,Ann Berg,60\n"
    calls = write(home, "calls.csv", content)
    path = save_mapping(home, propose_for(home, calls), "own", "calls")
    assert list(yaml.safe_load(path.read_text())["files"]) == ["pipeline", "calls"]
    calls.rename(home.inbox / "calls.csv")
    (file,) = Landing(home).run().files
    assert (file.file_kind, file.accepted) == ("own/calls", 1)


def test_a_file_that_a_mapping_takes_already_is_told_so(home: Home) -> None:
    path = write(home, "x.csv", "Record ID,Deal Stage,Amount\n1,Closed Won,5\n")
    assert propose_for(home, path).recognised == "hubspot/deals"


@pytest.mark.parametrize(
    ("data", "table", "columns"),
    [
        ("maven_crm/sales_pipeline.csv", "deals",
         {"deal_id": "opportunity_id", "seller_id": "sales_agent", "stage_id": "deal_stage",
          "account_id": "account", "product": "product"}),
        ("olist_funnel/olist_marketing_qualified_leads_dataset.csv", "leads",
         {"source": "origin", "created_at": "first_contact_date"}),
        ("crm_schema_seeds/salesforce/sf_opportunity_data.csv", "deals",
         {"stage_id": "stage_name", "amount": "amount"}),
    ],
)  # fmt: skip
def test_real_files_are_seen_for_what_they_are(
    home: Home, data: str, table: str, columns: dict[str, str]
) -> None:
    proposal = propose_for(home, shared(data))
    found = {c.column: c.cell.get("from", [None])[0] for c in proposal.columns}
    assert proposal.table == table
    assert columns.items() <= found.items()


def test_the_command_says_in_one_line_what_cannot_be_mapped(home: Home) -> None:
    path = write(home, "x.csv", "")
    command = [str(Path(sys.executable).with_name("mellantid")), "--home", str(home.root)]
    result = subprocess.run([*command, "map", str(path)], capture_output=True, text=True)
    assert result.returncode == 2
    assert result.stderr == "mellantid: x.csv: is empty (0 bytes); export it again\n"


def case(number: str) -> Path:
    """One of the small files that strangers had trouble with."""
    (path,) = CASES.glob(f"{number}-*")
    return path


def walked(home: Home, number: str, **answers: str) -> str:
    """A newcomer's walk: proposal saved, questions answered by a header each, file delivered."""
    path = save_mapping(home, propose_for(home, case(number)), "own", "list")
    text = path.read_text()
    written = "".join(f"          {column}: {header}\n" for column, header in answers.items())
    path.write_text(text.replace("        columns:\n", f"        columns:\n{written}", 1))
    delivered(home, case(number), date(2026, 11, 20))
    return text


def test_a_log_of_moves_is_its_deals_history(home: Home) -> None:
    assert "deal_changes" in walked(home, "04")
    moves = mart(build_only(home, date(2026, 11, 20)), "fct_stage_transitions")
    told = moves[moves["deal_id"] == "own:17"].sort_values("move_number")
    stages = ["own:Qualify", "own:Propose", "own:Won"]
    assert told["to_stage_id"].dropna().tolist() == stages
    assert told["occurred_at"].dt.strftime("%Y-%m-%d %H:%M").tolist() == [
        "2026-01-05 08:30", "2026-01-19 13:05", "2026-03-01 09:00"
    ]  # fmt: skip


def test_one_column_of_close_dates_serves_closed_and_open_deals(home: Home) -> None:
    walked(home, "07", created_at="engage_date")
    marts = build(home, date(2026, 11, 20))
    deals = mart(marts, "dim_deals").set_index("deal_id")
    closed = deals["closed_on"].dropna().astype(str).to_dict()
    assert closed == {"own:K1": "2026-03-01", "own:K3": "2026-02-14"}
    assert deals["status"].value_counts().to_dict() == {"open": 2, "won": 1, "lost": 1}
    moves = mart(marts, "fct_stage_transitions")
    won = moves[moves["deal_id"] == "own:K1"].sort_values("move_number")
    assert won["move_kind"].tolist() == ["create", "won"]


def test_units_in_headers_hide_no_word(home: Home) -> None:
    walked(home, "10")
    report = Landing(home).run()
    paths = [str(home.landed / load / "deals.parquet") for load in report.loads]
    found = duckdb.read_parquet([p for p in paths if Path(p).exists()]).order("record_number")
    assert found.select("amount", "expected_close_on").fetchall() == [
        (Decimal(125_000), date(2026, 12, 15)), (Decimal(48_500), date(2026, 9, 30)),
        (Decimal(310_000), date(2026, 10, 1)), (Decimal(75_000), date(2027, 1, 31)),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("header", "cell", "amount"),
    [
        ("Belopp (tkr)", "125,5", "125500.00"),
        ("Värde mkr", "1,25", "1250000.00"),
        ("Belopp kr", "125,5", "125.50"),
    ],
)
def test_a_header_that_counts_thousands_does_not_shrink_the_money(
    home: Home, header: str, cell: str, amount: str
) -> None:
    file = write(home, "x.csv", f"Ref;Fas;{header}\n1;Möte;{cell}\n2;Vunnen;{cell}\n")
    save_mapping(home, propose_for(home, file), "own", "x")
    file.rename(home.inbox / "x.csv")
    (load,) = (n for n in Landing(home).run().loads if (home.landed / n / "deals.parquet").exists())
    deals = duckdb.read_parquet(str(home.landed / load / "deals.parquet"))
    assert {str(a) for (a,) in deals.select("amount").fetchall()} == {amount}


def test_a_header_that_is_a_persons_address_is_repeated_nowhere(home: Home) -> None:
    text = walked(home, "12")
    (file,) = Landing(home).run().files
    manifests = [path.read_text() for path in home.landed.glob("*/*.json")]
    said = " ".join([text, file.message, *file.unused, *manifests])
    assert file.unused == ["column 4"]
    assert "anna" not in said.casefold()


def test_what_is_missing_is_saved_and_then_said(home: Home) -> None:
    text = walked(home, "06")
    assert "# deal_id (the deal) is missing" in text
    with pytest.raises(UserError, match=r"own.yml: files.list: deals needs deal_id"):
        Mappings.of(home, home.company())


def test_where_no_header_is_known_each_is_listed_with_what_it_looks_like(home: Home) -> None:
    file = write(home, "x.csv", "Zwx,Qrs\n2026-01-01,5.5\n2026-01-02,5.5\n")
    text = as_text(propose_for(home, file), "own", "x")
    assert "#   'Zwx': days, 100% filled, 2 different" in text
    assert "#   'Qrs': numbers, 100% filled, 1 different" in text


def test_labels_are_written_for_readers(home: Home) -> None:
    mapping = yaml.safe_load(as_text(propose_for(home, case("10")), "own", "x"))
    assert {stage["label"] for stage in mapping["stages"]} >= {"Offert", "Vunnen"}


@pytest.mark.parametrize(
    "headers",
    ["Deal,From,To,When,Who", "Deal ID,Old Value,New Value,Edit Date,Edited By",
     "Affärsid,Från fas,Till fas,Ändrad,Ändrad av"],
)  # fmt: skip
def test_logs_of_moves_are_known_by_their_words(home: Home, headers: str) -> None:
    rows = "1,,New,2026-01-05 10:00,u1\n1,New,Won,2026-02-05 10:00,u2\n"
    proposal = propose_for(home, write(home, "x.csv", f"{headers}\n{rows}"))
    assert proposal.table == "deal_changes"
    assert {"deal_id", "old_value", "new_value", "occurred_at"} <= {
        c.column for c in proposal.columns
    }


@pytest.mark.parametrize(("cell", "form"), [("1767607200", "epoch"), ("1767607200000", "epoch_ms")])
def test_seconds_since_1970_are_known_by_their_header(home: Home, cell: str, form: str) -> None:
    file = write(home, "x.csv", f"Ref,Stage,Created time\n1,New,{cell}\n2,Won,{cell}\n")
    assert propose_for(home, file).dialect["dates"][0] == [form]
