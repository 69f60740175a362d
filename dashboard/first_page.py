"""The first page, as text: what a published set says at a glance.

Belongs here: choosing and laying out published figures.
Does not belong here: new figures. Every number stands in a published table.
"""

from pathlib import Path
from typing import Any

import duckdb

from dashboard.attempts import attempt_lines
from dashboard.experiments import experiment_lines
from dashboard.lines import MAX_ROWS, are_known, cut, more, opened, rows_of
from dashboard.pace import pace_lines

# Of intervals that each hold in 95 %, one of many is wrong more often than not.
AT_ONCE = "95 % for all of them at once"

# The longest horizon of which anything can be told.
HORIZON = """
    select max(horizon_days) from conversion_estimates
    where dimension = 'all' and estimated_rate is not null
"""

UNKNOWN_DEALS = """
    select table_name, sum(n_records) from unknown_deals group by table_name order by table_name
"""

SHARED_NAMES = """
    select count(*), coalesce(sum(n_records), 0) from seller_aliases
    where reason = 'shared_name' and n_records > 0
"""

UNMAPPED_TYPES = """
    select coalesce(source_type, '(none)'), n_activities from unmapped_activity_types
    order by n_activities desc, source_type
"""

# Pipelines whose open stages are all of leads.
OF_LEADS = """
    (select pipeline_id from dim_stages where stage_kind = 'open' group by pipeline_id
    having count(*) = count(*) filter (where role = 'lead'))
"""

# An id is shown without its system where there is no label. Without a stage: the pipeline entered.
STAGES = f"""
    select
        coalesce(
            stage.label,
            regexp_replace(won.stage_id, '^[^:]*:', ''),
            'Created in ' || regexp_replace(won.pipeline_id, '^[^:]*:', ''),
            'Created'
        ),
        won.n_entered,
        further.estimated_rate,
        further.low_rate,
        further.high_rate,
        won.estimated_rate,
        won.low_rate,
        won.high_rate,
        visit.p80_days_in_stage,
        visit.n_slow_deals
    from conversion_estimates as won
    left join conversion_estimates as further
        on further.pipeline_id is not distinct from won.pipeline_id
        and further.stage_id is not distinct from won.stage_id
        and further.dimension = 'all' and further.horizon_days = won.horizon_days
        and further.definition_id = 'next_any'
    left join dim_stages as stage
        on stage.pipeline_id = won.pipeline_id and stage.stage_id = won.stage_id
    left join time_in_stage as visit
        on visit.pipeline_id = won.pipeline_id and visit.stage_id = won.stage_id
        and visit.dimension = 'all' and visit.horizon_days = won.horizon_days
    where won.dimension = 'all' and won.definition_id = 'won' and won.horizon_days = $horizon
    order by
        won.pipeline_id not in {OF_LEADS}, won.pipeline_id, won.stage_id is not null,
        stage.stage_rank
"""

# The pipeline that most deals entered.
FIRST_PIPELINE = f"""
    select
        pipeline_id,
        coalesce('Created in ' || regexp_replace(pipeline_id, '^[^:]*:', ''), 'Created')
    from conversion_estimates
    where dimension = 'all' and stage_id is null
        and coalesce(pipeline_id not in {OF_LEADS}, true)
    order by n_entered desc, pipeline_id
    limit 1
"""

VALUES = """
    select
        coalesce(dimension_value, '(unknown)'), n_entered, estimated_rate, low_simultaneous_rate,
        high_simultaneous_rate
    from conversion_estimates
    where pipeline_id is not distinct from $pipeline and stage_id is null
        and dimension = $dimension
        and definition_id = 'won' and horizon_days = $horizon
    order by n_entered desc, dimension_value
"""

SELLERS = """
    select
        coalesce(seller.name, regexp_replace(mix.seller_id, '^[^:]*:', '')),
        mix.n_mature, mix.seller_rate, mix.rate_difference, mix.low_simultaneous_rate_difference,
        mix.high_simultaneous_rate_difference, mix.is_reversed
    from seller_mix as mix
    left join dim_sellers as seller using (seller_id)
    where pipeline_id is not distinct from $pipeline and stage_id is null and definition_id = 'won'
        and horizon_days = $horizon and mix.n_mature > 0
    order by mix.n_mature desc, mix.seller_id
"""

# What no deal tells, of those that could; of times and stages, what most do not.
GAPS = """
    select fact, untold, remedy from coverage
    where n_deals > 0 and (
        n_known = 0 or (fact in ('dates', 'close dates', 'stages') and known_rate < 0.5)
    )
    order by fact
"""

OUTCOMES = """
    select
        coalesce({shown}, '(unknown)'), n_won, n_won + n_lost, n_open,
        won_of_decided_rate, low_won_of_decided_rate, high_won_of_decided_rate, won_amount_base
    from outcomes_by_{name} as outcomes
    {joined}
    order by n_deals desc, 1
"""
DIMENSIONS = ("segment", "source", "business_area")


def text(folder: Path) -> str:
    """The first page of the published set in `folder`, about 100 characters wide."""
    with opened(folder) as connection:
        n_deals, n_open = rows_of(connection, "select n_deals, n_open from deal_counts")[0]
        lines = [f"{n_deals:,} deals, {n_open:,} of them open"]
        lines += _remarks(connection)
        lines += pace_lines(connection)
        horizon = rows_of(connection, HORIZON)[0][0]
        if horizon is None:
            lines += [
                "",
                "Not enough data: of nothing is it known what became of it within 30 days.",
            ]
            lines += _outcome_lines(connection)
            return "\n".join([*lines, *attempt_lines(connection), *experiment_lines(connection)])
        lines += _stage_lines(connection, horizon)
        for pipeline, label in rows_of(connection, FIRST_PIPELINE):
            asked = {"pipeline": pipeline, "horizon": horizon}
            for dimension in ("segment", "source"):
                rows = rows_of(connection, VALUES, {**asked, "dimension": dimension})
                if are_known(rows):
                    lines += ["", f"{label}: won within {horizon} days, by {dimension}; {AT_ONCE}"]
                    lines += _value_lines(rows)
            if rows := rows_of(connection, SELLERS, asked):
                lines += _seller_lines(label, horizon, rows)
        lines += attempt_lines(connection) + experiment_lines(connection)
    return "\n".join(lines)


