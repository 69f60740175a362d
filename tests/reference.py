"""The ledger in plain Python, written from the definitions in docs/metrics.md and the column docs.

Belongs here: one deal at a time, loops and dictionaries, nothing clever: what the SQL is held
against. Does not belong here: reading files; it takes the landed rows.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

Row = dict[str, Any]
BEGINNING = datetime(1900, 1, 1)


@dataclass
class Run:
    as_of_at: datetime
    zone: str = "Europe/Stockholm"
    currency: str = "SEK"
    grace_seconds: int = 3600
    bulk_deals: int = 5

    def day(self, at: datetime) -> date:
        return at.replace(tzinfo=ZoneInfo("UTC")).astimezone(ZoneInfo(self.zone)).date()


@dataclass
class Event:
    """Something a source says of one lead or deal; `stage` is None for a removal."""

    at: datetime
    record: str
    pipeline: str | None
    stage: str | None
    fidelity: str
    rank: int
    recorded: datetime | None
    known: datetime
    earliest: datetime | None = None
    order: tuple[int, ...] | None = None
    removal: str | None = None
    is_tie: bool = False
    is_bulk: bool = False
    is_inferred: bool = False
    is_current_close: bool = False


@dataclass
class Book:
    """The stages and what they were on a day."""

    rows: list[Row]
    versions: dict[tuple[str, str], list[Row]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for row in self.rows:
            self.versions.setdefault((row["pipeline_id"], row["stage_id"]), []).append(row)
        for rows in self.versions.values():
            rows.sort(key=lambda r: r["valid_from"] or date(1900, 1, 1))

    def on(self, pipeline: str | None, stage: str | None, day: date) -> Row | None:
        versions = self.versions.get((pipeline or "", stage or ""))
        if not versions:
            return None
        begun = [v for v in versions if (v["valid_from"] or date(1900, 1, 1)) <= day]
        return begun[-1] if begun else versions[0]

    def rank(self, pipeline: str, stage: str, day: date) -> int | None:
        row = self.on(pipeline, stage, day)
        if row is None or row["kind"] == "lost":
            return None
        before = set()
        for other_pipeline, other in self.versions:
            version = self.on(other_pipeline, other, day)
            if other_pipeline != pipeline or version is None or version["kind"] != "open":
                continue
            begins, ends = version["valid_from"] or date(1900, 1, 1), version["valid_to"]
            if begins <= day and (ends is None or day <= ends):
                before.add(version["position"])
        if row["kind"] == "open":
            before = {position for position in before if position < row["position"]}
        return len(before) + 1

    def kind(self, pipeline: str | None, stage: str | None, day: date) -> str | None:
        row = self.on(pipeline, stage, day)
        return row["kind"] if row else None

    def closing(self, pipeline: str | None, kind: str) -> str | None:
        found = [
            s
            for (p, s), rows in self.versions.items()
            if p == pipeline and rows[-1]["kind"] == kind
        ]
        return min(found, default=None)

    def only_pipeline(self, stage: str | None) -> str | None:
        pipelines = {p for p, s in self.versions if s == stage}
        return pipelines.pop() if len(pipelines) == 1 else None

    def start(self, pipeline: str | None, day: date) -> str | None:
        """The stage that the company declares the pipeline's deals to start in."""
        found = [
            s
            for p, s in self.versions
            if p == pipeline
            and self.kind(p, s, day) == "open"
            and self.on(p, s, day)["is_start"]
            and self._in_force(p, s, day)
        ]
        return min(found, default=None)

    def _in_force(self, pipeline: str, stage: str, day: date) -> bool:
        row = self.on(pipeline, stage, day)
        assert row is not None
        begun = (row["valid_from"] or date(1900, 1, 1)) <= day
        return begun and (row["valid_to"] is None or day <= row["valid_to"])


