"""The rows of published tables that expectations speak of.

Belongs here: cutting frames down, naming what is found in them.
Does not belong here: limits and reasons (`first_run`, `expectations`).
"""

from collections.abc import Callable

import pandas as pd

from publishing.gate.forms import Frames, Select


def everything(frame: pd.DataFrame) -> pd.DataFrame:
    return frame


def priced(frame: pd.DataFrame) -> pd.DataFrame:
    """Deals with an amount, in the most common currency."""
    found = frame[frame["amount"].notna()]
    common = found["currency"].mode()
    return found[found["currency"] == common.iloc[0]] if len(common) else found


def won_where_amounts_are_known(frame: pd.DataFrame) -> pd.DataFrame:
    """Won deals; none where no deal has an amount, which `coverage` tells."""
    return frame[(frame["status"] == "won") & bool(frame["amount"].notna().any())]


def journeys(moves: pd.DataFrame, visits: pd.DataFrame) -> pd.DataFrame:
    """Each deal, or lead that is none, with whether it was ever won."""
    won = visits.loc[visits["stage_kind"] == "won", "journey_id"]
    ids = moves["journey_id"].drop_duplicates()
    return pd.DataFrame({"is_won": ids.isin(won)})


def created_and_closed(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["created_on"].notna() & frame["closed_on"].notna()]


def expected_to_close(deals: pd.DataFrame, counts: pd.DataFrame) -> pd.DataFrame:
    """Open deals with an expected close, and the day of the set."""
    rows = (deals["status"] == "open") & deals["expected_close_on"].notna()
    return deals[rows].assign(as_of=counts["as_of"].iloc[0])


def is_decades_away(frame: pd.DataFrame) -> pd.Series:
    """Whether open deals are expected to close more than ten years from the day of the set."""
    distance = pd.to_datetime(frame["expected_close_on"]) - pd.to_datetime(frame["as_of"])
    return distance.abs() > pd.Timedelta(days=3653)


def deals_and_disagreements(deals: pd.DataFrame, disagreements: pd.DataFrame) -> pd.DataFrame:
    """Each deal, with whether the ledger does not follow a claim about it."""
    return deals.assign(is_disputed=deals["deal_id"].isin(disagreements["deal_id"]))


