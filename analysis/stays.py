"""Stays of deals in open stages, as codes, and the same as they stood on an earlier day.

Belongs here: what is read of fct_stage_stays, states and what leads from one to another.
Does not belong here: rates (renewal), forecasts.
"""

from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.entries import Codes
from analysis.intervals import Floats, Integers
from analysis.selling_days import Days

COLUMNS = (
    "journey_id", "visit_number", "account_id", "is_renewal", "pipeline_id", "stage_id",
    "role", "stage_rank", "seller_id", "segment", "cast(amount_base as double) as amount",
    "entered_on", "is_arrival", "followed_from_on", "followed_until_on", "left_on", "how_ended",
    "next_pipeline_id", "next_stage_id", "next_stage_rank", "left_seller_id",
    "cast(left_amount_base as double) as left_amount",
)  # fmt: skip
ORDER = ("journey_id", "visit_number")

# How a stay ends other than in another state.
OPEN, WON, LOST, REMOVED = -1, -2, -3, -4
_ENDS = {"won": WON, "lost": LOST, "removed": REMOVED}
# Customer groups of fewer deals are no class of their own.
MIN_OF_CLASS = 40
FAR = np.datetime64("2200-01-01")


@dataclass(frozen=True)
class Stays:
    """Stays in order of deal and time, arrays of the same length.

    `state` and `to` number `states` (pipeline and stage; no stage: it is not known), whose place in
    the pipeline is `rank`, as it was last (0: not known), and part of the journey `role`. `to` is
    OPEN, WON, LOST or REMOVED where the stay leads to none. `entered`, `left` (FAR while it lasts),
    `since` and `until` (followed; nat: never) are days. `kind` numbers classes of deals alike:
    renewals or not, by segment where there are MIN_OF_CLASS.
    """

    as_of: np.datetime64
    states: tuple[tuple[str, str | None], ...]
    classes: tuple[tuple[bool, str | None], ...]
    journey: Integers
    account: Integers
    state: Integers
    to: Integers
    entered: Days
    left: Days
    since: Days
    until: Days
    kind: Integers
    rank: Floats
    role: tuple[str | None, ...]
    is_arrival: NDArray[np.bool_]
    is_forward: NDArray[np.bool_]
    seller: Codes
    segment: Codes
    left_seller: Codes
    amount: Floats
    left_amount: Floats
    journeys: NDArray[Any]

    @classmethod
    def of(cls, frame: pd.DataFrame, as_of: date) -> "Stays":
        """Of fct_stage_stays, COLUMNS in ORDER, as of a day."""
        frame = _without_useless_stages(frame)
        pipeline, next_pipeline = _codes(frame["pipeline_id"], frame["next_pipeline_id"])
        stage, next_stage = _codes(frame["stage_id"], frame["next_stage_id"])
        (how,) = _codes(frame["how_ended"])
        moved_on = (how.values == "open")[how.codes]
        n_stages = len(stage.values)
        here = pipeline.codes * n_stages + stage.codes
        there = next_pipeline.codes * n_stages + next_stage.codes
        codes, pairs = pd.factorize(np.concatenate([here, there[moved_on]]))
        to = np.array([_ENDS.get(value, OPEN) for value in how.values])[how.codes]
        to[moved_on] = codes[len(frame) :]
        rank, next_rank = (
            frame[name].to_numpy(float, na_value=np.nan)
            for name in ("stage_rank", "next_stage_rank")
        )
        is_same = (pipeline.codes == next_pipeline.codes) & (pipeline.codes > 0)
        journey, journeys = pd.factorize(frame["journey_id"])
        account, _ = pd.factorize(frame["account_id"])
        (segment,) = _codes(frame["segment"])
        seller, left_seller = _codes(frame["seller_id"], frame["left_seller_id"])
        kind, classes = _classes(frame, segment)
        days = {
            name: frame[name].to_numpy("datetime64[D]")
            for name in ("entered_on", "left_on", "followed_from_on", "followed_until_on")
        }
        return cls(
            as_of=np.datetime64(as_of, "D"),
            states=tuple(zip(pipeline.values[pairs // n_stages], stage.values[pairs % n_stages],
                             strict=True)),
            classes=classes,
            journey=journey,
            account=np.where(account >= 0, account, account.max(initial=0) + 1 + journey),
            state=codes[: len(frame)],
            to=to,
            entered=days["entered_on"],
            left=np.where(np.isnat(days["left_on"]), FAR, days["left_on"]),
            since=days["followed_from_on"],
            until=days["followed_until_on"],
            kind=kind,
            role=_roles(codes[: len(frame)], frame["role"], len(pairs)),
            rank=_ranks(codes[: len(frame)], rank, days["entered_on"], len(pairs)),
            is_arrival=frame["is_arrival"].to_numpy(bool),
            is_forward=(to == WON) | (moved_on & is_same & (next_rank > rank)),
            seller=seller,
            segment=segment,
            left_seller=left_seller,
            amount=frame["amount"].to_numpy(float),
            left_amount=frame["left_amount"].to_numpy(float),
            journeys=np.asarray(journeys, dtype=object),
        )  # fmt: skip

    def at(self, day: np.datetime64) -> "Stays":
        """As they stood at the end of `day`: what came later has not happened."""
        known = self.take(self.entered <= day)
        is_later = known.left > day
        since = np.where(known.since <= day, known.since, np.datetime64("NaT"))
        return replace(
            known,
            as_of=day,
            to=np.where(is_later, OPEN, known.to),
            left=np.where(is_later, FAR, known.left),
            since=since,
            until=np.minimum(known.until, day),
            is_forward=known.is_forward & ~is_later,
            left_amount=np.where(is_later, np.nan, known.left_amount),
        )

    def open_at(self, day: np.datetime64) -> Integers:
        """Those that stood open at the end of `day`: what `at` of the day has as open."""
        return np.flatnonzero((self.entered <= day) & ((self.left > day) | self.is_open))

    def take(self, rows: Any) -> "Stays":
        """Some of them, all numbers as they were."""
        names = ("journey", "account", "state", "to", "entered", "left", "since", "until", "kind",
                 "is_arrival", "is_forward", "seller", "segment", "left_seller", "amount",
                 "left_amount")  # fmt: skip
        return replace(self, **{name: getattr(self, name)[rows] for name in names})

    @cached_property
    def moved_on(self) -> Days:
        """The day of every move."""
        return np.concatenate([self.entered, self.left[self.left <= self.as_of]])

    @cached_property
    def is_open(self) -> NDArray[np.bool_]:
        return np.asarray(self.to == OPEN)

    @cached_property
    def wins(self) -> NDArray[np.int64]:
        return np.flatnonzero(self.to == WON)

    @cached_property
    def wins_by_day(self) -> tuple[Integers, Days]:
        """The order of `wins` by the days of their moves, and those days in it."""
        order = np.argsort(self.left[self.wins], kind="stable")
        return order, self.left[self.wins][order]

    @cached_property
    def first_day(self) -> np.datetime64:
        """The day of the first entry; that of the stays themselves without one."""
        return min(self.as_of, self.entered.min()) if len(self.entered) else self.as_of

    @cached_property
    def came_back(self) -> Days:
        """Of each of `wins`, the day that its deal came into a stage again; FAR: never."""
        following = np.minimum(self.wins + 1, max(len(self.journey) - 1, 0))
        is_same = (following > self.wins) & (self.journey[following] == self.journey[self.wins])
        return np.where(is_same, self.entered[following], FAR)


def is_of(
    stays: Stays, rows: Integers, scope: str, scope_id: str | None, has_left: bool = False
) -> NDArray[np.bool_]:
    """Which of `rows` are of a company, segment or seller: the owner when the stay began or, if
    `has_left`, when it ended.
    """
    if scope == "company":
        return np.ones(len(rows), dtype=bool)
    by_owner = stays.left_seller if has_left else stays.seller
    codes = stays.segment if scope == "segment" else by_owner
    values = [None if value is None else str(value) for value in codes.values]
    wanted = values.index(scope_id) if scope_id in values else -1
    return np.asarray(codes.codes[rows] == wanted)


def won_between(
    stays: Stays, start: np.datetime64, end: np.datetime64, by: np.datetime64 | None = None
) -> tuple[Integers, Floats]:
    """Stays won on these days, of deals that have not come back since, as known `by` a day (none:
    of `stays`); and their amounts.
    """
    order, days = stays.wins_by_day
    first, after = np.searchsorted(days, start), np.searchsorted(days, end, side="right")
    places = np.sort(order[first:after])
    rows = stays.wins[places[stays.came_back[places] > (by or stays.as_of)]]
    return rows, stays.left_amount[rows]


def _ranks(state: Integers, rank: Floats, entered: Days, n_states: int) -> Floats:
    """The place of each state when it was last entered."""
    found = np.zeros(n_states)
    order = np.argsort(entered, kind="stable")
    found[state[order]] = np.nan_to_num(rank[order])
    return found


def _roles(state: Integers, role: "pd.Series[Any]", n_states: int) -> tuple[str | None, ...]:
    """The role of each state: the first that is known."""
    (roles,) = _codes(role)
    known = np.flatnonzero(roles.codes)[::-1]
    found = np.zeros(n_states, dtype=np.int64)
    # Of several, what is assigned last stays.
    found[state[known]] = roles.codes[known]
    return tuple(roles.values[found])


def _codes(*columns: "pd.Series[Any]") -> list[Codes]:
    """The columns of texts as codes into the same values."""
    own = [Codes.of(column) for column in columns]
    found = sorted({value for codes in own for value in codes.values[1:]})
    values = np.array([None, *found], dtype=object)
    place = {value: number for number, value in enumerate(values)}
    return [
        Codes(np.array([place[value] for value in codes.values])[codes.codes], values)
        for codes in own
    ]


def _classes(
    frame: pd.DataFrame, segment: Codes
) -> tuple[Integers, tuple[tuple[bool, str | None], ...]]:
    """The class of each deal: renewal or not, and the segment if enough deals are of both."""
    cell = segment.codes * 2 + frame["is_renewal"].to_numpy(bool)
    n_cells = 2 * len(segment.values)
    n = np.bincount(cell[frame["is_arrival"].to_numpy(bool)], minlength=n_cells)
    # Others go with those of no segment, which come first.
    kept = np.where(n >= MIN_OF_CLASS, np.arange(n_cells), np.arange(n_cells) % 2)
    codes, kinds = pd.factorize(kept[cell])
    return codes, tuple((bool(kind % 2), segment.values[kind // 2]) for kind in kinds)


def _without_useless_stages(frame: pd.DataFrame) -> pd.DataFrame:
    """Where most deals won were never seen in a stage, each way through the pipeline as one stay.

    Exports without a history name the stage of open deals alone: nobody was ever seen to leave it.
    """
    won = (frame["how_ended"] == "won").to_numpy(bool)
    is_seen = frame["stage_id"].notna()[won]
    share = is_seen.groupby(frame["pipeline_id"][won].astype(object)).mean()
    useless = frame["pipeline_id"].isin(share.index[share < 0.5]).to_numpy(bool)
    if not useless.any():
        return frame
    rest, together = frame[~useless], frame[useless]
    begins = together["is_arrival"].to_numpy(bool) | ~together["journey_id"].astype(object).eq(
        together["journey_id"].astype(object).shift()
    ).to_numpy(bool)
    begins |= ~together["pipeline_id"].astype(object).eq(
        together["pipeline_id"].astype(object).shift()
    ).to_numpy(bool)
    attempt = np.cumsum(begins)
    first, last = together.groupby(attempt).head(1), together.groupby(attempt).tail(1)
    first = first.assign(stage_id=None, stage_rank=1.0)
    for name in ("left_on", "how_ended", "next_pipeline_id", "next_stage_id", "next_stage_rank",
                 "left_seller_id", "left_amount", "followed_until_on"):  # fmt: skip
        first[name] = last[name].to_numpy()
    every = pd.concat([rest.astype({"stage_id": object}), first], ignore_index=True)
    return every.sort_values(list(ORDER), kind="stable", ignore_index=True)