def _remarks(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """What the sources leave open: to be known before the figures are read."""
    lines = []
    n_conflicts = rows_of(connection, "select count(*) from export_conflicts")[0][0]
    if n_conflicts:
        lines.append(
            f"{n_conflicts:,} values are told differently by exports of one moment; the later "
            "made is taken (see export_conflicts)"
        )
    n_gone = rows_of(connection, "select count(*) from pipeline_status where is_gone")[0][0]
    if n_gone:
        lines.append(
            f"{n_gone:,} of the open deals are gone from the lists they stood on; they are "
            "followed as far as they were seen (is_gone in pipeline_status)"
        )
    n_shared, n_called = rows_of(connection, SHARED_NAMES)[0]
    if n_shared:
        lines.append(
            f"{n_called:,} deals and leads name an owner as {n_shared:,} names that several "
            "sellers share; their seller is unknown (see seller_aliases)"
        )
    for table, n in rows_of(connection, UNKNOWN_DEALS):
        lines.append(
            f"{n:,} records of {table} are of deals that no export knows (see unknown_deals)"
        )
    unmapped = rows_of(connection, UNMAPPED_TYPES)
    if unmapped:
        named = ", ".join(cut(source_type, 23) for source_type, _ in unmapped[:MAX_ROWS])
        lines.append(
            f"{sum(n for _, n in unmapped):,} activities are of types that no mapping names, and "
            f"so are no contact (see unmapped_activity_types): {named}"
        )
    if gaps := rows_of(connection, GAPS):
        lines += ["", "What exports do not tell: what that hides, and what to export"]
        lines += [f"{fact:<28}{untold}: {remedy}" for fact, untold, remedy in gaps]
    return lines


def _outcome_lines(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """How deals ended, by whatever is known of them: what can be told without time."""
    names = {name: (f"outcomes.{name}", "") for name in DIMENSIONS}
    names["seller"] = (
        "seller.name, regexp_replace(outcomes.seller_id, '^[^:]*:', '')",
        "left join dim_sellers as seller on outcomes.seller_id = seller.seller_id",
    )
    lines: list[str] = []
    for name, (shown, joined) in names.items():
        rows = rows_of(connection, OUTCOMES.format(shown=shown, name=name, joined=joined))
        if are_known(rows):
            lines += [
                "",
                f"How deals ended, whenever that was, by {name.replace('_', ' ')}, 95 %",
                f"{'':<28}{'won':>7}{'decided':>9}{'open':>7}{'won of decided':>25}"
                f"{'amount won':>18}",
            ]
            for label, n_won, n_decided, n_open, *of, amount in rows[:MAX_ROWS]:
                money = f"{amount:,.0f}" if amount is not None else "–"
                lines.append(
                    f"{cut(label, 27):<28}{n_won:>7,}{n_decided:>9,}{n_open:>7,}"
                    f"{_rate(*of):>25}{money:>18}"
                )
            lines += more(rows)
    return lines


def _stage_lines(connection: duckdb.DuckDBPyConnection, horizon: int) -> list[str]:
    lines = [
        "",
        f"Within {horizon} days of entering a stage, adjusted for open deals (censoring), 95 %",
        f"{'stage':<24}{'entered':>9}{'reach a later stage':>22}{'are won':>22}{'slow from':>11}"
        f"{'open, slow':>12}",
    ]
    for label, n, *rates, p80, n_slow in rows_of(connection, STAGES, {"horizon": horizon}):
        slow = f"{p80:.0f} days" if p80 is not None else "–"
        n_slow_deals = f"{n_slow:,}" if n_slow is not None else "–"
        lines.append(
            f"{cut(label, 23):<24}{n:>9,}{_rate(*rates[:3]):>22}{_rate(*rates[3:]):>22}{slow:>11}"
            f"{n_slow_deals:>12}"
        )
    lines.append("Slow: longer in the stage than four of five of the deals that are won.")
    return lines


def _value_lines(rows: list[Any]) -> list[str]:
    lines = [f"{cut(label, 27):<28}{n:>7,}{_rate(*of):>25}" for label, n, *of in rows[:MAX_ROWS]]
    return lines + more(rows)


def _seller_lines(label: str, horizon: int, rows: list[Any]) -> list[str]:
    lines = [
        "",
        f"{label}: won within {horizon} days, by seller, and",
        f"compared with all on the same leads; {AT_ONCE}",
    ]
    for name, n, rate, difference, low, high, is_reversed in rows[:MAX_ROWS]:
        compared = "not enough data"
        if low is not None:
            compared = f"{100 * difference:+.1f} points ({100 * low:+.1f} to {100 * high:+.1f})"
        turned = "  the mix of leads turns it round" if is_reversed else ""
        own = f"{100 * rate:.1f} %" if rate is not None else "not enough data"
        lines.append(f"{cut(name, 27):<28}{n:>7,}{own:>17}{compared:>31}{turned}")
    return lines + more(rows)


def _rate(rate: float | None, low: float | None, high: float | None) -> str:
    if rate is None or low is None or high is None:
        return "not enough data"
    return f"{100 * rate:.1f} % ({100 * low:.1f}–{100 * high:.1f})"
