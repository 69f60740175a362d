"""The page of cause and effect: where deals came from and went, what meetings and sign-ups took.

Belongs here: which published figures it shows. Does not belong here: sentences (words), the places
of bands in the flow picture (flow).
"""

from typing import Any

from dashboard.site.charts import Charts
from dashboard.site.flow import bands_of
from dashboard.site.parts import Filter, Page, Section, Source, bare, rate, table_of

PATHS = """
    select
        touch_definition_id as touch, coalesce(touch_type, 'none') as touch_type, touch_detail,
        path, outcome, n_deals as n, amount_base::double as amount, n_without_amount
    from journey_paths order by touch, n_deals desc, touch_type, touch_detail, path, outcome
"""
DIMENSIONS = ("message_variant", "daypart", "weekday", "local_hour", "attempt", "segment",
              "business_area", "source", "seller")  # fmt: skip
# Sellers and hours of each segment are left to the tables: 200 sellers of 12 segments are 1.5 MB.
NEEDED = """
    select
        type as activity, dimension as "by", label_of(dimension, dimension_value) as label,
        if(group_dimension = 'all', 'all', group_key('segment', group_value)) as group,
        n_mature as n, n_events, estimated_rate as value, low_simultaneous_rate as low,
        high_simultaneous_rate as high, attempts_per_effect, low_attempts_per_effect,
        high_attempts_per_effect, n_needed_for_1_at_80, n_needed_for_5_at_80, n_needed_for_20_at_80,
        reason
    from activity_estimates
    where definition_id = 'meeting_held_14' and group_dimension in ('all', 'segment')
        and list_contains($dimensions, dimension) and n_mature > 0
        and (group_dimension = 'all' or dimension not in ('seller', 'local_hour'))
        and is_shown(group_dimension, group_value)
    qualify row_number() over (
        partition by type, group_dimension, group_value, dimension
        order by n_mature desc, dimension_value
    ) <= 40
    order by activity, dimension, dimension_value
"""
COMPARED = """
    select
        type as activity, dimension as "by", label_of(dimension, dimension_value) as label,
        if(group_dimension = 'all', 'all', group_key('segment', group_value)) as group,
        n_mature as n, raw_difference, adjusted_difference as value,
        low_simultaneous_difference as low, high_simultaneous_difference as high, overlap_rate,
        warning, said, n_compared, expected_by_chance
    from activity_comparisons
    where definition_id = 'meeting_held_14' and group_dimension in ('all', 'segment')
        and list_contains($dimensions, dimension) and is_shown(group_dimension, group_value)
    qualify row_number() over (
        partition by type, group_dimension, group_value, dimension
        order by n_mature desc, dimension_value
    ) <= 40
    order by activity, dimension, dimension_value
"""
REMINDERS = """
    select
        dimension as sent, label_of(if(dimension = 'first_sender', 'seller', dimension),
            dimension_value) as label,
        reminder_no, n_mature as n, n_events, estimated_rate, signed_up_rate as value,
        low_signed_up_rate as low, high_signed_up_rate as high, n_invitations_needed_for_20_at_80
    from reminder_sequences where n_mature > 0
    qualify dense_rank() over (partition by dimension order by dimension_value desc) <= 40
    order by dimension <> 'all', dimension, dimension_value, reminder_no
"""
RANDOMISED = """
    select experiment_id, variant, n_mature, said from experiment_readouts
    where not is_control order by experiment_id, variant
"""


def causes_page(source: Source) -> Page:
    words = source.words
    needed = source.rows(NEEDED, dimensions=list(DIMENSIONS))
    largest: dict[str, int] = {}
    for row in needed:
        largest[row["activity"]] = max(row["n"], largest.get(row["activity"], 0))
    most = sorted(largest, key=lambda name: -largest[name])
    of_most = [row for row in needed if row["activity"] == most[0]] if most else []
    told = [
        each for each in DIMENSIONS if len({r["label"] for r in of_most if r["by"] == each}) > 1
    ]
    untold = [each for each in DIMENSIONS if each not in told]
    paths = source.rows(PATHS)
    of_paths = [
        *_filter(source, "touch", ["first_touch", "last_touch", "any_touch"]),
        *_filter(source, "measure", ["deals_measure", "money_measure"]),
    ]
    filters = [
        *(of_paths if paths else []),
        *_filter(source, "activity", most),
        *_filter(source, "by", [*told, *untold] if needed else []),
        *source.groups(("segment",)),
    ]  # fmt: skip
    charts = Charts(words, filters)
    sections = [*_flows(source, charts, paths), *_randomised(source)]
    sections += [*_needed(source, charts, needed), *_compared(source, charts)]
    return Page("causes", filters, [*sections, *_reminders(source, charts)])


def _filter(source: Source, name: str, values: list[str]) -> list[Filter]:
    if not values:
        return []
    options = [(value, source.words.term(value)) for value in values]
    return [Filter(name, source.words(f"filter_{name}"), options, values[0])]


def _label(source: Source, dimension: str, label: str) -> str:
    """Our own words for parts of the day and for what is unknown; the company's own stay."""
    is_ours = dimension in ("daypart", "weekday") or label == "(unknown)"
    return source.words.term(label) if is_ours else label


