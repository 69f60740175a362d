"""The page of conversion: of those who came into a stage, what became, by whom, and how soon.

Belongs here: which published figures it shows. Does not belong here: sentences (words).
"""

from typing import Any

from dashboard.site.charts import Charts, ordered
from dashboard.site.parts import GROUPS, Page, Section, Source, rate, table_of

# Of sellers wins within the longest horizon only: 200 of them in 8 stages are 1,600 rows.
FUNNEL = """
    select
        coalesce(entry.pipeline_id, '') as pipeline, horizon_days as horizon,
        group_key(dimension, dimension_value) as group, definition_id, stage, stage_rank,
        entry.stage_id, n_entered, n_mature as n, estimated_rate as value, low_rate as low,
        high_rate as high, is_drifting
    from conversion_estimates as entry left join stage_names using (pipeline_id, stage_id)
    where definition_id in ('next_any', 'won') and is_shown(dimension, dimension_value)
        and (dimension in ('all', 'segment', 'business_area', 'source')
             or dimension = 'seller' and horizon_days = $longest and definition_id = 'won')
    order by entry.stage_id is not null, stage_rank, entry.stage_id, definition_id
"""
BY_VALUE = """
    select
        coalesce(pipeline_id, '') as pipeline, horizon_days as horizon,
        label_of(dimension, dimension_value) as label, n_entered, n_mature as n, n_events,
        estimated_rate as value, low_simultaneous_rate as low, high_simultaneous_rate as high
    from conversion_estimates
    where dimension = $dimension and stage_id is null and definition_id = 'won'
        and is_shown(dimension, dimension_value)
    order by n_entered desc, label
"""
SELLERS = """
    with mix as (
        select
            *, row_number() over (all_of order by n_mature desc, seller_id) as place_of_all,
            count(*) over all_of as n_compared
        from seller_mix
        where stage_id is null and definition_id = 'won' and n_mature > 0
        window all_of as (partition by pipeline_id, horizon_days)
    )

    select
        coalesce(pipeline_id, '') as pipeline, horizon_days as horizon,
        label_of('seller', seller_id) as label, n_mature as n, seller_rate, all_sellers_rate,
        mix_difference, rate_difference as value, low_simultaneous_rate_difference as low,
        high_simultaneous_rate_difference as high, is_reversed, place_of_all, n_compared
    from mix
    where is_shown('seller', seller_id)
    order by place_of_all, pipeline, horizon
"""
# Counts of segments add up to those of all.
COHORTS = """
    with counts as (
        select
            coalesce(pipeline_id, '') as pipeline, stage_id, pipeline_id, horizon_days as horizon,
            entered_month, grouping(segment) as is_all, segment, sum(n_entered) as n_entered,
            sum(n_mature) as n, sum(n_reached) as n_reached
        from conversion_by_segment
        where definition_id = 'won' and entered_month > $as_of::date - interval 13 month
        group by grouping sets (
            (pipeline_id, stage_id, horizon_days, entered_month),
            (pipeline_id, stage_id, horizon_days, entered_month, segment)
        )
    )

    select
        pipeline, horizon, if(is_all = 1, 'all', group_key('segment', segment)) as group,
        strftime(entered_month, '%Y-%m') as month, stage, counts.stage_id, n_entered, n,
        if(n >= 0.9 * n_entered and n > 0, n_reached / n, null) as value
    from counts left join stage_names using (pipeline_id, stage_id)
    where is_all = 1 or horizon = $longest and is_shown('segment', segment)
    order by is_all desc, segment, counts.stage_id is not null, stage_rank, counts.stage_id, month
"""
DAYS = """
    select
        coalesce(visit.pipeline_id, '') as pipeline, horizon_days as horizon,
        group_key(dimension, dimension_value) as group, stage as label, median_days_in_stage,
        p80_days_in_stage as value, low_p80_days_in_stage as low, high_p80_days_in_stage as high,
        n_mature as n, n_open_deals, n_slow_deals
    from time_in_stage as visit join stage_names using (pipeline_id, stage_id)
    where is_shown(dimension, dimension_value)
    order by stage_rank, stage_id
"""
MAX_DRAWN = 30
KEYS = ("pipeline", "horizon", "group")


def conversion_page(source: Source, as_of: Any) -> Page:
    horizons = source.horizons()
    filters = [*source.pipelines(), *horizons, *source.groups(GROUPS)]
    if not horizons:
        return Page("conversion", [], [Section(source.words("funnel"),
                                               lines=[source.words("too_early")])])  # fmt: skip
    longest = int(horizons[0].value)
    charts = Charts(source.words, filters)
    sections = [_funnel(source, charts, longest)]
    for dimension in ("segment", "business_area", "source"):
        sections += _by_value(source, charts, dimension)
    sections += _sellers(source, charts)
    sections += [_cohorts(source, charts, longest, as_of), _days(source, charts)]
    return Page("conversion", filters, sections)


