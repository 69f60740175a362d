"""Calls and invitations whose true effects are known, as rows of fct_activities, fct_invitations.

Belongs here: how they come about and what they bring. Does not belong here: exports (`hubspot`,
`salesforce`, `seminars`), estimators, what is held against the truth (`measure`).

Calls go to people in order until they agree to a meeting or the caller gives up; owners, segments,
sources and companies differ in how ready they are, and in when and with what they are called.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

SEGMENTS, SOURCES, AREAS = ("Small", "Mid", "Large"), ("web", "partner", "fair", "help"), ("A", "B")
N_OWNERS, N_CAMPAIGNS, MAX_ATTEMPTS = 8, 20, 4
# How ready a first call finds people, by segment, source and owner; and how companies differ.
OF_SEGMENT, OF_SOURCE = np.array([0.05, 0.10, 0.20]), np.array([0.0, 0.03, -0.01, 0.04])
OF_OWNER = np.array([0.0, 0.02, 0.04, -0.01, 0.01, 0.03, 0.05, 0.02])
OF_COMPANY = 0.03
# Of invitations to seminars: after the first and each reminder, and without any.
OF_NOBODY = 0.01
HAZARDS, OF_CEO = (0.05, 0.04, 0.03, OF_NOBODY), 0.04


@dataclass(frozen=True)
class Effects:
    """What is added to a call's chance: by calling in the morning in business area A, by the CEO as
    sender. Message `b` adds nothing, and with `is_mixed` goes to better segments.
    """

    morning_in_a: float = 0.0
    ceo: float = 0.0
    is_mixed: bool = False


def draw_calls(random: np.random.Generator, n_companies: int, effects: Effects) -> pd.DataFrame:
    """One row per call: the columns of fct_activities that estimates read."""
    company = np.repeat(np.arange(n_companies), random.integers(1, 4, n_companies))
    of_company: dict[str, NDArray[Any]] = {
        "segment": random.integers(len(SEGMENTS), size=n_companies),
        "source": random.integers(len(SOURCES), size=n_companies),
        "area": random.integers(len(AREAS), size=n_companies),
        "ready": random.normal(0, OF_COMPANY, n_companies),
    }
    # Each area has owners of its own.
    of_company["owner"] = of_company["area"] * (N_OWNERS // 2) + random.integers(
        N_OWNERS // 2, size=n_companies
    )
    calls, person = [], np.arange(len(company))
    for attempt in range(1, MAX_ATTEMPTS + 1):
        of_call = {name: values[company] for name, values in of_company.items()}
        # Some owners call in the morning, and the CEO signs for the large.
        hour = np.where(
            random.random(len(company)) < 0.3 + 0.06 * of_call["owner"],
            random.integers(8, 12, len(company)),
            random.integers(12, 17, len(company)),
        )
        is_ceo = random.random(len(company)) < np.array([0.1, 0.2, 0.4])[of_call["segment"]]
        share_of_b = np.array([0.2, 0.5, 0.8])[of_call["segment"]] if effects.is_mixed else 0.5
        is_b = random.random(len(company)) < share_of_b
        chance = (
            OF_SEGMENT[of_call["segment"]]
            + OF_SOURCE[of_call["source"]]
            + OF_OWNER[of_call["owner"]]
            + of_call["ready"]
            + 0.01 * attempt
            + effects.morning_in_a * ((hour < 12) & (of_call["area"] == 0))
            + effects.ceo * is_ceo
        )
        is_met = random.random(len(company)) < np.clip(chance, 0.005, 0.9)
        calls.append(
            pd.DataFrame(
                {
                    "person": person,
                    "company": company,
                    **of_call,
                    "hour": hour,
                    "is_ceo": is_ceo,
                    "is_b": is_b,
                    "attempt_number": attempt,
                    "is_met": is_met,
                }
            )
        )
        goes_on = ~is_met & (random.random(len(company)) < 0.7)
        company, person = company[goes_on], person[goes_on]
    return _as_activities(pd.concat(calls, ignore_index=True), random)


def _as_activities(calls: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    n = len(calls)
    meeting = calls["person"].map("m{}".format).where(calls["is_met"], None)
    frame = pd.DataFrame(
        {
            "activity_id": [f"x{number}" for number in range(n)],
            "type": "call",
            "person_id": calls["person"].map("contact:{}".format),
            "account_id": calls["company"].map("a{}".format),
            "owner_id": calls["owner"].map("s{}".format),
            "seller_id": calls["owner"].map("s{}".format),
            "sender_id": np.where(calls["is_ceo"], "ceo", "seller"),
            "message_variant": np.where(calls["is_b"], "b", "a"),
            "local_hour": calls["hour"].astype(float),
            "daypart": np.where(calls["hour"] < 12, "morning", "afternoon"),
            "weekday": random.integers(1, 6, n),
            "attempt_number": calls["attempt_number"].astype(float),
            "segment": np.array(SEGMENTS)[calls["segment"]],
            "business_area": np.array(AREAS)[calls["area"]],
            "source": np.array(SOURCES)[calls["source"]],
            "is_at_risk": True,
            "is_followed": True,
            "held_meeting_id": meeting,
            "booked_meeting_id": meeting,
            "as_of": pd.Timestamp("2026-06-30"),
        }
    )
    campaign = [f"k{number}" for number in random.integers(N_CAMPAIGNS, size=n)]
    return frame.assign(reminder_no=None, campaign_id=campaign)


def draw_invitations(random: np.random.Generator, n_companies: int) -> pd.DataFrame:
    """One row per mail to four seminars: the columns of fct_invitations that estimates read.

    In the week after each mail HAZARDS of those who have not signed up do, the CEO as the first
    one's sender adding OF_CEO; after the third reminder no more than without any (OF_NOBODY).
    Companies differ in how ready they are, and the CEO signs for the ready segments.
    """
    company = np.repeat(np.arange(n_companies), random.integers(1, 4, n_companies))
    ready = random.normal(0, 0.01, n_companies)[company]
    segment = random.integers(len(SEGMENTS), size=n_companies)[company]
    campaign = random.integers(4, size=len(company))
    is_ceo = random.random(len(company)) < np.array([0.1, 0.3, 0.6])[segment]
    person, mails = np.arange(len(company)), []
    for number, hazard in enumerate(HAZARDS):
        chance = hazard + ready[person] + 0.02 * segment[person]
        chance = chance + OF_CEO * (is_ceo[person] & (number == 0))
        is_in = random.random(len(person)) < np.clip(chance, 0.0, 0.9)
        mails.append(pd.DataFrame({"person": person, "reminder_no": number, "is_in": is_in}))
        person = person[~is_in]
    sent = pd.concat(mails, ignore_index=True)
    who = sent["person"].to_numpy()
    signer = np.where(is_ceo[who] & (sent["reminder_no"] == 0), "ceo", "seller")
    return pd.DataFrame(
        {
            "activity_id": [f"i{n}" for n in range(len(sent))],
            "type": "email",
            "person_id": sent["person"].map("contact:{}".format),
            "account_id": [f"a{n}" for n in company[who]],
            "owner_id": [f"s{n % N_OWNERS}" for n in company[who]],
            "seller_id": "seller",
            "sender_id": signer,
            "first_sender_id": np.where(is_ceo[who], "ceo", "seller"),
            "message_variant": "a",
            "first_message_variant": "a",
            "reminder_no": sent["reminder_no"],
            "attempt_number": sent["reminder_no"] + 1.0,
            "campaign_id": [f"k{n}" for n in campaign[who]],
            "segment": np.array(SEGMENTS)[segment[who]],
            "business_area": "A",
            "source": "web",
            "local_hour": 9.0,
            "daypart": "morning",
            "weekday": 2,
            "is_at_risk": True,
            "is_followed": True,
            "signup_id": sent["person"].map("u{}".format).where(sent["is_in"], None),
            "as_of": pd.Timestamp("2026-06-30"),
        }
    )
