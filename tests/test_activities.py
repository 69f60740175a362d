"""Activities: when, with whom, about what, and which meetings they are credited with."""

import shutil
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from conftest import MAPPINGS, build_only, mart, set_company

from analysis.activities import activity_estimates
from analysis.estimates import Marts
from ingestion.home import Home
from publishing.frames import read_mart
from publishing.marts import opened

DAY = date(2026, 6, 30)
ZONE = ZoneInfo("Europe/Stockholm")
DEALS = "deal_id,pipeline_id,stage_id,status,created_at,account_id,source,business_area,segment\n"
LINES = (
    "activity_id,type,occurred_at,outcome,contact_id,deal_id,account_id,email,phone,direction,"
    "message,seller_id\n"
)
CONTACTS = "contact_id,account_id,email,phone\n"


@pytest.fixture
def crm(home: Home) -> Home:
    shutil.copy(MAPPINGS / "crm.yml", home.mappings)
    return home


def put(home: Home, **files: str) -> None:
    for name, text in files.items():
        (home.inbox / f"{name.replace('_', '-')}-{DAY}.csv").write_text(text)


def facts(marts: Path) -> pd.DataFrame:
    table = mart(marts, "fct_activities")
    table.index = pd.Index(table["activity_id"].str.removeprefix("crm:"))
    return table.astype(object).where(table.notna(), None)


# --- when ----------------------------------------------------------------------------------------


def test_the_hour_and_weekday_are_those_of_the_clock_on_the_wall(crm: Home) -> None:
    set_company(crm, dayparts={"early": 5, "day": 9, "late": 17})
    put(crm, activities=LINES
        + "summer,call,2026-06-24T06:30:00Z,,k1,,,,,,,\n"  # a Wednesday, 8:30
        + "winter,call,2026-01-05T22:59:59Z,,k1,,,,,,,\n"  # a Monday, 23:59
        + "night,call,2026-01-05T23:30:00Z,,k1,,,,,,,\n"  # a Tuesday, 0:30
        + "day,call,2026-06-24,,k1,,,,,,,\n")  # fmt: skip
    found = facts(build_only(crm, DAY))[["local_hour", "weekday", "daypart", "occurred_on"]]
    told = {key: (*row[:3], str(row[3])[:10]) for key, *row in found.itertuples()}
    assert told == {
        "summer": (8, 3, "early", "2026-06-24"),
        "winter": (23, 1, "late", "2026-01-05"),
        "night": (0, 2, "late", "2026-01-06"),
        "day": (None, 3, None, "2026-06-24"),
    }


# --- with whom -----------------------------------------------------------------------------------


def test_who_was_at_the_other_end_is_found_by_id_mail_or_phone_and_never_guessed(
    crm: Home,
) -> None:
    put(
        crm,
        contacts=CONTACTS
        + "k1,a1,ann@x.se,070-123 45 67\n"
        + "k2,a1,bo@x.se,08-555 000 00\nk3,a1,,08-555 000 00\n"  # one switchboard
        + "k4,a2,info@z.se,\nk5,a3,info@z.se,\n",
        all=DEALS + "d1,p,A,,2026-01-10,a1,Web,North,Small\n",
        activities=LINES
        + "by-id,call,2026-03-02 10:00,,k2,,,,,,,\n"
        + "by-phone,call,2026-03-02 10:00,,,,,,+46701234567,,,\n"
        + "by-mail,email,2026-03-02 10:00,,,,,ANN@x.se,,,,\n"
        + "switchboard,call,2026-03-02 10:00,,,,,,+46855500000,,,\n"
        + "shared-mail,email,2026-03-02 10:00,,,,,info@z.se,,,,\n"
        + "nobody,call,2026-03-02 10:00,,,,,,+46800000000,,,\n"
        + "deal,call,2026-03-02 10:00,,,d1,,,,,,\n"
        + "two,meeting,2026-03-02 10:00,held,,,,,,,,\n",
        links="activity_id,record_type,record_id\ntwo,contact,k1\ntwo,contact,k2\ntwo,deal,d1\n",
    )
    found = facts(build_only(crm, DAY))
    told = found[["contact_id", "account_id", "matched_by", "person_id"]].T.to_dict("list")
    assert told == {
        "by-id": ["crm:k2", "crm:a1", "id", "contact:crm:k2"],
        "by-phone": ["crm:k1", "crm:a1", "phone", "contact:crm:k1"],
        "by-mail": ["crm:k1", "crm:a1", "email", "contact:crm:k1"],
        "switchboard": [None, "crm:a1", "phone", "account:crm:a1"],
        "shared-mail": [None, None, None, None],
        "nobody": [None, None, None, None],
        "deal": [None, "crm:a1", "id", "journey:crm:d1"],
        "two": [None, "crm:a1", "id", "journey:crm:d1"],
    }


