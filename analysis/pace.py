"""Split times: each stage's entries against what the goal needs by today, and where behind.

Belongs here: the tables stage_pace and goal_pace.
Does not belong here: plans (plan), forecasts.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from analysis.forecasts import Forecast
from analysis.goals import Goal, Goals
from analysis.intervals import Floats, Integers, t_quantile
from analysis.outlook import MIN_WINS, Outlook, quarters
from analysis.plan import Plan, Scope, Solution, Target, ahead_by, noise_of
from analysis.stays import WON, Stays, is_of

# Below it days ahead or behind are no more than noise, and so are sellers' paces.
MIN_PLANNED = 5
MIN_OF_SELLER = 30
METHOD = {"interval_id": "bootstrap_95_by_account", "method_id": "markov_renewal"}


@dataclass
class Pace:
    """The paces of the day of `forecast`. `goals` are those of its company."""

    forecast: Forecast
    random: np.random.Generator

    @property
    def outlook(self) -> Outlook:
        return self.forecast.outlook

    @property
    def goals(self) -> Goals:
        return self.forecast.goals

    @cached_property
    def _plans(self) -> dict[np.datetime64, Plan]:
        return {}

    def plan_at(self, day: np.datetime64) -> Plan:
        """The plan of a day, from what was known on it; of today, with deals as they are now."""
        if day not in self._plans:
            if day >= self.outlook.stays.as_of:
                forecast = self.forecast
                self._plans[day] = Plan(self.outlook, forecast.rows, forecast.amount, self.random)
            else:
                stays = self.outlook.stays.at(day)
                # A plan does not move because another day draws otherwise.
                random = np.random.default_rng(int(day.astype(np.int64)))
                outlook = Outlook(stays, self.outlook.country, random)
                rows = outlook.open_rows
                self._plans[day] = Plan(outlook, rows, stays.amount[rows], random)
        return self._plans[day]

    @cached_property
    def reaches(self) -> "Reaches":
        return Reaches(self.outlook.stays)

    def scopes(self) -> list[tuple[str, str | None]]:
        """The company, and segments and sellers of whom enough is seen."""
        found = []
        for scope, scope_id in self.forecast.draws.scopes:
            rows, _ = self.outlook.arrivals
            n = is_of(self.outlook.stays, rows, scope, scope_id).sum()
            if scope == "company" or (scope_id is not None and n >= MIN_OF_SELLER):
                found.append((scope, scope_id))
        return found

    def origin_of(self, goal: Goal, start: np.datetime64) -> np.datetime64:
        """The day a plan is of: the quarter's first, or that on which its goal was stated."""
        is_later = goal.is_known and start < goal.stated_on <= self.outlook.stays.as_of
        return goal.stated_on if is_later else min(start, self.outlook.stays.as_of)

    def scoped(self, plan: Plan, scope: str, scope_id: str | None) -> Scope:
        stays, outlook = plan.outlook.stays, plan.outlook
        rows, amount = outlook.booked
        mine = is_of(stays, rows, scope, scope_id, has_left=True)
        return Scope(
            scope,
            scope_id,
            is_of(stays, plan.rows, scope, scope_id),
            is_of(stays, outlook.arrivals[0], scope, scope_id),
            float(np.nansum(amount[mine])),
            tuple(self.goals.following(scope, scope_id, outlook.periods)),
        )


class Reaches:
    """Every first time that an attempt at a deal came as far as some place in its pipeline: the row
    of the stay, and the day.
    """

    def __init__(self, stays: Stays) -> None:
        self.places = np.unique(np.append(stays.rank, np.inf))
        names, pipeline_of = np.unique(
            np.array([str(pipeline) for pipeline, _ in stays.states]), return_inverse=True
        )
        self.number_of = {str(name): number for number, name in enumerate(names)}
        # The last state stands for a win, in whichever pipeline.
        place_of = 1 + np.searchsorted(self.places, np.append(stays.rank, np.inf))
        attempt, pipeline = np.cumsum(stays.is_arrival), pipeline_of[stays.state]
        begin = np.flatnonzero(
            (np.diff(attempt, prepend=-1) != 0) | (np.diff(pipeline, prepend=-1) != 0)
        )
        moved = np.flatnonzero((stays.to == WON) | (stays.to >= 0))
        to = np.where(stays.to[moved] == WON, len(stays.states), stays.to[moved])
        row = np.concatenate([begin, moved])
        on = np.concatenate([stays.entered[begin], stays.left[moved]])
        place = place_of[np.concatenate([stays.state[begin], to])]
        into = np.concatenate([
            pipeline[begin],
            np.where(stays.to[moved] == WON, pipeline[moved], np.append(pipeline_of, 0)[to]),
        ])  # fmt: skip
        way = attempt[row] * len(names) + into
        order = np.lexsort((2 * row + (np.arange(len(row)) >= len(begin)), way))
        row, on, place, into, way = (values[order] for values in (row, on, place, into, way))
        # A running maximum within each way: `first` grows so that none reaches into the next.
        first = way * (len(self.places) + 1)
        furthest = np.maximum.accumulate(first + place) - first
        before = np.where(np.diff(way, prepend=-1) != 0, 0, np.append(0, furthest[:-1]))
        kept = place > before
        self.row, self.on, self.pipeline = row[kept], on[kept], into[kept]
        self.place, self.before = place[kept], before[kept]

    def of(self, target: Target) -> Integers:
        """Which of them reached the target."""
        wanted = 1 + np.searchsorted(self.places, target.rank)
        is_mine = self.pipeline == self.number_of.get(str(target.pipeline_id), -1)
        return np.flatnonzero(is_mine & (self.place >= wanted) & (self.before < wanted))


