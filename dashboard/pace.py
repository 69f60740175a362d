"""The first page's lines about goal, forecast and split times.

Belongs here: choosing and laying out published figures. Does not belong here: new figures.
"""

from typing import Any

import duckdb

from dashboard.lines import cut, rows_of

FORECASTS = """
    select
        period_start_on, goal_amount, booked_amount, p10_amount, p50_amount, p90_amount,
        p10_won_deals, p50_won_deals, p90_won_deals, reach_goal_rate, n_open_without_amount,
        n_open_deals, is_drifting, reason
    from forecasts where scope = 'company' order by period_start_on
"""

STAGES = """
    select
        coalesce(
            stage.label, regexp_replace(pace.stage_id, '^[^:]*:', ''),
            'Won, ' || regexp_replace(pace.pipeline_id, '^[^:]*:', ''), 'Won'
        ),
        n_reached, needed_by_today, safe_needed_by_today, ahead_deals, ahead_days,
        is_beyond_chance, plan_on
    from stage_pace as pace
    left join dim_stages as stage
        on stage.pipeline_id = pace.pipeline_id and stage.stage_id = pace.stage_id
    where scope = 'company' and reason is null
    order by pace.pipeline_id, pace.stage_kind = 'won', stage.stage_rank, pace.stage_id
"""

NEW_DEALS = """
    select needed_new_deals_from_now, usual_new_deals_from_now, missing_amount
    from goal_pace where scope = 'company' and reason is null order by period_start_on
"""

REASONS = {
    "no_dates": "of no deal it is known when it came into a stage",
    "too_few_wins": "fewer than 5 deals are seen to be won",
}


def pace_lines(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """What is won and will be, against the goal; then each stage against its pace."""
    rows = rows_of(connection, FORECASTS)
    if not rows:
        return []
    reason = rows[0][-1]
    if reason:
        return ["", f"Not enough data for a forecast: {REASONS[reason]}."]
    lines = ["", f"Forecast, company currency{'':<16}{'goal':>14}{'booked':>14}"
             f"{'10 %':>13}{'50 %':>13}{'90 %':>13}{'goal reached':>14}"]  # fmt: skip
    for row in rows:
        lines.append(_forecast_line(*row[:10]))
    *_, n_without, n_open, is_drifting, _ = rows[0]
    if n_without:
        lines.append(
            f"{n_without:,} of {n_open:,} open deals have no amount; each counts as much as some "
            "deal like it was won for."
        )
    if is_drifting:
        lines.append("Deals convert otherwise than before (conversion_drift): the forecast knows.")
    if rows[0][1] is None:
        lines.append("No goal is stated for this quarter: a sheet goals.csv, docs/operations.md.")
    return lines + _stage_lines(connection)


def _forecast_line(start: Any, goal: Any, booked: float, *amounts_and_deals_and_rate: Any) -> str:
    *numbers, rate = amounts_and_deals_and_rate
    deals = "–".join(f"{n:,.0f}" for n in numbers[3:])
    label = f"Quarter of {start:%Y-%m-%d}, {deals} deals"
    money = "".join(f"{amount:>13,.0f}" for amount in numbers[:3])
    stated = f"{goal:>14,.0f}" if goal is not None else f"{'–':>14}"
    reached = _percent(rate)
    return f"{cut(label, 42):<42}{stated}{booked:>14,.0f}{money}{reached:>14}"


def _percent(share: float | None) -> str:
    """Never more sure than 99 of 100."""
    if share is None:
        return "–"
    rounded = round(100 * share)
    return {0: "< 1 %", 100: "> 99 %"}.get(rounded, f"{rounded} %")


def _stage_lines(connection: duckdb.DuckDBPyConnection) -> list[str]:
    rows = rows_of(connection, STAGES)
    if not rows:
        return []
    lines = [
        "",
        f"Split times: entries since the plan of {rows[0][-1]:%Y-%m-%d}, and what the goal needs",
        f"{'stage':<28}{'had':>7}{'needed':>9}{'safely':>9}{'ahead, deals':>14}{'ahead, days':>13}",
    ]
    for label, had, needed, safe, deals, days, is_beyond_chance, _ in rows:
        told = f"{safe:>9,.0f}" if safe is not None else f"{'–':>9}"
        ahead = f"{days:>+13,.0f}" if days is not None else f"{'–':>13}"
        chance = "" if is_beyond_chance or days is None else "  could be chance"
        lines.append(
            f"{cut(label, 27):<28}{had:>7,}{needed:>9,.0f}{told}{deals:>+14,.0f}{ahead}{chance}"
        )
    lines.append(
        "Days are selling days. Safely: the pace that reaches the goals in 80 of 100 cases."
    )
    quarters = rows_of(connection, NEW_DEALS)
    from_now = "; ".join(f"{n:,.0f} (usual {usual:,.0f})" for n, usual, _ in quarters)
    if quarters:
        lines.append(f"New deals needed from now, this quarter and the next three: {from_now}")
    missing = [amount for *_, amount in quarters]
    if missing and missing[0] > 0:
        lines.append(
            f"{missing[0]:,.0f} of this quarter's goal new deals cannot bring any more: only the "
            "open ones, their size or price can."
        )
    return lines