def test_what_became_known_later_does_not_reach_back_to_the_call(crm: Home) -> None:
    """Only calls that led somewhere have a deal: its source would tell them from the others."""
    put(
        crm,
        all=DEALS + "d1,p,A,,2026-03-10,a1,Web,North,Small\n",
        activities=LINES
        + "before,call,2026-03-02 10:00,,,d1,,,,,,\n"
        + "after,call,2026-03-12 10:00,,,d1,,,,,,\n",
    )
    found = facts(build_only(crm, DAY))[["source", "business_area", "segment", "journey_id"]]
    assert found.T.to_dict("list") == {
        "before": [None, None, None, "crm:d1"],
        "after": ["Web", "North", "Small", "crm:d1"],
    }


def test_what_is_logged_on_a_deal_merged_away_belongs_to_the_survivor(crm: Home) -> None:
    put(
        crm,
        all=DEALS + "d1,p,A,,2026-01-10,a1,,,\nd2,p,A,,2026-01-20,a1,,,\n",
        merges="deal_id,merged_into_deal_id,merged_at\nd2,d1,2026-02-10 10:00\n",
        activities=LINES + "call,call,2026-02-01 10:00,,,d2,,,,,,\n",
    )
    assert facts(build_only(crm, DAY)).loc["call", "deal_id"] == "crm:d1"


# --- which meetings ------------------------------------------------------------------------------


def test_a_meeting_is_credited_to_the_last_call_at_people_without_one(crm: Home) -> None:
    put(crm, activities=LINES
        + "c1,call,2026-03-02 10:00,no_answer,k1,,,,,,,\n"
        + "c2,call,2026-03-05 10:00,connected,k1,,,,,,,\n"
        + "mail,email,2026-03-06 10:00,,k1,,,,,,,\n"
        + "inbound,call,2026-03-07 10:00,,k1,,,,,inbound,,\n"
        + "m1,meeting,2026-03-09 10:00,held,k1,,,,,,,\n"
        + "c3,call,2026-04-01 10:00,connected,k1,,,,,,,\n"  # has met within 90 days
        + "m2,meeting,2026-04-03 10:00,held,k1,,,,,,,\n"
        + "c4,call,2026-03-02 10:00,,k2,,,,,,,\n"
        + "m3,meeting,2026-03-17 10:00,held,k2,,,,,,,\n"  # 15 days
        + "c5,call,2026-03-02 10:00,,k3,,,,,,,\n"
        + "m4,meeting,2026-03-04 10:00,no_show,k3,,,,,,,\n"
        + "c6,call,2026-06-20 10:00,,k4,,,,,,,\n"  # not yet 14 days
        + "c7,call,2026-03-02 10:00,,k5,,,,,,,\n"
        + "m5,meeting,2026-03-02,held,k5,,,,,,,\n")  # fmt: skip
    marts = build_only(crm, DAY)
    found = facts(marts)
    asked = ["is_at_risk", "is_followed", "held_meeting_id", "booked_meeting_id", "attempt_number"]
    told = found[found["is_attempt"]][asked].T.to_dict("list")
    assert told == {
        "c1": [True, True, None, None, 1],
        "c2": [True, True, "crm:m1", "crm:m1", 2],
        "mail": [True, True, "crm:m1", "crm:m1", 1],
        "c3": [False, True, None, None, 3],
        "c4": [True, True, None, None, 1],
        "c5": [True, True, None, "crm:m4", 1],
        "c6": [True, False, None, None, 1],
        "c7": [True, True, "crm:m5", "crm:m5", 1],
    }
    counts = mart(marts, "activity_counts").query(
        "type == 'call' and group_dimension == 'all' and dimension == 'all'"
    )
    asked = ["n_attempts", "n_unlinked", "n_at_risk", "n_mature", "n_reached", "n_people"]
    assert counts.set_index("definition_id")[asked].T.to_dict("list") == {
        "meeting_held_14": [7, 0, 6, 5, 2, 4],
        "meeting_booked_14": [7, 0, 6, 5, 3, 4],
    }
    assert counts["attempts_per_reached"].tolist() == pytest.approx([5 / 2, 5 / 3], rel=1e-9) or (
        counts["attempts_per_reached"].tolist() == pytest.approx([5 / 3, 5 / 2], rel=1e-9)
    )