class Reference:
    """The ledger of one set of landed tables."""

    def __init__(self, tables: dict[str, list[Row]], run: Run) -> None:
        self.run = run
        seen: dict[str, list[Row]] = defaultdict(list)
        for sighting in tables.pop("sightings"):
            seen[sighting["load_id"]].append(sighting)
        known = {
            name: [
                row
                for landed in rows
                for row in self._seen(landed, seen[landed["load_id"]])
                if row["known_at"] <= run.as_of_at
            ]
            for name, rows in tables.items()
        }
        self.today = run.day(run.as_of_at)
        self.book = Book(known.get("stages", []))
        self.names = self._names(known.get("sellers", []))
        self.aliases = self._aliases(self.names)
        self.deals = self._versions(known.get("deals", []), "deal_id")
        self.leads = self._versions(known.get("leads", []), "lead_id")
        self.accounts = self._versions(known.get("accounts", []), "account_id")
        self.changes: dict[str, list[Row]] = defaultdict(list)
        for row in self._distinct_changes(known.get("deal_changes", [])):
            self.changes[row["deal_id"]].append(row)
        self.bulk = self._bulk_edits()
        self.merges = self._merges(known.get("deal_merges", []))
        self.complete = {
            "deal": self._complete(known.get("deals", []), "deal_id"),
            "lead": self._complete(known.get("leads", []), "lead_id"),
        }

    # --- inputs ----------------------------------------------------------------------------------

    @staticmethod
    def _names(sellers: list[Row]) -> dict[str | None, str]:
        """The folded name of each seller, with its system; empty where it has none."""
        latest = {row["seller_id"]: row for row in sorted(sellers, key=lambda r: r["known_at"])}
        return {
            seller_id: f"{seller_id.split(':')[0]}:{row['name']}".lower() if row["name"] else ""
            for seller_id, row in latest.items()
        }

    @staticmethod
    def _aliases(names: dict[str | None, str]) -> dict[str | None, str | None]:
        called = defaultdict(set)
        for seller_id, name in names.items():
            if name:
                called[name].add(seller_id)
        found = {name: min(ids) if len(ids) == 1 else None for name, ids in called.items()}
        return {**found, **{seller_id: seller_id for seller_id in names}}

    @staticmethod
    def _seen(row: Row, sightings: list[Row]) -> list[Row]:
        """A landed row once for each time that its file was seen."""
        if not sightings:
            return [{**row, "made": 0}]
        return [
            {**row, "known_at": s["known_at"] or row["known_at"], "made": s["made_number"]}
            for s in sightings
        ]

    def _versions(self, rows: list[Row], key: str) -> dict[str, list[Row]]:
        """Per id one row per moment, in the order of the exports.

        What a file has no column for is as it was before; where a record began, when and out of
        what is told by any of them. A stage of one pipeline alone tells the deal's pipeline.
        """
        told: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            only = self.book.only_pipeline(row.get("stage_id")) if key == "deal_id" else None
            if only and "pipeline_id" not in row["stated_columns"].split():
                stated = f"{row['stated_columns']} pipeline_id"
                row = {**row, "pipeline_id": only, "stated_columns": stated}
            told[row[key]].append(row)
        found: dict[str, dict[datetime, Row]] = defaultdict(dict)
        for identity, versions in told.items():
            versions.sort(key=lambda r: (r["known_at"], r["made"], r["record_number"]))
            last: Row = {}
            for i, row in enumerate(versions):
                kept = dict(row)
                for name in set(row) - {"stage_id", "status", "closed_at", "is_deleted"}:
                    if name in row["stated_columns"].split():
                        last[name] = row[name]
                    elif name in last:
                        kept[name] = last[name]
                    elif name in ("lead_id", "pipeline_id", "created_at"):
                        later = [
                            v[name] for v in versions[i:] if name in v["stated_columns"].split()
                        ]
                        kept[name] = later[0] if later else row[name]
                found[identity][row["known_at"]] = kept
        return {k: [v[at] for at in sorted(v)] for k, v in found.items()}

    @staticmethod
    def _distinct_changes(rows: list[Row]) -> list[Row]:
        found: dict[tuple[Any, ...], Row] = {}
        for row in rows:
            identity = tuple(
                v
                for k, v in row.items()
                if k
                not in (
                    "known_at",
                    "load_id",
                    "record_number",
                    "is_complete",
                    "stated_columns",
                    "made",
                )
            )
            kept = found.setdefault(
                identity, {**row, "first": row["known_at"], "last": row["known_at"]}
            )
            kept["first"] = min(kept["first"], row["known_at"])
            kept["last"] = max(kept["last"], row["known_at"])
        return list(found.values())

    def _bulk_edits(self) -> set[tuple[str, str, datetime]]:
        deals = defaultdict(set)
        for deal_id, rows in self.changes.items():
            for row in rows:
                if row["fidelity"] == "event_log" and row["changed_by"]:
                    second = row["occurred_at"].replace(microsecond=0)
                    deals[row["field"], row["changed_by"], second].add(deal_id)
        return {key for key, ids in deals.items() if len(ids) >= self.run.bulk_deals}

    def _merges(self, rows: list[Row]) -> dict[str, Row]:
        latest: dict[str, Row] = {}
        for row in sorted(rows, key=lambda r: r["known_at"]):
            first = latest[row["deal_id"]]["first"] if row["deal_id"] in latest else row["known_at"]
            latest[row["deal_id"]] = {**row, "first": first}
        found = {}
        for deal_id, row in latest.items():
            seen, end = {deal_id}, row["merged_into_deal_id"]
            while end in latest and end not in seen:
                seen.add(end)
                end = latest[end]["merged_into_deal_id"]
            if end not in latest:
                found[deal_id] = {**row, "survivor": end}
        return found

    @staticmethod
    def _complete(rows: list[Row], key: str) -> dict[str, list[datetime]]:
        found: dict[str, set[datetime]] = defaultdict(set)
        for row in rows:
            if row["is_complete"]:
                found[row[key].split(":")[0]].add(row["known_at"])
        return {system: sorted(times) for system, times in found.items()}

    # --- one deal --------------------------------------------------------------------------------

    def stands(self, row: Row) -> tuple[str | None, str | None]:
        """Pipeline and stage an exported deal stands in; a closed one in a closing stage."""
        pipeline = row["pipeline_id"] or self.book.only_pipeline(row["stage_id"])
        stage, status = row["stage_id"], row.get("status")
        if status in ("won", "lost"):
            kind = self.book.kind(pipeline, stage, self.today) or "open"
            if kind != status:
                stage = self.book.closing(pipeline, status) or f"{pipeline or ''}:{status}"
        return pipeline, stage

    def is_created_late(self, row: Row) -> bool:
        """Closed on an earlier day than created: the creation tells of no beginning."""
        pipeline, stage = self.stands(row)
        is_closed = self.book.kind(pipeline, stage, self.today) in ("won", "lost")
        is_closed = is_closed or row.get("status") in ("won", "lost")
        closed, created = row.get("closed_at"), row["created_at"]
        if not is_closed or closed is None or created is None or closed > row["known_at"]:
            return False
        return self.run.day(closed) < self.run.day(created)

    def closed_from(self, row: Row) -> str | None:
        """The open stage that stands beside a won or lost status."""
        pipeline = self.stands(row)[0]
        is_open = self.book.kind(pipeline, row["stage_id"], self.today) == "open"
        return row["stage_id"] if is_open and row.get("status") in ("won", "lost") else None

    def log_until(self, deal_id: str) -> datetime | None:
        times = [r["last"] for r in self.changes[deal_id] if r["fidelity"] == "event_log"]
        return max(times, default=None)

    def ordered(self, rows: list[Row]) -> list[tuple[Row, tuple[int, ...], bool]]:
        """Changes of one field in order, with a number that ties share and whether it is a tie.

        Within a second the CRM's own order decides; without one, changes from a value that no
        other of them leads to come first, those to a value that none leaves from come last.
        """
        instants = defaultdict(list)
        for row in rows:
            instants[row["occurred_at"]].append(row)
        found: list[tuple[Row, tuple[int, ...], bool]] = []
        for number, at in enumerate(sorted(instants)):
            group = instants[at]
            entered = {r["new_value"] for r in group} - {None}
            left = {r["old_value"] for r in group} - {None}
            places = defaultdict(list)
            for row in group:
                turn = (row["old_value"] in entered, row["new_value"] not in left)
                places[row["sequence"] or 0, *turn].append(row)
            for i, place in enumerate(sorted(places)):
                tied = sorted(
                    places[place], key=lambda r: (r["new_value"] or "", r["pipeline_id"] or "")
                )
                is_tie = (
                    len({r["new_value"] for r in tied}) > 1
                    or len({r["pipeline_id"] for r in tied} - {None}) > 1
                )
                found += [(row, (number, i), is_tie) for row in tied]
        return found

    def in_force(self, history: list[tuple[datetime, Any]], at: datetime) -> Any:
        values = [value for begins, value in history if begins <= at]
        return values[-1] if values else None

    def log(self, deal_id: str, name: str, fidelity: str = "event_log") -> list[Row]:
        rows = self.changes[deal_id]
        return [r for r in rows if r["field"] == name and r["fidelity"] == fidelity]

    def history(self, deal_id: str, name: str) -> list[tuple[datetime, Any]]:
        """What a field of a deal was, from when."""
        log = [
            r for r in self.changes[deal_id] if r["field"] == name and r["fidelity"] == "event_log"
        ]
        found: list[tuple[datetime, Any]] = []
        created = self.deals[deal_id][-1]["created_at"] if deal_id in self.deals else None
        for i, (row, _, _) in enumerate(self.ordered(log)):
            begins = row["occurred_at"]
            if i == 0 and row["old_value"] is not None:
                found.append((BEGINNING, row["old_value"]))
            elif i == 0 and (created is None or (begins - created) < timedelta(seconds=60)):
                begins = BEGINNING
            found.append((begins, row["new_value"]))
        until = self.log_until(deal_id) if log else None
        shown = [(r["known_at"], r[name]) for r in self.deals.get(deal_id, [])]
        return self.aliased(name, [*found, *self._shown(shown, until)])

    def _shown(
        self, shown: list[tuple[datetime, Any]], until: datetime | None
    ) -> list[tuple[datetime, Any]]:
        """From the first value on; the very first, where no log knows better, always was."""
        while shown and shown[0][1] is None:
            shown = shown[1:]
        if until is None:
            return [(BEGINNING if i == 0 else at, value) for i, (at, value) in enumerate(shown)]
        return [(at, value) for at, value in shown if at > until]

    def aliased(self, name: str, history: list[tuple[datetime, Any]]) -> list[tuple[datetime, Any]]:
        history.sort(key=lambda pair: pair[0])
        if name != "seller_id":
            return history
        found: list[tuple[datetime, Any]] = []
        known = None
        for at, value in history:
            seller = self._seller(value)
            if value is not None and seller is None:
                # A name that two share: it stays with the one who has it.
                seller = known if self.names.get(known) == value.lower() else None
            else:
                known = seller
            found.append((at, seller))
        return found

    def _seller(self, value: str | None) -> str | None:
        """Whom an id or a name in any spelling means; a name that two share means nobody."""
        return self.aliases.get(value, self.aliases.get((value or "").lower(), value))

    # --- claims of one record --------------------------------------------------------------------

    def logged(self, deal_id: str) -> list[Event]:
        pipelines = self.history(deal_id, "pipeline_id")
        named: str | None = None
        found = []
        for fidelity, rank in (("event_log", 1), ("latest_per_stage", 2)):
            names = ("stage_id", "status") if rank == 1 else ("stage_id",)
            rows = []
            for position, name in enumerate(names):
                changes = [
                    r
                    for r in self.changes[deal_id]
                    if r["field"] == name and r["fidelity"] == fidelity
                ]
                ordered = self.ordered(changes)
                rows += [(r["occurred_at"], position, o, t, r) for r, o, t in ordered]
            rows.sort(key=lambda r: (r[0], r[1], r[2], r[4]["new_value"] or ""))
            firsts = [r[4] for r in rows if r[1] == 0]
            stage = firsts[0]["old_value"] if firsts else None
            status = named = None
            for at, position, order, tie, row in rows:
                if position == 0:
                    stage, named = row["new_value"], row["pipeline_id"]
                else:
                    status = (row["new_value"] or "").lower() or None
                pipeline = named or self.in_force(pipelines, at)
                entered = stage
                if (
                    status in ("won", "lost")
                    and (self.book.kind(pipeline, stage, self.today) or "open") != status
                ):
                    entered = self.book.closing(pipeline, status) or stage
                if entered is None:
                    continue
                second = at.replace(microsecond=0)
                bulk = rank == 1 and (
                    row["change_source"] == "bulk"
                    or (row["field"], row["changed_by"], second) in self.bulk
                )
                found.append(
                    Event(
                        at, "deal", self.book.only_pipeline(entered) or pipeline, entered, fidelity,
                        rank, row["recorded_at"], row["first"],
                        order=order if rank == 1 and position == 0 else None,
                        is_tie=tie, is_bulk=bulk,
                    )
                )  # fmt: skip
        return found

    def observed(self, record: str, versions: list[Row]) -> list[Event]:
        found, previous = [], None
        converted = versions[-1]["converted_at"] if record == "lead" else None
        if converted and versions[-1]["created_at"]:
            converted = max(converted, versions[-1]["created_at"])
        earlier: list[tuple[datetime, str | None, str]] = []
        staged = [(row, *self.stands(row)) for row in versions]
        last = staged[-1][0] if staged else None
        for row, pipeline, stage in staged:
            if stage is None:
                continue
            at = row["known_at"]
            left = self.closed_from(row)
            if left and (
                previous is None
                or previous[1] != pipeline
                or (previous[2] != left and previous[2] != stage)
            ):
                close = self._observation(record, row, pipeline, stage, earlier, row is last)
                begun = None if self.is_created_late(row) else row["created_at"]
                earliest = previous[0] if previous else begun if begun and begun <= at else None
                where = self.book.only_pipeline(left) or pipeline
                found.append(
                    Event(close.at, record, where, left, "snapshot_diff", 3, at, at, earliest)
                )
            is_new = previous is None or previous[1:] != (pipeline, stage)
            late = converted is not None and at > converted
            if late and previous is not None and previous[0] > converted:
                pass
            elif (is_new or row is last) and late:
                event = self._observation(record, row, pipeline, stage, earlier, row is last)
                event.at = converted
                if event.earliest and event.earliest > converted:
                    event.earliest = None
                found.append(event)
            elif is_new or row is last:
                found.append(self._observation(record, row, pipeline, stage, earlier, row is last))
            previous = (at, pipeline, stage)
            earlier.append(previous)
        return found

    def _observation(
        self,
        record: str,
        row: Row,
        pipeline: str | None,
        stage: str,
        earlier: list[tuple[datetime, str | None, str]],
        is_last: bool,
    ) -> Event:
        at, closed, created = row["known_at"], row.get("closed_at"), row["created_at"]
        is_close = self.book.kind(pipeline, stage, self.today) in ("won", "lost")
        where = self.book.only_pipeline(stage) or pipeline
        if is_close and closed is not None and closed <= at:
            close = closed
            if created is not None and created <= at and not self.is_created_late(row):
                close = max(close, created)
            # Not while an export still showed it elsewhere.
            elsewhere = [seen for seen, *place in earlier if place != [pipeline, stage]]
            close = max([close, *elsewhere])
            return Event(
                close, record, where, stage, "created_closed", 3, at, at,
                is_current_close=is_last, is_inferred=close > closed,
            )  # fmt: skip
        begun = created if created and created <= at else None
        earliest = earlier[-1][0] if earlier else begun
        return Event(
            at, record, where, stage, "snapshot_diff", 3, at, at, earliest=earliest,
            is_current_close=is_last and is_close,
        )  # fmt: skip

    def created(self, record: str, versions: list[Row], key: str, lead: str | None) -> list[Event]:
        row = versions[-1]
        if row["created_at"] is None or self.is_created_late(row):
            return []
        grown_from = self.leads.get(lead or "") if record == "deal" else None
        if grown_from and grown_from[-1]["pipeline_id"] == self.stands(row)[0]:
            return []
        shown = [v for v in versions if self.stands(v)[1] is not None]
        seen = self.stands(shown[0])[1] if shown else None
        pipeline = self.stands(versions[0])[0] or versions[0]["pipeline_id"]
        pipeline = self.book.only_pipeline(seen) or pipeline
        stage = self.book.start(pipeline, self.run.day(row["created_at"]))
        fidelity = "declared" if stage else "created_closed"
        log = self.log(key, "stage_id") if record == "deal" else []
        left = self.ordered(log)[0][0] if log else None
        if (
            left
            and left["old_value"] is not None
            and (
                not shown
                or shown[0]["known_at"] >= left["occurred_at"]
                or seen == left["old_value"]
            )
        ):
            fidelity, stage = "event_log", left["old_value"]
        where = self.book.only_pipeline(stage) or pipeline
        at = row["created_at"]
        return [Event(at, record, where, stage, fidelity, 4, at, versions[0]["known_at"])]

    def chosen(
        self, claims: list[Event], log_until: datetime | None, created: datetime | None
    ) -> list[Event]:
        """The best source for the time it covers, the others before and after."""
        claims = [c for c in claims if c.at <= self.run.as_of_at]
        kept = []
        opened = min(
            (
                c.at
                for c in claims
                if c.rank < 3
                and self.book.kind(c.pipeline, c.stage, self.today) not in ("won", "lost")
            ),
            default=datetime.max,
        )
        logged = max((c.at for c in claims if c.rank < 3), default=None)
        for claim in claims:
            if claim.is_current_close and logged and claim.at < logged:
                claim.at, claim.is_inferred = logged, True
        for claim in claims:
            better = [c.at for c in claims if c.rank < claim.rank]
            if not better:
                kept.append(claim)
                continue
            first, last = min(better), max(better)
            assert claim.recorded is not None or claim.rank < 3
            newer = log_until is None or (claim.recorded is not None and claim.recorded > log_until)
            if (
                (claim.is_current_close and claim.at >= last)
                or (claim.rank < 4 and claim.at > last and newer)
                or (claim.rank < 4 and claim.at < first)
                or (claim.rank == 4 and claim.at <= first and opened > first)
                or (claim.fidelity == "declared" and self.run.day(claim.at) < self.run.day(first))
                or (
                    claim.rank == 4
                    and claim.fidelity == "event_log"
                    and first - claim.at >= timedelta(seconds=60)
                )
            ):
                kept.append(claim)
        begun = min((c.at for c in kept), default=None)
        for claim in kept:
            is_first = claim.at == begun and claim.rank < 3
            if is_first and created and claim.at - created > timedelta(days=1):
                claim.earliest = created
        return kept

    def removals(self, record: str, versions: list[Row], key: str) -> list[Event]:
        """Deleted where marked, or where a complete export no longer names it."""
        complete = self.complete[record].get(key.split(":")[0], [])
        found, gone, previous = [], False, None
        for i, row in enumerate(versions):
            at = row["known_at"]
            if row["is_deleted"] and not (previous is not None and versions[i - 1]["is_deleted"]):
                found.append(self._removal(record, "delete", at, previous))
            was_removed = previous is not None and (gone or versions[i - 1]["is_deleted"])
            if was_removed and not row["is_deleted"]:
                found.append(self._removal(record, "restore", at, previous))
            following = versions[i + 1]["known_at"] if i + 1 < len(versions) else datetime.max
            missing = [c for c in complete if at < c < following]
            gone = bool(missing)
            if missing and not row["is_deleted"]:
                found.append(self._removal(record, "delete", missing[0], at))
            previous = at
        return found

    @staticmethod
    def _removal(record: str, what: str, at: datetime, earliest: datetime | None) -> Event:
        return Event(at, record, None, None, "snapshot_diff", 3, at, at, earliest, removal=what)

    # --- journeys --------------------------------------------------------------------------------

    def journeys(self) -> list[Row]:
        links = set()
        for deal_id, versions in self.deals.items():
            if versions[-1]["lead_id"]:
                links.add((deal_id, versions[-1]["lead_id"]))
        for lead_id, versions in self.leads.items():
            if versions[-1]["converted_deal_id"] in self.deals:
                links.add((versions[-1]["converted_deal_id"], lead_id))

        def converted(deal_id: str, lead_id: str) -> datetime | None:
            versions = self.leads.get(lead_id, [])
            stated = versions[-1]["converted_at"] if versions else None
            return stated or first_told(lead_id) or self.deals[deal_id][-1]["created_at"]

        def first_told(lead_id: str) -> datetime | None:
            told = [
                v["known_at"]
                for v in self.leads.get(lead_id, [])
                if v["converted_deal_id"] or v["converted_at"]
            ]
            return min(told, default=None)

        def created(deal_id: str) -> datetime:
            return self.deals[deal_id][-1]["created_at"] or datetime.max

        def is_older(deal_id: str, lead_id: str) -> bool:
            lead = self.leads.get(lead_id)
            begun = lead[-1]["created_at"] if lead else None
            deal = self.deals[deal_id][-1]["created_at"]
            return bool(begun and deal) and self.run.day(deal) < self.run.day(begun)

        younger = {link for link in links if not is_older(*link)}
        first_lead = {
            deal: min(
                (lead for d, lead in younger if d == deal),
                key=lambda lead, d=deal: (converted(d, lead) or datetime.max, lead),
            )
            for deal, _ in younger
        }
        first_deal = {
            lead: min((d for d, other in younger if other == lead), key=lambda d: (created(d), d))
            for _, lead in younger
        }
        joined = {
            lead: min((d for d, other in links if other == lead), key=lambda d: (created(d), d))
            for _, lead in links
        } | first_deal
        found, paired = [], set()
        for deal_id in self.deals:
            lead = first_lead.get(deal_id)
            lead = lead if lead and first_deal[lead] == deal_id else None
            paired.add(lead)
            merge = self.merges.get(deal_id)
            at = (merge["merged_at"] or merge["first"]) if merge else None
            found.append({
                "id": deal_id, "deal": deal_id, "lead": lead, "merged_at": at,
                "into": merge["survivor"] if merge else None,
                "merge_known": merge["first"] if merge else None,
            })  # fmt: skip
        for lead_id in self.leads:
            if lead_id in paired:
                continue
            deal = joined.get(lead_id)
            told = first_told(lead_id)
            at = self.leads[lead_id][-1]["converted_at"] or told
            at = converted(deal, lead_id) if deal else at
            found.append({
                "id": f"lead:{lead_id}", "deal": None, "lead": lead_id, "merged_at": at,
                "into": deal, "merge_known": told or at,
            })  # fmt: skip
        return found

    def events(self, journey: Row) -> list[Event]:
        claims: list[Event] = []
        deal, lead = journey["deal"], journey["lead"]
        if deal:
            versions = self.deals[deal]
            said = self.logged(deal) + self.observed("deal", versions)
            said += self.created("deal", versions, deal, lead)
            claims += self.chosen(said, self.log_until(deal), versions[-1]["created_at"])
        started = min((c.at for c in claims), default=None)
        if lead in self.leads:
            versions = self.leads[lead]
            said = self.observed("lead", versions) + self.created("lead", versions, lead, None)
            for claim in self.chosen(said, None, versions[-1]["created_at"]):
                if started and claim.at > started:
                    if claim.rank != 4:
                        continue
                    claim.at, claim.is_inferred = started, True
                claims.append(claim)
        if not claims:
            return []
        last = max(c.at for c in claims)
        stated = journey["merged_at"]
        if stated and stated > self.run.as_of_at:
            stated = None
        record, key = ("deal", deal) if deal else ("lead", lead)
        versions = (self.deals if deal else self.leads)[key]
        for removal in self.removals(record, versions, key):
            if stated is None or removal.at < stated:
                claims.append(removal)
        if stated:
            at = max(stated, last)
            claims.append(
                Event(at, record, None, None, "created_closed", 3, at, journey["merge_known"],
                      removal="merge" if deal else "convert", is_inferred=at > stated)
            )  # fmt: skip
        return claims

    def in_order(self, claims: list[Event]) -> list[Event]:
        turn = {"restore": 0, None: 1, "delete": 2, "merge": 3, "convert": 3}

        def place(e: Event) -> tuple[Any, ...]:
            rank = self.book.rank(e.pipeline, e.stage, self.run.day(e.at)) if self.book.on(
                e.pipeline, e.stage, self.run.day(e.at)
            ) else None  # fmt: skip
            return (
                e.at, turn[e.removal], e.record == "deal", e.stage is not None,
                e.is_current_close, e.order is None,
                e.order or (),
                rank is None, rank or 0, e.stage or "", e.rank, e.recorded or datetime.max,
                not e.is_bulk, e.known,
            )  # fmt: skip

        kept: list[Event] = []
        standing: Event | None = None
        removed: str | None = None
        for event in sorted(claims, key=place):
            if event.removal == "restore":
                if removed == "delete" and standing:
                    event.pipeline, event.stage = standing.pipeline, standing.stage
                    kept.append(event)
                    removed = None
                continue
            if event.removal:
                if standing and not removed:
                    kept.append(event)
                    removed = event.removal
                continue
            same = standing and (standing.stage, standing.pipeline or "") == (
                event.stage, event.pipeline or ""
            )  # fmt: skip
            if not same or removed:
                kept.append(event)
            standing, removed = event, None
        return kept

    def moves(self) -> list[Row]:
        """Every move of every journey, as `fct_stage_transitions` has them."""
        found: list[Row] = []
        for journey in self.journeys():
            claims = self.events(journey)
            at_once = defaultdict(int)
            for claim in claims:
                if claim.stage is not None and claim.fidelity != "snapshot_diff":
                    at_once[claim.record, claim.at] += 1
            events = self.in_order(claims)
            moves = [
                self.move(journey, events, i, at_once[e.record, e.at] > 1)
                for i, e in enumerate(events)
            ]
            self.flag_corrections(moves, events)
            self.flag_after_wins(moves, events)
            found += moves
        return found

    def move(self, journey: Row, events: list[Event], i: int, is_crowded: bool) -> Row:
        event, before = events[i], events[i - 1] if i else None
        day = self.run.day(event.at)
        kind, moved = self.kind(event, before, i, day)
        left = before if before and before.stage else None
        return {
            "journey_id": journey["id"], "move_number": i + 1, "record_type": event.record,
            "from_stage_id": left.stage if left else None, "to_stage_id": event.stage,
            "to_pipeline_id": event.pipeline, "move_kind": kind,
            "stages_moved": moved, "occurred_at": event.at, "occurred_at_earliest": event.earliest,
            "recorded_at": event.recorded, "known_at": event.known,
            "seconds_in_from_stage": int((event.at - left.at).total_seconds()) if left else None,
            "fidelity": event.fidelity, "is_time_inferred": event.is_inferred,
            "is_bulk": event.is_bulk,
            "is_order_inferred": is_crowded and event.stage is not None
            and event.fidelity != "snapshot_diff"
            and (event.is_tie or event.order is None) and event.removal is None,
            "is_mistake": False, "is_correction": False,
            "is_conversion": event.removal == "convert"
            or (bool(before) and before.record == "lead" and event.record == "deal"),
            **self.attributes(journey, event),
        }  # fmt: skip

    def kind(self, event: Event, before: Event | None, i: int, day: date) -> tuple[str, int | None]:
        if event.removal in ("delete", "merge", "convert"):
            return event.removal, None
        now = self.book.kind(event.pipeline, event.stage, day) if event.stage else "open"
        if event.removal == "restore":
            return "restore", None
        if now is None:
            return "unknown_stage", None
        if i == 0:
            return "create", None
        assert before is not None
        if before.removal in ("delete", "merge", "convert"):
            return "restore", None
        was = "open"
        if before.stage is not None:
            was = self.book.kind(before.pipeline, before.stage, self.run.day(before.at))
        same = before.pipeline == event.pipeline
        moved = None
        if same and was == "open" and now in ("open", "won") and before.stage is not None:
            assert event.pipeline and event.stage
            to_rank = self.book.rank(event.pipeline, event.stage, day)
            moved = to_rank - self.book.rank(before.pipeline, before.stage, day)
        if now == was != "open":
            return "advance", None
        if now in ("won", "lost"):
            return now, moved
        if was == "won" and not same:
            return "pipeline_change", None
        if was in ("won", "lost"):
            return f"reopen_after_{was}", None
        if not same:
            return "pipeline_change", None
        if before.stage is None:
            return "first_seen", None
        return ("skip" if moved > 1 else "advance" if moved >= 0 else "regress"), moved

    def flag_corrections(self, moves: list[Row], events: list[Event]) -> None:
        i = 1
        while i + 1 < len(moves):
            before, here, after = events[i - 1], events[i], events[i + 1]
            taken_back = (
                before.stage is not None
                and (after.stage, after.pipeline) == (before.stage, before.pipeline)
                and here.fidelity == after.fidelity == "event_log"
                and (after.at - here.at).total_seconds() <= self.run.grace_seconds
            )
            if taken_back:
                moves[i]["is_mistake"] = True
                moves[i]["is_correction"] = moves[i + 1]["is_correction"] = True
                i += 1
            i += 1

    def flag_after_wins(self, moves: list[Row], events: list[Event]) -> None:
        won_in: str | None = None
        for i, move in enumerate(moves):
            before = events[i - 1] if i else None
            if (
                move["move_kind"] == "pipeline_change"
                and before
                and self.book.kind(before.pipeline, before.stage, self.run.day(before.at)) == "won"
            ):
                won_in = before.pipeline
            elif won_in and events[i].pipeline == won_in:
                won_in = None
            move["is_after_win"] = won_in is not None

    def attributes(self, journey: Row, event: Event) -> Row:
        lead = self.leads.get(journey["lead"] or "", [])

        def of_lead(name: str) -> Any:
            shown = self._shown([(v["known_at"], v[name]) for v in lead], None)
            return self.in_force(self.aliased(name, shown), event.at)

        if event.record == "lead":
            return {
                "account_id": None,
                "seller_id": of_lead("seller_id"), "segment": of_lead("segment"),
                "business_area": None, "source": of_lead("source"), "amount": None,
            }  # fmt: skip
        deal = journey["deal"]
        account_id = self.in_force(self.history(deal, "account_id"), event.at)
        account = self.accounts.get(account_id or "", [])
        of_account = self._shown([(v["known_at"], v["segment"]) for v in account], None)

        def of_deal(name: str) -> Any:
            return self.in_force(self.history(deal, name), event.at)

        amount, segment = of_deal("amount"), of_deal("segment")
        return {
            "account_id": account_id,
            "seller_id": of_deal("seller_id"),
            "segment": segment or self.in_force(of_account, event.at) or of_lead("segment"),
            "business_area": of_deal("business_area"),
            "source": of_deal("source") or of_lead("source"),
            "amount": None if amount is None else float(amount),
        }  # fmt: skip
