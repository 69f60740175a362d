"""The first page, as text: what a published set says at a glance.

Belongs here: choosing and laying out published figures.
Does not belong here: new figures. Every number stands in a published table.
"""

from pathlib import Path
from typing import Any

import duckdb
from ingestion.sql import literal

MAX_ROWS = 8

# The longest horizon of which anything can be told.
HORIZON = """
    select max(horizon_days) from conversion_estimates
    where cut = 'all' and estimated_rate is not null
"""

STAGES = """
    select
        coalesce(stage.label, found.stage_id),
        found.n_entered,
        {next_any},
        {won},
        any_value(stay.p80_days_in_stage),
        any_value(slow.n_slow)
    from conversion_estimates as found
    inner join dim_stages as stage using (pipeline_id, stage_id)
    left join stage_stays as stay
        on stay.pipeline_id = found.pipeline_id and stay.stage_id = found.stage_id
        and stay.cut = 'all' and stay.horizon_days = found.horizon_days
    left join (
        select pipeline_id, stage_id, count(*) as n_slow
        from pipeline_status
        inner join stage_stays using (pipeline_id, stage_id)
        where cut = 'all' and horizon_days = $horizon and days_in_stage > p80_days_in_stage
        group by pipeline_id, stage_id
    ) as slow
        on slow.pipeline_id = found.pipeline_id and slow.stage_id = found.stage_id
    where found.cut = 'all' and found.horizon_days = $horizon
    group by stage.label, found.stage_id, found.n_entered, found.pipeline_id, stage.stage_rank
    order by found.pipeline_id not in {of_leads}, found.pipeline_id, stage.stage_rank
"""

OF_LEADS = """
    (select pipeline_id from dim_stages where kind = 'open' group by pipeline_id
    having count(*) = count(*) filter (where role = 'lead'))
"""

# Deals begin here: the first stage most of them entered.
FIRST_STAGE = """
    select pipeline_id, stage_id, coalesce(label, stage_id)
    from conversion_estimates
    inner join dim_stages using (pipeline_id, stage_id)
    where cut = 'all' and stage_rank = 1 and pipeline_id not in {of_leads}
    order by n_entered desc, pipeline_id
    limit 1
"""

CUT = """
    select coalesce(cut_value, '(unknown)'), n_entered, estimated_rate, low_rate, high_rate
    from conversion_estimates
    where pipeline_id = $pipeline and stage_id = $stage and cut = $cut and definition_id = 'won'
        and horizon_days = $horizon
    order by n_entered desc, cut_value
"""

SELLERS = """
    select
        coalesce(seller.name, mix.seller_id), mix.n_mature, mix.seller_rate, mix.rate_difference,
        mix.low_rate_difference, mix.high_rate_difference, mix.is_reversed
    from seller_mix as mix
    left join dim_sellers as seller using (seller_id)
    where pipeline_id = $pipeline and stage_id = $stage and definition_id = 'won'
        and horizon_days = $horizon and mix.n_mature > 0
    order by mix.n_mature desc, mix.seller_id
"""


def text(folder: Path) -> str:
    """The first page of the published set in `folder`, about 100 characters wide."""
    with duckdb.connect() as connection:
        for path in sorted(folder.glob("*.parquet")):
            connection.execute(
                f"create view {path.stem} as select * from read_parquet({literal(str(path))})"
            )
        n_deals, n_open = _rows(
            connection, "select count(*), count(*) filter (where status = 'open') from dim_deals"
        )[0]
        lines = [f"{n_deals:,} deals, {n_open:,} of them open"]
        horizon = _rows(connection, HORIZON)[0][0]
        if horizon is None:
            lines.append("Not enough data: nothing has been followed for 30 days after a stage.")
            return "\n".join(lines)
        lines += _stage_lines(connection, horizon)
        for pipeline, stage, label in _rows(connection, FIRST_STAGE.format(of_leads=OF_LEADS)):
            asked = {"pipeline": pipeline, "stage": stage, "horizon": horizon}
            for cut in ("segment", "source"):
                rows = _rows(connection, CUT, {**asked, "cut": cut})
                lines += ["", f"Won within {horizon} days of {label}, by {cut}", *_cut_lines(rows)]
            lines += _seller_lines(label, horizon, _rows(connection, SELLERS, asked))
    return "\n".join(lines)


def _rows(
    connection: duckdb.DuckDBPyConnection, query: str, parameters: dict[str, Any] | None = None
) -> list[Any]:
    return connection.execute(query, parameters or {}).fetchall()


def _stage_lines(connection: duckdb.DuckDBPyConnection, horizon: int) -> list[str]:
    of = {
        name: ", ".join(
            f"max({column}) filter (where found.definition_id = '{name}')"
            for column in ("estimated_rate", "low_rate", "high_rate")
        )
        for name in ("next_any", "won")
    }
    lines = [
        "",
        f"Within {horizon} days of entering a stage, unfinished deals taken into account (95 %)",
        f"{'stage':<24}{'entered':>9}{'reach a later stage':>22}{'are won':>22}{'slow from':>11}"
        f"{'open, slow':>12}",
    ]
    query = STAGES.format(of_leads=OF_LEADS, **of)
    for label, n, *rates, p80, n_slow in _rows(connection, query, {"horizon": horizon}):
        slow = f"{p80:.0f} days" if p80 is not None else "–"
        lines.append(
            f"{_cut(label, 23):<24}{n:>9,}{_rate(*rates[:3]):>22}{_rate(*rates[3:]):>22}{slow:>11}"
            f"{n_slow or 0:>12,}"
        )
    lines.append("Slow: longer in the stage than four of five of the deals that are won.")
    return lines


def _cut_lines(rows: list[Any]) -> list[str]:
    lines = [f"{_cut(label, 27):<28}{n:>7,}{_rate(*of):>25}" for label, n, *of in rows[:MAX_ROWS]]
    return lines + _more(rows)


def _seller_lines(label: str, horizon: int, rows: list[Any]) -> list[str]:
    lines = [
        "",
        f"Won within {horizon} days of {label}, by seller, and compared with all on the same leads",
    ]
    for name, n, rate, difference, low, high, is_reversed in rows[:MAX_ROWS]:
        compared = "not enough data"
        if low is not None:
            compared = f"{100 * difference:+.1f} points ({100 * low:+.1f} to {100 * high:+.1f})"
        turned = "  the mix of leads turns it round" if is_reversed else ""
        lines.append(f"{_cut(name, 27):<28}{n:>7,}{100 * rate:>9.1f} %{compared:>31}{turned}")
    return lines + _more(rows)


def _more(rows: list[Any]) -> list[str]:
    return [f"… and {len(rows) - MAX_ROWS} more"] if len(rows) > MAX_ROWS else []


def _rate(rate: float | None, low: float | None, high: float | None) -> str:
    if rate is None or low is None or high is None:
        return "not enough data"
    return f"{100 * rate:.1f} % ({100 * low:.1f}–{100 * high:.1f})"


def _cut(label: str, width: int) -> str:
    return label if len(label) <= width else label[: width - 1] + "…"
