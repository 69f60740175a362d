"""The page of experiments: each with its state and its interval over time.

Belongs here: which published figures it shows. Does not belong here: sentences (words).
"""

from typing import Any

from dashboard.site.charts import Charts
from dashboard.site.parts import Filter, Page, Section, Source, table_of

DECLARED = """
    select experiment_id as experiment, bare(experiment_id) as label, variants, unit,
        primary_outcome, window_days, start_on, end_on, is_declared_late, is_changed
    from dim_experiments order by start_on desc, experiment_id
"""
READOUTS = """
    select experiment_id as experiment, variant, is_control, n_assigned, n_unknown, n_mature as n,
        n_events, mean_outcome, adjusted_difference as value, low_always_difference as low,
        high_always_difference as high, state, said, warning
    from experiment_readouts order by experiment_id, is_control desc, variant
"""
LOOKS = """
    select experiment_id as experiment, variant as label, looked_on::varchar as day, n_mature as n,
        adjusted_difference as value, low_always_difference as low, high_always_difference as high
    from experiment_looks where low_always_difference is not null
    order by experiment_id, looked_on, variant
"""


def experiments_page(source: Source) -> Page:
    words = source.words
    declared = source.rows(DECLARED)
    if not declared:
        return Page(
            "experiments", [], [Section(words("experiments"), lines=[words("no_experiments")])]
        )
    options = [(row["experiment"], row["label"]) for row in declared]
    filters = [Filter("experiment", words("experiment"), options, options[0][0])]
    charts = Charts(words, filters)
    return Page("experiments", filters, [_declared(source, declared), _readouts(source),
                                         *_looks(source, charts)])  # fmt: skip


def _declared(source: Source, rows: list[dict[str, Any]]) -> Section:
    words = source.words

    def cells(row: dict[str, Any]) -> list[str]:
        end = words.day(row["end_on"]) if row["end_on"] else words("open_end")
        said = [words(name) for name in ("is_declared_late", "is_changed") if row[name]]
        return [row["label"], row["variants"], words.term(row["unit"]),
                words.term(row["primary_outcome"]), words.number(row["window_days"]),
                f"{words.day(row['start_on'])} – {end}", "; ".join(said)]  # fmt: skip

    head = source.head("experiment variants unit_drawn outcome within_days runs remark")
    return Section(words("declared"), table=table_of(head, rows, cells))


def _readouts(source: Source) -> Section:
    words = source.words
    rows = source.rows(READOUTS)
    if not rows:
        return Section(words("readouts"), lines=[words("nobody_assigned")])

    def cells(row: dict[str, Any]) -> list[str]:
        compared = ["–", "–"]
        if row["low"] is not None:
            compared = [words.points(row["value"]),
                        f"{words.points(row['low'])} – {words.points(row['high'])}"]  # fmt: skip
        state = words("control") if row["is_control"] else words.term(row["said"] or row["state"])
        names = ("n_assigned", "n", "n_events")
        return [row["variant"], *(words.number(row[name]) for name in names),
                words.percent(row["mean_outcome"]), *compared, state,
                words.term(row["warning"]) if row["warning"] else ""]  # fmt: skip

    head = source.head(
        "variant assigned followed outcomes share difference interval_always state remark"
    )
    table = table_of(head, rows, cells, ("experiment",))
    return Section(words("readouts"), [words("readouts_note")], table=table, evidence="randomised")


def _looks(source: Source, charts: Charts) -> list[Section]:
    words = source.words
    rows = source.rows(LOOKS)
    if not rows:
        return []
    head = source.head("day variant followed difference interval_always")
    table = table_of(
        head,
        rows,
        lambda row: [row["day"], row["label"], words.number(row["n"]), words.points(row["value"]),
                     f"{words.points(row['low'])} – {words.points(row['high'])}"],
        ("experiment",),
    )  # fmt: skip
    chart = charts.over_time(rows, words("difference"))
    return [Section(words("looks"), [words("looks_note")], chart=chart, table=table,
                    evidence="randomised")]  # fmt: skip