def test_a_meeting_is_found_however_its_log_names_the_customer(crm: Home) -> None:
    """By company alone, with several people, on a deal made afterwards, on one of two deals."""
    put(
        crm,
        contacts=CONTACTS + "k1,a1,,070-123 45 67\nk2,a2,,\nk3,a2,,\nk4,a3,,\n",
        all=DEALS + "d9,p,A,,2026-03-20,a3,,,\n",
        activities=LINES
        + "c1,call,2026-03-02 10:00,,,,other:Acme,,070-1234567,,,\n"
        + "m1,meeting,2026-03-05 10:00,held,,,other:Acme,,,,,\n"
        + "c2,call,2026-03-02 10:00,,k2,,,,,,,\n"
        + "m2,meeting,2026-03-05 10:00,held,,,,,,,,\n"
        + "c3,call,2026-03-02 10:00,,k4,,,,,,,\n"
        + "m3,meeting,2026-03-05 10:00,held,,d9,,,,,,\n",
        links="activity_id,record_type,record_id\nm2,contact,k2\nm2,contact,k3\n",
    )
    found = facts(build_only(crm, DAY))
    told = {key: found.loc[key, "held_meeting_id"] for key in ("c1", "c2", "c3")}
    assert told == {"c1": "crm:m1", "c2": "crm:m2", "c3": "crm:m3"}


def test_a_later_call_has_the_meeting_even_if_it_was_at_somebody_met(crm: Home) -> None:
    put(crm, activities=LINES
        + "c1,call,2026-03-02 10:00,,k1,,,,,,,\n"
        + "m1,meeting,2026-03-05 10:00,no_show,k1,,,,,,,\n"
        + "c2,call,2026-03-07 10:00,,k1,,,,,,,\n"
        + "m2,meeting,2026-03-09 10:00,held,k1,,,,,,,\n")  # fmt: skip
    found = facts(build_only(crm, DAY)).loc[["c1", "c2"]]
    assert found["is_at_risk"].tolist() == [True, False]
    assert found["held_meeting_id"].tolist() == [None, None]
    assert found["booked_meeting_id"].tolist() == ["crm:m1", None]


def test_what_was_still_to_come_when_it_was_exported_was_not_held(crm: Home) -> None:
    text = LINES + "c1,call,2026-06-01 10:00,,k1,,,,,,,\nm1,meeting,2026-06-10 10:00,,k1,,,,,,,\n"
    (crm.inbox / "activities-2026-06-05.csv").write_text(text)
    (crm.inbox / f"activities-{DAY}.csv").write_text(
        LINES + "m9,meeting,2026-06-29,held,k9,,,,,,,\n"
    )
    call = facts(build_only(crm, DAY)).loc["c1"]
    assert (call["is_at_risk"], call["is_followed"]) == (True, True)
    assert (call["held_meeting_id"], call["booked_meeting_id"]) == (None, "crm:m1")


def test_follow_up_ends_with_the_exports_of_meetings_that_lag(crm: Home) -> None:
    (crm.inbox / "activities-2026-06-01.csv").write_text(
        LINES + "c1,call,2026-05-25 10:00,,k1,,,,,,,\nm1,meeting,2026-03-10,held,k2,,,,,,,\n"
    )
    (crm.inbox / f"other-activities-{DAY}.csv").write_text(
        LINES + "m2,meeting,2026-06-29 10:00,held,k9,,,,,,,\n"
    )
    assert not facts(build_only(crm, DAY)).loc["c1", "is_followed"]


def test_without_meetings_in_any_export_nothing_is_followed(crm: Home) -> None:
    put(crm, activities=LINES + "c1,call,2026-03-02 10:00,no_answer,k1,,,,,,,\n")
    counts = mart(build_only(crm, DAY), "activity_counts")
    assert counts["n_mature"].eq(0).all() and counts["reached_rate"].isna().all()