@dataclass(frozen=True)
class _Planned:
    """A scope with what its plan needs, and what that is multiplied by at the safe pace."""

    scope: Scope
    solution: Solution | None
    safe_times: float


def pace_tables(pace: Pace) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tables stage_pace (a row a scope and stage) and goal_pace (a row a scope and quarter)."""
    stages, quarterly = [_no_stage()], []
    if pace.forecast.reason:
        quarterly.append(_untold(pace, "company", None, pace.forecast.reason))
    start = pace.outlook.periods[0].start
    by_origin: dict[np.datetime64, list[tuple[str, str | None]]] = {}
    for scope, scope_id in [] if pace.forecast.reason else pace.scopes():
        goal = pace.goals.of(scope, scope_id, pace.outlook.periods[0])
        by_origin.setdefault(pace.origin_of(goal, start), []).append((scope, scope_id))
    for origin, scopes in by_origin.items():
        if not is_told(pace.plan_at(origin)):
            quarterly += [_untold(pace, *scope, reason="too_few_wins") for scope in scopes]
            continue
        found, told = _of_origin(pace, origin, scopes)
        stages += found
        quarterly += told
    facts: dict[str, Any] = {
        "definition_id": "first_reached",
        "n_mature": len(pace.outlook.ages.rows),
        "n_events": pace.outlook.n_wins,
        **METHOD,
        "as_of": pace.outlook.stays.as_of,
    }
    return (
        pd.concat(stages, ignore_index=True).assign(**facts),
        pd.concat(quarterly, ignore_index=True).assign(**facts),
    )


def is_told(plan: Plan) -> bool:
    return plan.outlook.n_wins >= MIN_WINS


def _of_origin(
    pace: Pace, origin: np.datetime64, scopes: list[tuple[str, str | None]]
) -> tuple[list[pd.DataFrame], list[pd.DataFrame]]:
    """Stages and quarters of scopes whose plans are of one day."""
    plan, now = pace.plan_at(origin), pace.plan_at(pace.outlook.stays.as_of)
    planned = [_planned(pace, plan, *scope, is_safe_told=True) for scope in scopes]
    current = [_planned(pace, now, *scope) for scope in scopes]
    told = [_quarters(pace, *pair) for pair in zip(planned, current, strict=True)]
    frames = []
    for target in plan.targets():
        rows = _of_target(pace, plan, now, target, planned, current)
        frames.append(pd.DataFrame(rows).assign(plan_on=origin))
    return frames, told


def _planned(
    pace: Pace, plan: Plan, scope: str, scope_id: str | None, is_safe_told: bool = False
) -> _Planned:
    mine = pace.scoped(plan, scope, scope_id)
    solution = plan.solve(mine)
    safe = plan.safe_times(mine, solution) if solution and is_safe_told else np.nan
    return _Planned(mine, solution, safe)


def _of_target(
    pace: Pace,
    plan: Plan,
    now: Plan,
    target: Target,
    planned: list[_Planned],
    current: list[_Planned],
) -> list[dict[str, Any]]:
    """A row of each scope: entries into the target, had and needed."""
    last, rest = plan.outlook.ends[0], now.outlook.ends[0]
    elapsed = now.outlook.today - plan.outlook.today
    of_open, of_new = plan.entries(target, [one.scope for one in planned], last)
    scopes = [one.scope for one in current]
    later = now.entries(target, scopes, rest, n_draws=1) if rest else None
    reached = pace.reaches.of(target)
    is_since = pace.reaches.on[reached] > plan.outlook.stays.as_of
    rows = pace.reaches.row[reached[is_since]]
    answers = []
    for number, (was, of_now) in enumerate(zip(planned, current, strict=True)):
        scope, solution = was.scope, was.solution
        entered = int(is_of(pace.outlook.stays, rows, scope.scope, scope.scope_id).sum())
        row = {
            "scope": scope.scope,
            "scope_id": scope.scope_id,
            "pipeline_id": target.pipeline_id,
            "stage_id": None if target.state == WON else plan.outlook.stays.states[target.state][1],
            "stage_kind": "won" if target.state == WON else "open",
            "period_start_on": quarters(pace.outlook.stays.as_of, 1)[0].start,
            "n_reached": entered,
        }
        if solution is None:
            answers.append({**row, **_nothing_needed(scope)})
            continue
        draws = of_open[number] + solution.times[0] * of_new[number]
        needed = draws[0]
        safe = needed + (was.safe_times - 1) * solution.times[0] * of_new[number][0]
        value = _value(now, of_now.scope, target)
        answers.append({
            **row,
            **_against(needed, entered, min(elapsed, last), value),
            **_bounds(draws[:, min(elapsed, last)]),
            "safe_needed_by_today": float(safe[min(elapsed, last)]),
            "safe_needed_by_end": float(safe[last]),
            "needed_from_now": _from_now(later, of_now.solution, number),
            "reason": None,
        })  # fmt: skip
    return answers


def _bounds(draws: Floats) -> dict[str, float]:
    """Around the first of them, 95 %, by how the others spread."""
    half = float(t_quantile(len(draws) - 2) * draws[1:].std(ddof=1))
    return {
        "low_needed_by_today": max(float(draws[0]) - half, 0.0),
        "high_needed_by_today": float(draws[0]) + half,
    }


def _against(needed: Floats, entered: int, today: int, value: float) -> dict[str, Any]:
    """Ahead or behind in deals, selling days and money; whether chance alone does as much."""
    by_today = float(needed[today])
    days = ahead_by(needed, entered, today) if by_today >= MIN_PLANNED else np.nan
    noise = float(noise_of(today, by_today)) if by_today >= MIN_PLANNED else np.nan
    return {
        "needed_by_today": by_today,
        "needed_by_end": float(needed[-1]),
        "ahead_deals": entered - by_today,
        "ahead_days": days,
        "ahead_amount": (entered - by_today) * value,
        "chance_days": noise,
        "is_beyond_chance": None if np.isnan(days) else bool(abs(days) > noise),
    }


def _nothing_needed(scope: Scope) -> dict[str, Any]:
    names = ("needed_by_today", "needed_by_end", "ahead_deals", "ahead_days", "ahead_amount",
             "chance_days", "low_needed_by_today", "high_needed_by_today", "safe_needed_by_today",
             "safe_needed_by_end", "needed_from_now")  # fmt: skip
    return {**dict.fromkeys(names, np.nan), "is_beyond_chance": None, "reason": _reason(scope)}


def _reason(scope: Scope) -> str:
    is_known = all(goal.is_known for goal in scope.goals)
    return "no_new_deals" if is_known else "no_goal"


def _from_now(later: Any, solution: Solution | None, number: int) -> float:
    if later is None or solution is None:
        return np.nan
    of_open, of_new = later
    return float((of_open[number] + solution.times[0] * of_new[number])[0, -1])


def _value(now: Plan, scope: Scope, target: Target) -> float:
    """Money that an entry now brings by the quarter's end."""
    rate = now.per_day(scope).sum(axis=1)
    rate = rate / max(rate.sum(), 1e-9)
    if target.state == WON:
        return float(rate @ now.value[0])
    won = now.won[:, 0, target.state, now.outlook.ends[0]]
    return float(rate @ (now.value[0] * won))


