"""The check-in: is it enough, is it moving, is it improving, and what follows from that.

Belongs here: the table check_ins, the order of attention.
Does not belong here: paces and forecasts, which it rests on; keeping check-ins (publishing).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import betaincc, gammaincc

from analysis.forecasts import Forecast
from analysis.outlook import quarters
from analysis.pace import Pace, is_told
from analysis.stays import Stays, won_between

# Fewer moves needed say nothing of whether it moves.
MIN_NEEDED = 5
# A quote so few days before the win did not let anybody see it coming.
SURPRISE_DAYS = 14
PUSHED_OFTEN = 2
STAY, WATCH, ACT, DRILL = "stay", "watch", "act", "drill"


@dataclass(frozen=True)
class Rules:
    """Thresholds of company.yml: days from one check-in to the next; the chance of the goal that is
    enough; the part of the pace that counts as moving; the chance that counts as improving; how
    many check-ins are looked back on.
    """

    every_days: int = 14
    enough: float = 0.6
    moving: float = 0.9
    improving: float = 0.8
    look_back: int = 3


@dataclass(frozen=True)
class Earlier:
    """What a check-in that was kept decided."""

    decision: str
    reason: str


def decided(
    is_enough: bool | None,
    is_moving: bool | None,
    is_improving: bool | None,
    earlier: Sequence[Earlier],
    look_back: int,
) -> tuple[str, str]:
    """The decision, and why; `earlier` are those kept, oldest first. None: cannot be told."""
    if is_enough is None or is_moving is None:
        return WATCH, "cannot_tell"
    if is_enough and is_moving:
        return STAY, "enough_and_moving"
    reason = "neither" if not (is_enough or is_moving) else (
        "not_moving" if is_enough else "not_enough")  # fmt: skip
    failing = _failing(earlier)
    since_act = next((n for n, one in enumerate(failing) if one.decision == ACT), None)
    if since_act is not None:
        has_had_time = len(failing) - since_act >= look_back
        return (DRILL if has_had_time and is_improving is False else ACT), reason
    return (ACT if reason == "neither" or failing else WATCH), reason


def _failing(earlier: Sequence[Earlier]) -> list[Earlier]:
    """The last ones in a row that were not as they should be."""
    found: list[Earlier] = []
    for one in reversed(earlier):
        if one.decision == STAY or one.reason == "cannot_tell":
            break
        found.append(one)
    return found[::-1]


def check_in(
    pace: Pace,
    tables: dict[str, pd.DataFrame],
    kept: pd.DataFrame,
    rules: Rules,
) -> pd.DataFrame:
    """Table check_ins: those `kept`, and the one that would be today's.

    `tables` are forecasts, stage_pace and pipe_coverage.
    """
    today = pace.outlook.stays.as_of
    now, following = _company(tables["forecasts"])
    enough = _is_enough(now, tables["pipe_coverage"], rules)
    moves, needed = _moves(tables["stage_pace"])
    moving = (
        float(gammaincc(moves + 0.5, rules.moving * needed)) if needed >= MIN_NEEDED else np.nan
    )
    improving = _improving(pace, rules)
    answers = (
        enough,
        None if np.isnan(moving) else bool(moving >= 0.5),
        None if np.isnan(improving) else bool(improving >= rules.improving),
    )
    is_before = pd.to_datetime(kept["check_in_on"]).to_numpy("datetime64[D]") < today
    before = kept[is_before]
    history = [Earlier(*pair) for pair in zip(before["decision"], before["reason"], strict=True)]
    decision, reason = decided(*answers, history, rules.look_back)
    coverage = _next_coverage(tables["pipe_coverage"])
    row = {
        "check_in_on": today,
        "is_kept": False,
        "decision": decision,
        "reason": reason,
        "is_enough": answers[0],
        "is_moving": answers[1],
        "is_improving": answers[2],
        "reach_goal_rate": now["reach_goal_rate"],
        "next_reach_goal_rate": following["reach_goal_rate"],
        "next_coverage_times": coverage[0],
        "usual_next_coverage_times": coverage[1],
        "n_moves": moves,
        "needed_moves": needed,
        "moving_rate": moving,
        "improving_rate": improving,
        **{name: now[name] for name in ("goal_amount", "booked_amount", "p10_amount", "p50_amount",
                                        "p90_amount")},
        **_qualified(pace, tables["stage_pace"]),
        **_most_behind(tables["stage_pace"]),
        **_attention(pace.forecast),
        **_surprises(pace.outlook.stays),
        **_pulled_forward(pace.forecast),
        "unknown_amount_rate": _share(now["n_open_without_amount"], now["n_open_deals"]),
    }  # fmt: skip
    found = pd.DataFrame([row])
    found = pd.concat([before.assign(is_kept=True), found], ignore_index=True)
    return found.assign(
        definition_id="order_of_attention",
        n_mature=len(pace.outlook.ages.rows),
        n_events=pace.outlook.n_wins,
        interval_id="p10_p90",
        method_id="gamma_poisson",
        as_of=today,
    )


def _company(forecasts: pd.DataFrame) -> tuple[Any, Any]:
    rows = forecasts[forecasts["scope"] == "company"].sort_values("period_start_on")
    return rows.iloc[0], rows.iloc[1]


def _share(n: Any, of: Any) -> float:
    return float(n) / float(of) if of else np.nan


def _next_coverage(coverage: pd.DataFrame) -> tuple[float, float]:
    """Of all open deals for the next quarter: now, and usually."""
    rows = coverage[coverage["pipeline_id"].isna()].sort_values("period_start_on")
    row = rows.iloc[-1]
    return float(row["coverage_times"]), float(row["usual_coverage_times"])


def _is_enough(now: Any, coverage: pd.DataFrame, rules: Rules) -> bool | None:
    times, usual = _next_coverage(coverage)
    chance = float(now["reach_goal_rate"])
    if np.isnan(chance) or np.isnan(times) or np.isnan(usual):
        return None
    return chance >= rules.enough and times >= usual


def _of_company(stages: pd.DataFrame) -> pd.DataFrame:
    return stages[(stages["scope"] == "company") & stages["reason"].isna()]


def _moves(stages: pd.DataFrame) -> tuple[int, float]:
    """Entries into the stages that lead to the goal: had, and needed by today."""
    mine = _of_company(stages)
    return int(mine["n_reached"].sum()), float(mine["needed_by_today"].astype(float).sum())


def _improving(pace: Pace, rules: Rules) -> float:
    """The chance that the last `look_back` check-ins kept the pace better than those before them.

    Gamma-Poisson of both: X1 / N1 > X0 / N0 of gammas is a beta beyond N1 / (N1 + N0).
    """
    length = np.timedelta64(rules.every_days * rules.look_back, "D")
    today = pace.outlook.stays.as_of
    last = _within(pace, today - length, today)
    before = _within(pace, today - 2 * length, today - length)
    if last is None or before is None or min(last[1], before[1]) < MIN_NEEDED:
        return np.nan
    border = last[1] / (last[1] + before[1])
    return float(betaincc(last[0] + 0.5, before[0] + 0.5, border))


def _within(pace: Pace, after: np.datetime64, until: np.datetime64) -> tuple[int, float] | None:
    """Entries into stages in the days after one and until another: had, and as planned; by the
    plans of the quarters these lie in.
    """
    had, needed = 0, 0.0
    start = quarters(after + 1, 1)[0].start
    while start <= until:
        end = quarters(start, 1)[0].end
        planned = _planned(pace, start, max(after, start), min(until, end))
        if planned is None:
            return None
        had, needed = had + planned[0], needed + planned[1]
        start = end + 1
    return had, needed


def _planned(
    pace: Pace, start: np.datetime64, after: np.datetime64, until: np.datetime64
) -> tuple[int, float] | None:
    if start < pace.outlook.days.first or pace.forecast.reason:
        return None
    plan = pace.plan_at(
        pace.origin_of(pace.goals.of("company", None, quarters(start, 1)[0]), start)
    )
    if not is_told(plan):
        return None
    scope = pace.scoped(plan, "company", None)
    solution = plan.solve(scope)
    if solution is None:
        return None
    begin, end = (
        int(np.clip(count - plan.outlook.today, 0, plan.outlook.ends[0]))
        for count in plan.outlook.days.by(np.array([after, until]))
    )
    had, needed = 0, 0.0
    for target in plan.targets():
        of_open, of_new = plan.entries(target, [scope], max(end, 1))
        path = (of_open + solution.times[0] * of_new)[0, 0]
        needed += float(path[end] - path[begin])
        on = pace.reaches.on[pace.reaches.of(target)]
        had += int(((on > after) & (on <= until)).sum())
    return had, needed


# --- Monday's numbers ----------------------------------------------------------------------------


def _qualified(pace: Pace, stages: pd.DataFrame) -> dict[str, Any]:
    """Deals that came as far as the second stage of their pipeline (the first, if it has one)."""
    mine = _of_company(stages)
    stays = pace.outlook.stays
    rank = {state: stays.rank[number] for number, state in enumerate(stays.states)}
    n, needed = 0, 0.0
    for _, rows in mine[mine["stage_kind"] == "open"].groupby("pipeline_id"):
        ranks = np.array([
            rank[pipeline, stage]
            for pipeline, stage in zip(rows["pipeline_id"], rows["stage_id"], strict=True)
        ])  # fmt: skip
        second = np.sort(np.unique(ranks))[min(1, len(np.unique(ranks)) - 1)]
        row = rows[ranks == second].iloc[0]
        n, needed = n + int(row["n_reached"]), needed + float(row["needed_by_today"])
    return {"n_qualified": n, "needed_qualified": needed if len(mine) else np.nan}


def _most_behind(stages: pd.DataFrame) -> dict[str, Any]:
    """The stage that is behind by most days, where that is more than chance."""
    mine = _of_company(stages)
    days = mine["ahead_days"].to_numpy(float)
    is_behind = (mine["is_beyond_chance"].astype(object) == True).to_numpy(bool) & (days < 0)  # noqa: E712
    if not is_behind.any():
        return {"behind_pipeline_id": None, "behind_stage_id": None, "behind_days": np.nan}
    row: Any = mine.iloc[int(np.where(is_behind, days, 0.0).argmin())]
    return {
        "behind_pipeline_id": row["pipeline_id"],
        "behind_stage_id": row["stage_id"],
        "behind_days": -float(row["ahead_days"]),
    }


def _attention(forecast: Forecast) -> dict[str, Any]:
    """Open deals overdue, without a next step or pushed twice and more; and any of these."""
    deals = forecast.open_deals[~forecast.open_deals["is_gone"].astype(bool)]
    overdue = deals["is_overdue"].to_numpy(bool)
    pushed = deals["n_pushed"].to_numpy(float) >= PUSHED_OFTEN
    without = deals["is_without_next_step"].to_numpy(bool)
    # Where no deal has a next step, none is exported.
    is_told = len(deals) > 0 and not without.all()
    any_of = overdue | pushed | (without & is_told)
    return {
        "n_attention": int(any_of.sum()),
        "attention_amount": float(np.nansum(deals["amount"].to_numpy(float)[any_of])),
        "n_overdue": int(overdue.sum()),
        "n_without_next_step": int(without.sum()) if is_told else np.nan,
        "n_pushed_often": int(pushed.sum()),
    }


def _surprises(stays: Stays) -> dict[str, Any]:
    """Wins of the quarter first quoted at most SURPRISE_DAYS before, or never; unknown where no
    stage is one of quotes.
    """
    is_quote = np.array([role == "quote" for role in stays.role], dtype=bool)
    if not is_quote.any():
        return {"n_surprise_wins": np.nan, "surprise_amount": np.nan}
    rows, amount = won_between(stays, quarters(stays.as_of, 1)[0].start, stays.as_of)
    known = {p for (p, _), quote in zip(stays.states, is_quote, strict=True) if quote}
    quoted = np.flatnonzero(is_quote[stays.state])
    first = pd.Series(stays.entered[quoted]).groupby(stays.journey[quoted]).min()
    on: Any = first.reindex(stays.journey[rows]).to_numpy("datetime64[D]")
    has_quotes = np.array([stays.states[state][0] in known for state in stays.state[rows]], bool)
    late = np.isnat(on) | (stays.left[rows] - on <= np.timedelta64(SURPRISE_DAYS, "D"))
    is_surprise = has_quotes & late
    return {
        "n_surprise_wins": int(is_surprise.sum()),
        "surprise_amount": float(np.nansum(amount[is_surprise])),
    }


def _pulled_forward(forecast: Forecast) -> dict[str, Any]:
    """Open deals expected to close in this quarter whose date was moved forward within it."""
    deals, period = forecast.open_deals, forecast.outlook.periods[0]
    pulled, expected = (
        deals[name].to_numpy("datetime64[D]") for name in ("last_pulled_on", "expected_close_on")
    )
    mine = ~deals["is_gone"].to_numpy(bool) & (pulled >= period.start) & (expected <= period.end)
    return {
        "n_pulled_forward": int(mine.sum()),
        "pulled_forward_amount": float(np.nansum(deals["amount"].to_numpy(float)[mine])),
    }
