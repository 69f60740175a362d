"""What was published of experiments, day by day: kept, so that looking every day is honest.

Belongs here: the files looks/<as_of>.json of a home, each written once, by the first set published
of its day. Does not belong here: reading experiments out (analysis).
"""

from datetime import date

import pandas as pd
from pydantic import BaseModel, ConfigDict

from analysis.experiments import LOOK_COLUMNS
from ingestion.home import Home
from ingestion.stored import Stored
from publishing.marts import opened
from publishing.warehouse import Warehouse


class Look(BaseModel):
    """One row of experiment_looks, as it was published on `looked_on`."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    experiment_id: str
    variant: str
    looked_on: date
    definition_id: str
    state: str
    n_mature: int
    n_events: int
    adjusted_difference: float | None
    low_always_difference: float | None
    high_always_difference: float | None


class Looks(Stored):
    """The looks of one day."""

    looks: list[Look]


def looks_before(home: Home, as_of: date) -> pd.DataFrame:
    """The looks of all days before `as_of`: columns LOOK_COLUMNS. Raises DamagedFile."""
    paths = sorted(home.looks.glob("????-??-??.json"))
    rows = [
        look.model_dump()
        for path in paths
        if date.fromisoformat(path.stem) < as_of
        for look in Looks.read(path).looks
    ]
    frame = pd.DataFrame(rows, columns=list(LOOK_COLUMNS))
    return frame.assign(looked_on=pd.to_datetime(frame["looked_on"]))


def keep_looks(warehouse: Warehouse) -> None:
    """Keep what the set of the day says of experiments, unless one of that day or a later one was
    kept before: a past day built again is no look of that day.
    """
    path = warehouse.home.looks / f"{warehouse.as_of}.json"
    if any(kept.name >= path.name for kept in warehouse.home.looks.glob("????-??-??.json")):
        return
    query = f"select {', '.join(LOOK_COLUMNS)} from experiment_looks where looked_on = as_of"
    with opened(warehouse.marts, "experiment_looks") as connection:
        rows = connection.execute(query).fetchall()
    if rows:
        path.parent.mkdir(exist_ok=True)
        looks = [Look(**dict(zip(LOOK_COLUMNS, row, strict=True))) for row in rows]
        Looks(looks=looks).write(path)