def _quarters(pace: Pace, was: _Planned, of_now: _Planned) -> pd.DataFrame:
    """New deals needed, by quarter: as planned, and from now on."""
    scope, solution = was.scope, was.solution
    if solution is None:
        return _untold(pace, scope.scope, scope.scope_id, _reason(scope))
    now = of_now.solution or Solution(*(np.full(len(scope.goals), np.nan),) * 4)
    return pd.DataFrame({
        "scope": scope.scope,
        "scope_id": scope.scope_id,
        "period_start_on": [period.start for period in pace.outlook.periods],
        "goal_amount": [goal.amount for goal in scope.goals],
        "goal_basis": [goal.basis for goal in scope.goals],
        "planned_new_deals": solution.times * solution.usual,
        "usual_new_deals": solution.usual,
        "safe_times": was.safe_times,
        "needed_new_deals_from_now": now.times * now.usual,
        "usual_new_deals_from_now": now.usual,
        "missing_amount": now.missing,
        "reason": None,
    })  # fmt: skip


def _untold(pace: Pace, scope: str, scope_id: str | None, reason: str) -> pd.DataFrame:
    goals = pace.goals.following(scope, scope_id, pace.outlook.periods)
    names = ("planned_new_deals", "usual_new_deals", "safe_times", "needed_new_deals_from_now",
             "usual_new_deals_from_now", "missing_amount")  # fmt: skip
    return pd.DataFrame({
        "scope": scope,
        "scope_id": scope_id,
        "period_start_on": [period.start for period in pace.outlook.periods],
        "goal_amount": [goal.amount for goal in goals],
        "goal_basis": [goal.basis for goal in goals],
        **dict.fromkeys(names, np.nan),
        "reason": reason,
    })  # fmt: skip


def _no_stage() -> pd.DataFrame:
    names = ("scope", "scope_id", "pipeline_id", "stage_id", "stage_kind", "period_start_on",
             "plan_on", "n_reached", *_nothing_needed(Scope("", None, *(np.zeros(0, bool),) * 2,
                                                            0.0, ())))  # fmt: skip
    return pd.DataFrame({name: pd.Series(dtype=object) for name in names})