def credited(
    lines: list[dict[str, Any]], until: datetime
) -> dict[str, tuple[bool, bool, str | None]]:
    """Per attempt: at risk, followed, the meeting. In plain Python, attempt by attempt."""

    def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
        for key in ("contact_id", "deal_id", "account_id"):
            if one[key] and other[key]:
                return bool(one[key] == other[key])
        return False

    meetings = [line for line in lines if line["type"] == "meeting"]
    first: dict[str, str] = {}
    attempts = [line for line in lines if line["type"] != "meeting"]
    at_risk = {}
    for line in attempts:
        known = [m for m in meetings if same(line, m)]
        gaps = [(m["at"] - line["at"], m["activity_id"]) for m in known]
        at_risk[line["activity_id"]] = not [
            1 for gap, _ in gaps if timedelta(days=-90) <= gap <= timedelta(0)
        ]
        after = sorted(gap for gap in gaps if timedelta(0) < gap[0] <= timedelta(days=14))
        if after:
            first[line["activity_id"]] = after[0][1]
    found = {}
    for line in attempts:
        meeting = first.get(line["activity_id"])
        later = [
            other for other in attempts
            if meeting and first.get(other["activity_id"]) == meeting
            and other["type"] == line["type"]
            and (other["at"], line["activity_id"]) > (line["at"], other["activity_id"])
            and other is not line
        ]  # fmt: skip
        found[line["activity_id"]] = (
            at_risk[line["activity_id"]],
            line["at"] + timedelta(days=14) <= until,
            meeting if at_risk[line["activity_id"]] and not later else None,
        )
    return found


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_credits_equal_those_counted_one_by_one(crm: Home, seed: int) -> None:
    random = np.random.default_rng(seed)
    begin, lines = datetime(2026, 1, 1, 8, tzinfo=ZONE), []
    for number in range(400):
        customer = int(random.integers(12))
        person = int(random.integers(3))
        names = random.random(3) < 0.6
        lines.append(
            {
                "activity_id": f"x{number:03d}",
                "type": str(random.choice(["call", "email", "meeting"], p=[0.6, 0.25, 0.15])),
                "at": begin + timedelta(minutes=int(random.integers(60 * 24 * 170))),
                "contact_id": f"k{customer}-{person}" if names[0] else "",
                "deal_id": f"d{customer}" if names[1] else "",
                "account_id": f"a{customer}" if names[2] else "",
            }
        )
    rows = "".join(
        f"{x['activity_id']},{x['type']},{x['at'].isoformat()},held,{x['contact_id']},"
        f"{x['deal_id']},{x['account_id']},,,,,\n"
        for x in lines
    )
    deals = "".join(f"d{n},p,A,,2025-12-01,a{n},,,\n" for n in range(12))
    contacts = "".join(f"k{n}-{p},a{n},,\n" for n in range(12) for p in range(3))
    put(crm, activities=LINES + rows, all=DEALS + deals, contacts=CONTACTS + contacts)
    found = facts(build_only(crm, DAY))
    # A contact's company is known, and a deal's.
    for line in lines:
        named = line["contact_id"] or line["deal_id"]
        line["account_id"] = line["account_id"] or (named and f"a{named[1:].split('-')[0]}")
    until = datetime(2026, 6, 30, 23, 59, 59, tzinfo=ZONE)
    expected = {
        key: value
        for key, value in credited(lines, until).items()
        if found.loc[key, "person_id"] is not None
    }
    attempts = found[found["is_attempt"] & found["person_id"].notna()]
    told = {
        str(key): (row["is_at_risk"], row["is_followed"],
                   row["held_meeting_id"] and row["held_meeting_id"].removeprefix("crm:"))
        for key, row in attempts.iterrows()
    }  # fmt: skip
    assert told == expected


def test_counts_are_those_of_the_facts_in_pandas(company_set: Path) -> None:
    table = mart(company_set, "fct_activities").query("is_attempt")
    is_mature = table["is_at_risk"].fillna(False) & table["is_followed"].fillna(False)
    table = table.assign(
        n_at_risk=table["is_at_risk"].fillna(False).astype(int),
        n_mature=is_mature.astype(int),
        n_reached=(is_mature & table["held_meeting_id"].notna()).astype(int),
        person=table["person_id"].where(is_mature),
    )
    found = mart(company_set, "activity_counts").query("definition_id == 'meeting_held_14'")
    for group, dimension in (
        ("all", "daypart"),
        ("segment", "weekday"),
        ("business_area", "seller"),
    ):
        keys = ["type", *([] if group == "all" else [group]),
                "seller_id" if dimension == "seller" else dimension]  # fmt: skip
        expected = table.groupby(keys, dropna=False).agg(
            n_attempts=("activity_id", "size"), n_at_risk=("n_at_risk", "sum"),
            n_mature=("n_mature", "sum"), n_reached=("n_reached", "sum"),
            n_people=("person", "nunique"),
        )  # fmt: skip
        rows = found[(found["group_dimension"] == group) & (found["dimension"] == dimension)]
        assert len(rows) == len(expected) > 1
        columns = list(expected)
        names = ["type", *([] if group == "all" else ["group_value"]), "dimension_value"]
        told = rows.set_index(names)[columns].sort_values(columns)
        assert told.to_numpy().tolist() == expected.sort_values(columns).to_numpy().tolist()