def ended(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[~frame["is_censored"].astype(bool)]


def ended_of_deals(frame: pd.DataFrame) -> pd.DataFrame:
    """Ended visits of deals by a log: leads may be won with a first call, days tell no hours."""
    is_logged = frame["fidelity"] == "event_log"
    return ended(frame[(frame["record_type"] == "deal") & is_logged])


def timed_moves(frame: pd.DataFrame) -> pd.DataFrame:
    """Moves that a source dates; what two exports differ in happened between them."""
    return frame[frame["fidelity"].isin(["event_log", "latest_per_stage", "created_closed"])]


def has_commonest(column: str) -> Callable[[pd.DataFrame], pd.Series]:
    """Whether a row has the column's most frequent value."""

    def marked(frame: pd.DataFrame) -> pd.Series:
        common = frame[column].mode()
        return frame[column] == common.iloc[0] if len(common) else frame[column].notna()

    return marked


def lacks(column: str) -> Callable[[pd.DataFrame], pd.Series]:
    """Whether a row has no value in the column."""
    return lambda frame: frame[column].isna()


def of_several(column: str, least: int) -> Select:
    """Rows with a value in the column, if there are so many different ones."""

    def selected(frame: pd.DataFrame) -> pd.DataFrame:
        known = frame[frame[column].notna()]
        return known if known[column].nunique() >= least else known[:0]

    return selected


def where_some_are_known(column: str) -> Select:
    """Every row; none where no row has a value, which `coverage` tells."""

    def selected(frame: pd.DataFrame) -> pd.DataFrame:
        return frame if frame[column].notna().any() else frame[:0]

    return selected


def with_many_decided(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["n_won"] + frame["n_lost"] >= 50]


def year_of_wins(frame: pd.DataFrame) -> pd.DataFrame:
    """A row for each pipeline: those who entered it and were followed for a year, and the won."""
    rows = (frame["definition_id"] == "won") & (frame["horizon_days"] == 365)
    entered = frame[rows & frame["stage_id"].isna()]
    sums = entered.groupby("pipeline_id", as_index=False)[["n_mature", "n_reached"]].sum()
    return sums[sums["n_mature"] >= 300].assign(
        reached_rate=lambda found: found["n_reached"] / found["n_mature"]
    )


def yearly_wins_of_all(frame: pd.DataFrame) -> pd.DataFrame:
    rows = (frame["dimension"] == "all") & (frame["definition_id"] == "won")
    rows &= (frame["horizon_days"] == 365) & (frame["effective_n"] >= 100)
    return frame[rows & frame["estimated_rate"].notna()]


def time_in_stage_of_all(frame: pd.DataFrame) -> pd.DataFrame:
    rows = (
        (frame["dimension"] == "all") & (frame["horizon_days"] == 365) & (frame["n_events"] >= 30)
    )
    return frame[rows & frame["p80_days_in_stage"].notna()]


def finished_cohorts(dimension: str) -> Callable[[Frames], Frames]:
    """A finding for each pipeline, stage and value whose finished cohorts convert otherwise.

    Cohorts that the last set had followed to their end are history: of 100 and more entries, more
    than a tenth gone or a rate moved by more than ten points is no new day's doing.
    """
    keys = ["pipeline_id", "stage_id", dimension, "definition_id", "horizon_days"]
    cohort = [*keys, "entered_month"]
    counts = ["n_entered", "n_mature", "n_reached"]

    def selected(frames: Frames) -> Frames:
        if frames.before is None:
            return Frames(_findings([]), None)
        finished = frames.before[frames.before["n_mature"] == frames.before["n_entered"]]
        now = frames.now[[*cohort, *counts]]
        both = finished[[*cohort, *counts]].merge(now, "left", on=cohort, suffixes=("_was", ""))
        sums = both.groupby(keys, dropna=False, as_index=False).sum(numeric_only=True)
        sums = sums[sums["n_entered_was"] >= 100]
        sums = sums.assign(entered=sums["stage_id"].fillna(sums["pipeline_id"]).astype(str))
        was, rate = (sums[f"n_reached{s}"] / sums[f"n_mature{s}"] for s in ("_was", ""))
        is_other = (sums["n_entered"] < 0.9 * sums["n_entered_was"]) | ~((rate - was).abs() <= 0.1)
        found = [
            f"{row.definition_id} within {row.horizon_days} days of {row.entered}: "
            f"{row.n_reached_was:.0f} of {row.n_mature_was:.0f} were, "
            f"{row.n_reached:.0f} of {row.n_mature:.0f} are"
            if wrong
            else ""
            for row, wrong in zip(sums.itertuples(), is_other, strict=True)
        ]
        return _compared(found)

    return selected


def _compared(found: list[str]) -> Frames:
    """What a comparison with the last set found, of which that set has nothing."""
    before = pd.DataFrame({"finding": pd.Series([""] if found else [], dtype="string")})
    return Frames(_findings(found), before)


def _findings(found: list[str]) -> pd.DataFrame:
    return pd.DataFrame({"finding": pd.Series(found, dtype="string")})


# Of what a system holds, what an export may let go at once without a person having said so.
MAX_DELETED_SHARE, MIN_DELETED = 0.1, 5


def mass_deletions(frame: pd.DataFrame) -> pd.DataFrame:
    """Per system, kind of record and export that lets some go: the finding, if it is too many."""
    frame = frame.assign(system=frame["journey_id"].astype("string").str.split(":").str[0])
    created = frame[frame["move_number"] == 1]
    found = [""] if len(created) else []
    deleted = frame[frame["move_kind"] == "delete"]
    for (system, record_type, known_at), gone in deleted.groupby(
        ["system", "record_type", "known_at"]
    ):
        is_alike = (created["system"] == system) & (created["record_type"] == record_type)
        earlier = deleted[
            (deleted["system"] == system)
            & (deleted["record_type"] == record_type)
            & (deleted["known_at"] < known_at)
        ]
        n_there = (is_alike & (created["occurred_at"] <= known_at)).sum() - len(earlier)
        if len(gone) >= MIN_DELETED and len(gone) > MAX_DELETED_SHARE * n_there:
            export = f"the {system} export known {known_at:%Y-%m-%d %H:%M}"
            found.append(f"{len(gone)} of {n_there} {record_type}s gone with {export}")
    return _findings(found)


# Of what a table tells of a system's deals, what may be of deals that no export knows.
MAX_UNKNOWN_SHARE, MIN_UNKNOWN = 0.1, 5


def of_unknown_deals(frame: pd.DataFrame) -> pd.DataFrame:
    """Per table and system that tells of such deals: the finding, if it is too many."""
    found, figures = [], []
    for (table, system), rows in frame.groupby(["table_name", "system_id"]):
        n, total = int(rows["n_records"].sum()), int(rows["n_records_of_system"].iloc[0])
        is_too_many = n >= MIN_UNKNOWN and n > MAX_UNKNOWN_SHARE * total
        found.append(f"{table} of {system}" if is_too_many else "")
        figures.append(f": {n:,} of {total:,} records are of deals that no export knows")
    return _findings(found).assign(figures=pd.Series(figures, dtype="string"))


KINDS_BY_ORDER = ("advance", "skip", "regress")


def changed_kinds(frames: Frames) -> Frames:
    """Moves of both sets: a finding for each two stages between which the kind is another now."""
    move = ["journey_id", "from_pipeline_id", "from_stage_id", "to_pipeline_id", "to_stage_id",
            "occurred_at"]  # fmt: skip
    if frames.before is None:
        return Frames(_findings([]), None)
    now, before = (
        frame[frame["move_kind"].isin(KINDS_BY_ORDER)][[*move, "move_kind"]].drop_duplicates(move)
        for frame in (frames.now, frames.before)
    )
    both = now.merge(before, on=move, suffixes=("", "_before"))
    changed = both[both["move_kind"] != both["move_kind_before"]]
    stages = ["from_stage_id", "to_stage_id", "move_kind_before", "move_kind"]
    counted = changed.groupby(stages, as_index=False).size()
    found = [""] if len(both) else []
    found += [
        f"{n} moves from {source} to {target} were {old} and are {new}"
        for source, target, old, new, n in counted.itertuples(index=False)
    ]
    return _compared(found)