def _funnel(source: Source, charts: Charts, longest: int) -> Section:
    words = source.words
    rows = source.rows(FUNNEL, longest=longest)
    for row in rows:
        row["label"] = row["stage"] or words("entered_pipeline")
        row["measure"] = words.of("measure", row["definition_id"])
    head = source.head("stage measure entered followed estimate interval")
    table = table_of(
        head,
        rows,
        lambda row: [row["label"], row["measure"], words.number(row["n_entered"]),
                     words.number(row["n"]), *rate(source, row)],
        KEYS,
    )  # fmt: skip
    notes = [words("funnel_note")]
    if any(row["is_drifting"] for row in rows):
        notes.append(words("drifting"))
    chart = charts.intervals(rows, words("share"), colour="measure")
    return Section(words("funnel"), notes, chart=chart, table=table)


def _by_value(source: Source, charts: Charts, dimension: str) -> list[Section]:
    words = source.words
    rows = source.rows(BY_VALUE, dimension=dimension)
    if not any(row["label"] != "(unknown)" for row in rows):
        return []
    head = [
        words(name) for name in (dimension, "entered", "followed", "won_n", "estimate", "interval")
    ]
    table = table_of(
        head,
        rows,
        lambda row: [
            row["label"], *source.numbers(row, "n_entered n n_events"), *rate(source, row)
        ],
        ("pipeline", "horizon"),
    )  # fmt: skip
    title = words("won_by", what=words(dimension).lower())
    chart = charts.intervals(rows, words("share_won"))
    notes = [words("at_once")]
    shown = len({row["label"] for row in rows} - {"(unknown)"})
    if (n := source.n_values(dimension)) > shown:
        notes.append(words("largest", what=words(dimension), n=shown, of=words.number(n)))
    return [Section(title, notes, chart=chart, table=table)]


def _sellers(source: Source, charts: Charts) -> list[Section]:
    words = source.words
    rows = source.rows(SELLERS)
    if not rows:
        return []
    drawn = [row for row in rows if row["place_of_all"] <= MAX_DRAWN]

    def cells(row: dict[str, Any]) -> list[str]:
        compared = [words("too_little"), "–"]
        if row["low"] is not None:
            compared = [words.points(row["value"]),
                        f"{words.points(row['low'])} – {words.points(row['high'])}"]  # fmt: skip
        apart = row["low"] is not None and (row["low"] > 0 or row["high"] < 0)
        remarks = [words("beyond_chance")] * apart + [words("reversed")] * bool(row["is_reversed"])
        own = [row["seller_rate"], row["all_sellers_rate"]]
        return [row["label"], words.number(row["n"]), *map(words.percent, own),
                words.points(row["mix_difference"]), *compared, "; ".join(remarks)]  # fmt: skip

    head = source.head("seller followed own_rate all_rate by_mix by_rate interval remark")
    table = table_of(head, rows, cells, ("pipeline", "horizon"))
    n = max(row["n_compared"] for row in rows)
    notes = [words("sellers_note"), words("many_sellers", n=words.number(n))]
    if n > MAX_DRAWN:
        notes.append(words("drawn", n=MAX_DRAWN))
    chart = charts.intervals(drawn, words("points_from_all"), zero=True, form="+.0%")
    return [Section(words("sellers"), notes, chart=chart, table=table)]


def _cohorts(source: Source, charts: Charts, longest: int, as_of: Any) -> Section:
    words = source.words
    rows = source.rows(COHORTS, longest=longest, as_of=as_of)
    for row in rows:
        row["label"] = row["stage"] or words("entered_pipeline")
    names = (*KEYS, "month", "label", "value", "n", "place")
    drawn = [{name: row[name] for name in names} for row in ordered(rows)]
    head = source.head("month_entered stage entered followed share_won")
    table = table_of(
        head,
        rows,
        lambda row: [row["month"], row["label"], *source.numbers(row, "n_entered n"),
                     words("early") if row["value"] is None else words.percent(row["value"])],
        KEYS,
    )  # fmt: skip
    chart = charts.heat(drawn, words("share_won")) if drawn else None
    return Section(words("cohorts"), [words("cohorts_note")], chart=chart, table=table)


def _days(source: Source, charts: Charts) -> Section:
    words = source.words
    rows = source.rows(DAYS)
    head = source.head("stage median_days p80_days interval n_wins open_deals slow_deals")

    def cells(row: dict[str, Any]) -> list[str]:
        interval = f"{words.number(row['low'])} – {words.number(row['high'])}"
        names = ("n", "n_open_deals", "n_slow_deals")
        days = [words.number(row["median_days_in_stage"]), words.number(row["value"])]
        return [row["label"], *days, interval, *(words.number(row[name]) for name in names)]

    chart = charts.intervals(rows, words("p80_days"), form=",.0f")
    return Section(words("in_stage"), [words("in_stage_note")], chart=chart,
                   table=table_of(head, rows, cells, KEYS))  # fmt: skip
