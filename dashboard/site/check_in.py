"""The start page: decision, Monday's five numbers, goal, forecast, split times, changes.

Belongs here: which published figures it shows. Does not belong here: sentences (words).
"""

from pathlib import Path
from typing import Any

from dashboard import check_in
from dashboard.site.charts import Charts
from dashboard.site.parts import Page, Section, Source, table_of

FORECASTS = """
    select
        group_key(scope, scope_id) as group, period_start_on, reason,
        p10_amount as low, p50_amount as value, p90_amount as high, goal_amount as goal,
        booked_amount as had, n_booked, n_open_deals, reach_goal_rate, expected_open_part_amount,
        expected_new_part_amount
    from forecasts where is_shown(scope, scope_id)
    order by scope, scope_id, period_start_on
"""
PACES = """
    select
        group_key(scope, scope_id) as group, coalesce(pace.pipeline_id, '') as pipeline,
        stage, bare(pace.pipeline_id) as pipeline_name, n_reached, needed_by_today,
        low_needed_by_today, high_needed_by_today, safe_needed_by_today, ahead_deals, ahead_days,
        ahead_amount, is_beyond_chance
    from stage_pace as pace left join stage_names using (pipeline_id, stage_id)
    where pace.reason is null and is_shown(scope, scope_id)
    order by scope, scope_id, pace.pipeline_id, pace.stage_kind = 'won', stage_rank, pace.stage_id
"""
NEEDED = """
    select
        group_key(scope, scope_id) as group, period_start_on, goal_amount, planned_new_deals,
        usual_new_deals, safe_times, needed_new_deals_from_now, usual_new_deals_from_now,
        missing_amount
    from goal_pace where reason is null and is_shown(scope, scope_id)
    order by scope, scope_id, period_start_on
"""
LAST_DAYS = """
    select
        if(dimension in ('all', 'segment'), group_key(dimension, dimension_value), 'all') as group,
        record_type, dimension, label_of(dimension, dimension_value) as label,
        days_until_first_wins, last_useful_on, n_events
    from last_useful_days where is_shown(dimension, dimension_value)
    order by record_type, dimension <> 'all', dimension, label
"""


def check_in_page(source: Source, folder: Path) -> Page:
    """`folder` is the set's."""
    filters = [*source.pipelines(), *source.groups(("segment", "seller"))]
    charts = Charts(source.words, filters)
    told = check_in.page(folder, is_held=False, language=source.words.language)
    sections = _said(source, told) if told else [_nothing(source)]
    forecast = _forecast(source, charts)
    after = [forecast, _paces(source), _needed(source), _last_days(source)]
    shown = [*sections[:3], *(part for part in after if part), *sections[3:]]
    return Page("check_in", filters, shown)


def _nothing(source: Source) -> Section:
    return Section(source.words("decision"), lines=[source.words("nothing_entered")])


def _said(source: Source, told: check_in.Page) -> list[Section]:
    words, row = source.words, told.row
    answers = [f"{question}: {answer}" for question, answer in told.answers]
    return [
        Section(
            f"{words('decision')}: {words(row.decision)}",
            [words(row.reason), words("held" if row.is_kept else "preview")],
            answers,
        ),
        Section(words("numbers"), [words("unit")], told.numbers),
        Section(words("beside"), lines=told.beside),
        Section(words("focus"), lines=told.focus),
        Section(words("actions"), [words("associated")], told.actions),
    ]


def _forecast(source: Source, charts: Charts) -> Section:
    words = source.words
    rows = source.rows(FORECASTS)
    told = [{**row, "label": words.quarter(row["period_start_on"])} for row in rows
            if row["reason"] is None]  # fmt: skip
    if not told:
        reason = next((row["reason"] for row in rows), "no_dates")
        return Section(words("forecast"), lines=[words.of("untold", reason)])
    head = source.head(
        "quarter goal_amount booked_amount p10 p50 p90 reach_goal open_part new_part open_deals"
    )

    def cells(row: dict[str, Any]) -> list[str]:
        amounts = [words.number(row[name]) for name in ("goal", "had", "low", "value", "high")]
        parts = [row["expected_open_part_amount"], row["expected_new_part_amount"]]
        return [row["label"], *amounts, words.percent(row["reach_goal_rate"]),
                *map(words.number, parts), words.number(row["n_open_deals"])]  # fmt: skip

    drawn = [{name: row[name] for name in ("group", "label", "low", "value", "high", "goal", "had")}
             for row in told]  # fmt: skip
    chart = charts.fan(drawn, words("unit"))
    table = table_of(head, told, cells, ("group",))
    return Section(words("forecast"), [words("fan_note")], chart=chart, table=table)


def _paces(source: Source) -> Section:
    words = source.words
    rows = source.rows(PACES)
    if not rows:
        return Section(words("times"), lines=[words("no_pace")])

    def cells(row: dict[str, Any]) -> list[str]:
        name = row["stage"] or words("won", pipeline=row["pipeline_name"] or "")
        low, high = (
            words.number(row["low_needed_by_today"]),
            words.number(row["high_needed_by_today"]),
        )
        is_chance = row["ahead_days"] is not None and not row["is_beyond_chance"]
        return [
            name, words.number(row["needed_by_today"]), f"{low}–{high}",
            words.number(row["safe_needed_by_today"]), words.number(row["n_reached"]),
            *(words.number(row[name], sign=True)
              for name in ("ahead_deals", "ahead_amount", "ahead_days")),
            words("chance") if is_chance else "",
        ]  # fmt: skip

    head = source.head("stage needed interval safely had deals ahead_amount days remark")
    table = table_of(head, rows, cells, ("group", "pipeline"))
    return Section(words("times"), [words("times_note")], table=table)


def _needed(source: Source) -> Section | None:
    words = source.words
    rows = source.rows(NEEDED)
    if not rows:
        return None

    def cells(row: dict[str, Any]) -> list[str]:
        names = (
            "goal_amount planned_new_deals usual_new_deals needed_new_deals_from_now "
            "usual_new_deals_from_now missing_amount"
        )
        return [words.quarter(row["period_start_on"]), *source.numbers(row, names)]

    head = source.head("quarter goal_amount planned usual from_now usual_from_now missing")
    table = table_of(head, rows, cells, ("group",))
    return Section(words("new_deals"), [words("new_deals_note")], table=table)


def _last_days(source: Source) -> Section | None:
    words = source.words
    rows = [row for row in source.rows(LAST_DAYS) if row["last_useful_on"] is not None]
    if not rows:
        return None

    def cells(row: dict[str, Any]) -> list[str]:
        name = words(row["record_type"])
        label = name if row["dimension"] == "all" else f"{name}, {row['label']}"
        days = words.number(row["days_until_first_wins"])
        return [label, days, words.day(row["last_useful_on"]), words.number(row["n_events"])]

    head = source.head("what days_until_win last_useful n_wins")
    shown = [row for row in rows if row["dimension"] in ("all", "segment", "source")]
    return Section(
        words("last_days"), [words("last_days_note")], table=table_of(head, shown, cells)
    )