def test_estimates_start_from_the_counts(company_set: Path) -> None:
    marts = Marts(partial(read_mart, opened(company_set)), date(2026, 6, 30), "SE")
    table = activity_estimates(marts.attempts, marts.invitations)
    shared = ["type", "definition_id", "group_dimension", "group_value", "dimension",
              "dimension_value", "n_at_risk", "n_mature", "n_reached"]  # fmt: skip
    counts = pd.concat(
        [
            mart(company_set, "activity_counts")[shared],
            mart(company_set, "seminar_counts").query("group_dimension != 'campaign'")[shared],
        ]
    ).query("n_at_risk > 0")
    # Of seminars single hours and business areas are estimated, and not counted in dbt.
    table = table[
        ~table["definition_id"].eq("signup_14")
        | ~(table["dimension"].isin(["local_hour", "attempt"])
            | table["group_dimension"].eq("business_area"))
    ]  # fmt: skip
    keys = ["type", "definition_id", "group_dimension", "group_value", "dimension",
            "dimension_value"]  # fmt: skip
    left, right = (
        frame.assign(**{key: frame[key].astype(object).fillna("–") for key in keys})
        for frame in (table, counts)
    )
    both = left.merge(right, on=keys, suffixes=("", "_counted"))
    assert len(both) == len(left) == len(right) > 50
    assert (both["n_mature"] == both["n_mature_counted"]).all()
    assert (both["n_events"] == both["n_reached"]).all()
    assert (both["n_at_risk"] == both["n_at_risk_counted"]).all()


# --- seminars ------------------------------------------------------------------------------------

INVITATIONS = LINES.replace("\n", ",campaign_id,sender_id,reminder_no\n")


def test_a_sign_up_is_credited_to_the_last_invitation_to_that_seminar(crm: Home) -> None:
    lines = {
        "mail0": "email,2026-03-02 10:00,,k1,,,,,,blue,,b,ceo,0",
        "mail1": "email,2026-03-09 10:00,,k1,,,,,,red,,b,ann,1",
        "other": "email,2026-03-10 10:00,,k1,,,,,,red,,news,ann,",
        "yes": "signup,2026-03-10 11:00,attended,k1,,,,,,,,b,,",
        "mail2": "email,2026-03-16 10:00,,k1,,,,,,red,,b,ann,2",  # signed up already
        "late": "email,2026-03-02 10:00,,k2,,,,,,blue,,b,ceo,0",
        "later": "signup,2026-03-17,no_show,k2,,,,,,,,b,,",  # 15 days
        "cold": "email,2026-03-02 10:00,,k3,,,,,,blue,,b,ceo,0",
        "off": "signup,2026-03-03 10:00,canceled,k3,,,,,,,,b,,",
        "middle": "email,2026-03-09 10:00,,k4,,,,,,blue,,b,ann,1",  # the first is not logged
        "call": "call,2026-03-18 10:00,,k4,,,,,,,,b,,2",
        "day": "signup,2026-03-18,,k4,,,,,,,,b,,",
        "whom": "email,2026-03-02 10:00,,,,,,,,blue,,b,ceo,0",
        "held": "seminar,2026-03-20,,,,,,,,,,b,,",
        "after": "email,2026-03-21 10:00,,k5,,,,,,thanks,,b,ceo,",
    }
    put(crm, activities=INVITATIONS + "".join(f"{k},{v}\n" for k, v in lines.items()))
    marts = build_only(crm, DAY)
    found = mart(marts, "fct_invitations")
    found.index = pd.Index(found["activity_id"].str.removeprefix("crm:"))
    found = found.astype(object).where(found.notna(), None)
    asked = ["is_at_risk", "signup_id", "has_attended", "first_sender_id", "attempt_number"]
    assert found[asked].T.to_dict("list") == {
        "mail0": [True, None, None, "crm:ceo", 1],
        "mail1": [True, "crm:yes", True, "crm:ceo", 2],
        "mail2": [False, None, None, "crm:ceo", 3],
        "late": [True, None, None, "crm:ceo", 1],
        "cold": [True, None, None, "crm:ceo", 1],
        "middle": [True, None, None, None, 1],
        "call": [True, "crm:day", None, None, 2],
        "whom": [None, None, None, None, None],
    }
    counts = mart(marts, "seminar_counts").query(
        "type == 'email' and group_dimension == 'all' and dimension == 'all'"
    )
    asked = ["n_attempts", "n_unlinked", "n_at_risk", "n_mature", "n_reached", "n_attended",
             "n_no_show", "n_people"]  # fmt: skip
    assert counts[asked].iloc[0].tolist() == [7, 1, 5, 5, 1, 1, 0, 4]


