"""The first page, as text: what a published set says at a glance.

Belongs here: choosing and laying out published figures.
Does not belong here: new figures. Counts are summed over months; a rate is numerator by
denominator of what is shown beside it.
"""

from pathlib import Path
from typing import Any

import duckdb
from ingestion.readers import literal

MAX_ROWS = 8

STAGES = """
    select stage.label, stage.stage_id, stage.pipeline_id, sum(counts.n_mature) as n,
        sum(counts.n_reached) filter (where counts.definition_id = 'next_any') as n_next,
        sum(counts.n_reached) filter (where counts.definition_id = 'next_direct') as n_direct,
        sum(counts.n_reached) filter (where counts.definition_id = 'won') as n_won,
        sum(counts.n_mature) filter (where counts.definition_id = 'won') as n_entered
    from conversion_by_segment as counts
    inner join dim_stages as stage using (pipeline_id, stage_id)
    where counts.horizon_days = ?
    group by stage.label, stage.stage_id, stage.pipeline_id, stage.stage_rank
    order by stage.pipeline_id not in {of_leads}, stage.pipeline_id, stage.stage_rank
"""

# A deal that began as a lead in a pipeline of leads would otherwise be counted in both.
OF_LEADS = """
    (select pipeline_id from dim_stages where kind = 'open' group by pipeline_id
    having count(*) = count(*) filter (where role = 'lead'))
"""

FIRST_STAGE = """
    select {label} as label, sum(counts.n_mature) as n, sum(counts.n_reached) as n_won
    from {mart} as counts
    inner join dim_stages as stage using (pipeline_id, stage_id)
    left join dim_sellers as seller on {seller}
    where counts.horizon_days = ? and counts.definition_id = 'won' and stage.stage_rank = 1
        and stage.pipeline_id not in {of_leads}
    group by 1
    having sum(counts.n_mature) > 0
    order by n desc, label
"""

CUTS = {
    "segment": ("conversion_by_segment", "counts.segment", "false"),
    "seller": (
        "conversion_by_seller",
        "coalesce(seller.name, counts.seller_id)",
        "seller.seller_id = counts.seller_id",
    ),
    "source": ("conversion_by_source", "counts.source", "false"),
}


def text(folder: Path) -> str:
    """The first page of the published set in `folder`, about 80 characters wide."""
    with duckdb.connect() as connection:
        for path in sorted(folder.glob("*.parquet")):
            connection.execute(
                f"create view {path.stem} as select * from read_parquet({literal(str(path))})"
            )
        n_deals, n_open = _rows(
            connection, "select count(*), count(*) filter (where status = 'open') from dim_deals"
        )[0]
        lines = [f"{n_deals:,} deals, {n_open:,} of them open"]
        horizon = _rows(
            connection, "select max(horizon_days) from conversion_by_segment where n_mature > 0"
        )[0][0]
        if horizon is None:
            lines.append("Not enough data: no deal has been followed for 30 days after a stage.")
            return "\n".join(lines)
        lines += _stage_lines(connection, horizon)
        for name, (mart, label, seller) in CUTS.items():
            query = FIRST_STAGE.format(mart=mart, label=label, seller=seller, of_leads=OF_LEADS)
            lines += _cut_lines(name, _rows(connection, query, [horizon]))
    return "\n".join(lines)


def _rows(
    connection: duckdb.DuckDBPyConnection, query: str, parameters: list[Any] | None = None
) -> list[Any]:
    return connection.execute(query, parameters or []).fetchall()


def _stage_lines(connection: duckdb.DuckDBPyConnection, horizon: int) -> list[str]:
    lines = [
        "",
        f"Conversion within {horizon} days of entering a stage, deals followed that long",
        f"{'stage':<28}{'n':>7}{'reached a later stage':>23}{'moved to the next':>19}{'won':>13}",
    ]
    for label, stage_id, _, _, n_next, n_direct, n_won, n in _rows(
        connection, STAGES.format(of_leads=OF_LEADS), [horizon]
    ):
        cells = f"{_rate(n_next, n):>23}{_rate(n_direct, n):>19}{_rate(n_won, n):>13}"
        lines.append(f"{_cut(label or stage_id, 27):<28}{n:>7,}{cells}")
    return lines


def _cut_lines(name: str, rows: list[Any]) -> list[str]:
    lines = ["", f"Won from a deal's first stage, by {name}"]
    for label, n, n_won in rows[:MAX_ROWS]:
        lines.append(f"{_cut(label or '(unknown)', 27):<28}{n:>7,}{_rate(n_won, n):>23}")
    if len(rows) > MAX_ROWS:
        lines.append(f"… and {len(rows) - MAX_ROWS} more")
    return lines


def _rate(k: int, n: int) -> str:
    return f"{k:,} · {100 * k / n:.1f} %" if n else "–"


def _cut(label: str, width: int) -> str:
    return label if len(label) <= width else label[: width - 1] + "…"
