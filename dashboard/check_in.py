"""The check-in as text for a terminal, and as one HTML page that can be sent by e-mail.

Belongs here: choosing and laying out published figures.
Does not belong here: new figures, sentences (words).
"""

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from dashboard.lines import cut, opened, rows_of
from dashboard.words import Words
from ingestion.shown import printable

STAGES = """
    select
        stage.label, regexp_replace(pace.stage_id, '^[^:]*:', ''),
        regexp_replace(pace.pipeline_id, '^[^:]*:', ''),
        n_reached, needed_by_today, ahead_deals, ahead_days, is_beyond_chance
    from stage_pace as pace
    left join dim_stages as stage
        on stage.pipeline_id = pace.pipeline_id and stage.stage_id = pace.stage_id
    where scope = 'company' and reason is null
    order by pace.pipeline_id, pace.stage_kind = 'won', stage.stage_rank, pace.stage_id
"""
BEHIND = "select label from dim_stages where pipeline_id = $pipeline and stage_id = $stage"
FOCUS = """
    select
        coalesce(stage.label, regexp_replace(focus.stage_id, '^[^:]*:', ''), focus.pipeline_id),
        coalesce(seller.name, focus.dimension_value),
        forward_rate, reference_rate, worth_amount, low_worth_amount, high_worth_amount
    from focus
    left join dim_stages as stage
        on stage.pipeline_id = focus.pipeline_id and stage.stage_id = focus.stage_id
    left join dim_sellers as seller
        on focus.dimension = 'seller' and seller.seller_id = focus.dimension_value
    order by rank limit 5
"""
ACTIONS = """
    select
        action_on, coalesce(seller.name, effects.scope_id, effects.scope), kind, metric, effect
    from action_effects as effects
    left join dim_sellers as seller
        on effects.scope = 'seller' and seller.seller_id = effects.scope_id
    order by action_on desc, 2, kind limit 10
"""


@dataclass(frozen=True)
class Line:
    """A stage against its pace, in words."""

    stage: str
    had: str
    needed: str
    deals: str
    days: str
    note: str


@dataclass(frozen=True)
class Page:
    """All that is said, in one language."""

    words: Words
    row: Any
    is_held: bool
    answers: list[tuple[str, str]]
    numbers: list[str]
    beside: list[str]
    stages: list[Line]
    focus: list[str]
    actions: list[str]


def page(published: Path, is_held: bool, language: str) -> Page | None:
    """The check-in of a published set's day; None where it has none."""
    words = Words(language)
    with opened(published) as connection:
        found = connection.execute("from check_ins where check_in_on = as_of")
        names = [column[0] for column in found.description]
        values = found.fetchone()
        if values is None:
            return None
        row = SimpleNamespace(**dict(zip(names, values, strict=True)))
        return Page(
            words,
            row,
            is_held,
            [
                (words("enough"), words.answer(row.is_enough)),
                (words("moving"), words.answer(row.is_moving)),
                (words("improving"), words.answer(row.is_improving)),
            ],
            _numbers(connection, words, row),
            _beside(words, row),
            [_line(words, *stage) for stage in rows_of(connection, STAGES)],
            _focus(connection, words),
            _actions(connection, words),
        )


def _numbers(connection: duckdb.DuckDBPyConnection, words: Words, row: Any) -> list[str]:
    number = words.number
    behind = words("not_behind")
    if row.behind_days is not None:
        asked = {"pipeline": row.behind_pipeline_id, "stage": row.behind_stage_id}
        found = rows_of(connection, BEHIND, asked)
        stage = found[0][0] if found else words("won", pipeline=_bare(row.behind_pipeline_id))
        behind = words("behind", stage=printable(stage), days=number(row.behind_days))
    return [
        words(
            "goal",
            now=words.percent(row.reach_goal_rate),
            next=words.percent(row.next_reach_goal_rate),
        ),
        words(
            "booked",
            booked=number(row.booked_amount),
            goal=number(row.goal_amount),
            p10=number(row.p10_amount),
            p50=number(row.p50_amount),
            p90=number(row.p90_amount),
        ),
        words("qualified", n=number(row.n_qualified), needed=number(row.needed_qualified)),
        behind,
        words(
            "attention",
            amount=number(row.attention_amount),
            n=number(row.n_attention),
            overdue=number(row.n_overdue),
            without=number(row.n_without_next_step),
            pushed=number(row.n_pushed_often),
        ),
    ]