def test_invitations_are_followed_until_the_seminar_or_for_14_days(crm: Home) -> None:
    lines = {
        "a": "email,2026-06-20 10:00,,k1,,,,,,,,held,,0",  # ten days ago
        "b": "email,2026-06-20 10:00,,k1,,,,,,,,coming,,0",
        "c": "email,2026-06-10 10:00,,k1,,,,,,,,coming,,0",
        "s": "seminar,2026-06-25 08:00,,,,,,,,,,held,,",
        "t": "signup,2026-06-11 08:00,,k2,,,,,,,,coming,,",
    }
    put(crm, activities=INVITATIONS + "".join(f"{k},{v}\n" for k, v in lines.items()))
    found = mart(build_only(crm, DAY), "fct_invitations").set_index("activity_id")["is_followed"]
    assert found.to_dict() == {"crm:a": True, "crm:b": False, "crm:c": True}


# --- traces --------------------------------------------------------------------------------------


def test_paths_tell_the_first_the_last_and_any_touch(crm: Home) -> None:
    put(
        crm,
        all=DEALS.replace("status", "status,closed_at,amount,currency")
        + "d1,p,W,,2026-03-20,100,SEK,2026-01-10,,,,\nd2,p,A,,,,,2026-01-10,,,,\n",
        changes="deal_id,field,old_value,new_value,occurred_at,fidelity,sequence\n"
        + "d1,stage_id,,A,2026-01-10T10:00:00Z,event_log,1\n"
        + "d1,stage_id,A,B,2026-02-10T10:00:00Z,event_log,2\n"
        + "d1,stage_id,B,A,2026-02-20T10:00:00Z,event_log,3\n"
        + "d1,stage_id,A,W,2026-03-20T10:00:00Z,event_log,4\n",
        activities=LINES
        + "early,call,2025-05-01 10:00,,,d1,,,,,,\n"  # more than 180 days before
        + "first,email,2025-12-01 10:00,,,d1,,,,,blue,\n"
        + "second,call,2026-01-20 10:00,,,d1,,,,,,\n"
        + "last,meeting,2026-03-15 10:00,held,,d1,,,,,,\n"
        + "after,call,2026-04-15 10:00,,,d1,,,,,,\n",
    )
    paths = mart(build_only(crm, DAY), "journey_paths").astype(object)
    paths = paths.where(paths.notna(), None)
    told = paths[paths["n_deals"] > 0].sort_values(["touch_definition_id", "outcome", "touch_type"])
    asked = ["touch_definition_id", "touch_type", "touch_detail", "path", "outcome", "n_deals"]
    none = "(no activity logged)"
    assert told[asked].to_numpy().tolist() == [
        ["any_touch", none, None, "crm:A", "open", 1],
        ["any_touch", "call", None, "crm:A > crm:B", "won", 1],
        ["any_touch", "email", "blue", "crm:A > crm:B", "won", 1],
        ["any_touch", "meeting", None, "crm:A > crm:B", "won", 1],
        ["first_touch", none, None, "crm:A", "open", 1],
        ["first_touch", "email", "blue", "crm:A > crm:B", "won", 1],
        ["last_touch", none, None, "crm:A", "open", 1],
        ["last_touch", "meeting", None, "crm:A > crm:B", "won", 1],
    ]
    won = paths.query("touch_definition_id == 'last_touch' and outcome == 'won'")
    assert float(won["amount_base"].sum()) == 100