def _flows(source: Source, charts: Charts, rows: list[dict[str, Any]]) -> list[Section]:
    words = source.words
    if not rows:
        return [Section(words("flow_forward"), lines=[words("no_paths")])]
    stages = dict(
        source.options("select distinct stage_id as value, stage as label from stage_names")
    )
    for row in rows:
        row["what"] = words.term(row["touch_type"])
        if row["touch_detail"]:
            row["what"] += f": {stages.get(row['touch_detail'], bare(row['touch_detail']))}"
        path = [each for each in (row["path"] or "").split(" > ") if each]
        steps = [
            words.term(each) if each == "(other paths)" else stages.get(each, bare(each))
            for each in path
        ]
        row["steps"] = [row["what"], *steps]
        row["kind"] = words.of("became", row["outcome"])
    head = source.head("touch path became deals_n amount without_amount")
    sections = []
    for name, shown in (
        ("flow_forward", rows),
        ("flow_backward", [r for r in rows if r["outcome"] == "won"]),
    ):
        bands = bands_of(shown)
        table = table_of(
            head,
            shown,
            lambda row: [row["what"], " → ".join(row["steps"][1:]), row["kind"],
                         *source.numbers(row, "n amount n_without_amount")],
            ("touch",),
        )  # fmt: skip
        chart = charts.flow(bands, words(name)) if bands else None
        sections.append(Section(words(name), [words(f"{name}_note")], chart=chart, table=table,
                                evidence="observed"))  # fmt: skip
    return sections


def _randomised(source: Source) -> list[Section]:
    words = source.words
    rows = source.rows(RANDOMISED)
    lines = [
        f"{bare(row['experiment_id'])}, {row['variant']} "
        f"(n {words.number(row['n_mature'])}): {words.term(row['said'] or 'unknown')}"
        for row in rows
    ]
    if not rows:
        return []
    return [
        Section(words("by_experiment"), [words("by_experiment_note")], lines, evidence="randomised")
    ]


def _needed(source: Source, charts: Charts, rows: list[dict[str, Any]]) -> list[Section]:
    words = source.words
    if not rows:
        return [Section(words("activities_needed"), lines=[words("no_activities")])]
    for row in rows:
        row["label"] = _label(source, row["by"], row["label"])

    def cells(row: dict[str, Any]) -> list[str]:
        per = row["attempts_per_effect"]
        low, high = row["low_attempts_per_effect"], row["high_attempts_per_effect"]
        interval = f"{words.number(low)} – {words.number(high)}" if per is not None else "–"
        most = [words.number(row[f"n_needed_for_{n}_at_80"]) for n in (1, 5, 20)]
        return [row["label"], words.number(row["n"]), words.number(row["n_events"]),
                words.number(per) if per is not None else words.term(row["reason"] or "too_little"),
                interval, *most]  # fmt: skip

    head = source.head("what attempts meetings per_meeting interval for_1 for_5 for_20")
    table = table_of(head, rows, cells, ("activity", "by", "group"))
    chart = charts.intervals(rows, words("share_meeting"), form=".1%")
    return [Section(words("activities_needed"), [words("needed_note")], chart=chart, table=table,
                    evidence="observed")]  # fmt: skip


def _compared(source: Source, charts: Charts) -> list[Section]:
    words = source.words
    rows = source.rows(COMPARED, dimensions=list(DIMENSIONS))
    if not rows:
        return []
    for row in rows:
        row["label"] = _label(source, row["by"], row["label"])

    def cells(row: dict[str, Any]) -> list[str]:
        interval = "–"
        if row["low"] is not None:
            interval = f"{words.points(row['low'])} – {words.points(row['high'])}"
        warning = words.term(row["warning"]) if row["warning"] else ""
        return [row["label"], words.number(row["n"]), words.points(row["raw_difference"]),
                words.points(row["value"]), interval, words.percent(row["overlap_rate"]),
                words.term(row["said"]), warning]  # fmt: skip

    head = source.head("what attempts raw adjusted interval overlap said remark")
    table = table_of(head, rows, cells, ("activity", "by", "group"))
    n = max(row["n_compared"] or 0 for row in rows)
    chance = max(row["expected_by_chance"] or 0 for row in rows)
    notes = [
        words("compared_note"),
        words("many_compared", n=words.number(n), chance=words.decimal(chance)),
    ]
    chart = charts.intervals(rows, words("points_more"), zero=True, form="+.1%")
    return [Section(words("compared"), notes, chart=chart, table=table, evidence="observed")]


def _reminders(source: Source, charts: Charts) -> list[Section]:
    words = source.words
    rows = source.rows(REMINDERS)
    if not rows:
        return []
    for row in rows:
        name = _label(source, row["sent"], row["label"])
        is_all = row["sent"] == "all"
        row["what"] = words("everything") if is_all else f"{words.term(row['sent'])}: {name}"
        row["label"] = words("n_reminders", n=row["reminder_no"])
    drawn = [row for row in rows if row["sent"] == "all"]
    head = source.head("what reminder people signups share_after interval invitations_20")
    table = table_of(
        head,
        rows,
        lambda row: [
            row["what"], row["label"], words.number(row["n"]), words.number(row["n_events"]),
            *rate(source, row),
            words.number(row["n_invitations_needed_for_20_at_80"]),
        ],
    )  # fmt: skip
    chart = charts.intervals(drawn, words("share_after"))
    return [Section(words("seminar"), [words("seminar_note")], chart=chart, table=table,
                    evidence="observed")]  # fmt: skip