def _beside(words: Words, row: Any) -> list[str]:
    said = []
    if row.goal_amount is None:
        said.append(words("no_goal"))
    if row.n_surprise_wins is not None:
        amount = words.number(row.surprise_amount)
        said.append(words("surprise", n=words.number(row.n_surprise_wins), amount=amount))
    amount = words.number(row.pulled_forward_amount)
    said.append(words("pulled", n=words.number(row.n_pulled_forward), amount=amount))
    if row.unknown_amount_rate:
        said.append(words("imputed", share=words.percent(row.unknown_amount_rate)))
    return said


def _bare(name: str | None) -> str:
    return (name or "").partition(":")[2] or (name or "")


def _line(
    words: Words,
    label: str | None,
    stage: str | None,
    pipeline: str | None,
    had: int,
    needed: float,
    deals: float,
    days: float | None,
    is_beyond_chance: bool | None,
) -> Line:
    name = label or stage or words("won", pipeline=pipeline or "")
    return Line(
        printable(name),
        words.number(had),
        words.number(needed),
        words.number(deals, sign=True),
        words.number(days, sign=True),
        "" if is_beyond_chance or days is None else words("chance"),
    )


def _focus(connection: duckdb.DuckDBPyConnection, words: Words) -> list[str]:
    rows = [
        words(
            "gap",
            what=printable(f"{stage}, {value}" if value else stage),
            rate=words.percent(rate),
            reference=words.percent(reference),
            amount=words.number(worth),
            low=words.number(low),
            high=words.number(high),
        )
        for stage, value, rate, reference, worth, low, high in rows_of(connection, FOCUS)
    ]
    return rows or [words("no_focus")]


def _actions(connection: duckdb.DuckDBPyConnection, words: Words) -> list[str]:
    rows = [
        f"{words.day(on)} {printable(str(who))}, {printable(kind)} "
        f"({printable(str(metric or '–'))}): {words(effect)}"
        for on, who, kind, metric, effect in rows_of(connection, ACTIONS)
    ]
    return rows or [words("no_actions")]


def text(told: Page) -> str:
    """For a terminal, about 100 characters wide."""
    words, row = told.words, told.row
    held = words("held" if told.is_held else "preview")
    lines = [
        f"{words('title')} {words.day(row.check_in_on)} ({held})",
        f"{words('decision')}: {words(row.decision)} – {words(row.reason)}",
        " · ".join(f"{question}: {answer}" for question, answer in told.answers),
        "",
        f"{words('numbers')} ({words('unit')})",
        *(f"{n}  {said}" for n, said in enumerate(told.numbers, start=1)),
        "",
        words("beside"),
        *(f"   {said}" for said in told.beside),
    ]
    if told.stages:
        lines += ["", words("times"), f"{words('stage'):<28}{words('had'):>9}{words('needed'):>11}"
                  f"{words('deals'):>15}{words('days'):>14}"]  # fmt: skip
        lines += [
            f"{cut(line.stage, 27):<28}{line.had:>9}{line.needed:>11}{line.deals:>15}"
            f"{line.days:>14}  {line.note}".rstrip()
            for line in told.stages
        ]
    for name, said in (("focus", told.focus), ("actions", told.actions)):
        lines += ["", words(name), *(f"   {one}" for one in said)]
    return "\n".join(lines).replace("\u00a0", " ")


def html(told: Page) -> str:
    """One self-contained page: no script, nothing loaded, everything escaped."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template("check_in.html").render(told=told, words=told.words)
