"""The page of the pipeline: what came and went, whether stages fill or drain, what stands still.

Belongs here: which published figures it shows. Does not belong here: sentences (words).
"""

from typing import Any

from dashboard.site.charts import Charts, ordered
from dashboard.site.parts import GROUPS, Filter, Page, Section, Source, table_of

# The bars stand one after the other: where each begins follows from those before it.
MOVEMENT = """
    with moved as (
        select
            period_start_on, dimension, dimension_value, movement,
            sum(n_deals)::bigint as n, sum(n_without_amount)::bigint as n_without,
            coalesce(sum(amount_base), 0)::double as amount,
            case movement when 'opening' then 0 when 'closing' then 99 when 'new' then 1
                when 'won' then 90 when 'lost' then 91 else 50 end as place
        from pipeline_movement_by_dimension
        where period = 'quarter' and period_start_on >= $first
            and is_shown(dimension, dimension_value)
            and (dimension in ('all', 'segment', 'business_area', 'source')
                 or dimension = 'seller' and period_start_on = $last)
        group by all
    )

    select
        period_start_on::varchar as quarter, group_key(dimension, dimension_value) as group,
        movement, n, n_without, amount, place,
        if(movement in ('opening', 'closing'), 0, coalesce(sum(amount) over (
            partition by period_start_on, dimension, dimension_value order by place, movement
            rows between unbounded preceding and 1 preceding), 0)) as low
    from moved
    where movement in ('opening', 'closing') or amount <> 0 or n <> 0
    order by period_start_on, dimension, dimension_value, place, movement
"""
FLOW = """
    select
        coalesce(flow.pipeline_id, '') as pipeline, group_key(dimension, dimension_value) as group,
        stage as label, week_on, n_open_at_start, n_entered, n_advanced + n_skipped + n_won as n_on,
        n_lost, n_regressed + n_handed_over + n_deleted + n_merged as n_else, n_open_at_end
    from stage_flow_by_dimension as flow join stage_names using (pipeline_id, stage_id)
    where dimension = 'all' and week_on > $as_of::date - 27 * 7
        or dimension = 'segment' and week_on > $as_of::date - 14 * 7
        and is_shown(dimension, dimension_value)
    order by stage_rank, stage_id, week_on
"""
BALANCE = """
    select
        coalesce(balance.pipeline_id, '') as pipeline, stage, n_in, n_out, expected_out, n_open,
        balance
    from stage_balance as balance join stage_names using (pipeline_id, stage_id)
    order by stage_rank, stage_id
"""
COVERAGE = """
    select
        coalesce(cover.pipeline_id, '') as pipeline, period_start_on, stage, open_amount,
        to_win_amount, coverage_times, usual_coverage_times, lowest_coverage_times,
        highest_coverage_times, n_past_quarters, is_enough
    from pipe_coverage as cover
    left join stage_names as stage
        on stage.pipeline_id = cover.pipeline_id and stage.stage_id = cover.from_stage_id
    order by period_start_on, stage_rank, from_stage_id
"""
AGES = """
    select
        coalesce(visit.pipeline_id, '') as pipeline, stage, n_open_deals, p80_days_in_stage,
        n_slow_deals
    from time_in_stage as visit join stage_names using (pipeline_id, stage_id)
    where dimension = 'all'
        and horizon_days = (select max(horizon_days) from time_in_stage where dimension = 'all')
    order by stage_rank, stage_id
"""
STALLED = """
    select
        coalesce(deal.pipeline_id, '') as pipeline, coalesce(segment, '') as segment,
        coalesce(business_area, '') as business_area, coalesce(seller_id, '') as seller,
        coalesce(source, '') as source, bare(deal_id) as deal,
        label_of('seller', seller_id) as seller_name,
        stage, amount_base::double as amount, days_in_stage, days_without_activity, is_overdue,
        is_without_next_step, is_idle, n_pushed,
        count(*) over () as n_all
    from pipeline_status as deal left join stage_names using (pipeline_id, stage_id)
    where not is_gone and (is_overdue or is_without_next_step or is_idle or n_pushed >= 2)
    order by amount_base desc nulls last, deal_id limit 200
"""


def pipeline_page(source: Source, as_of: Any) -> Page:
    quarters = source.rows(
        """
        select distinct period_start_on as start from pipeline_movement_by_dimension
        where period = 'quarter' and dimension = 'all' order by start desc limit 5
        """
    )
    words = source.words
    filters = [*source.pipelines()]
    if quarters:
        options = [(str(row["start"]), words.quarter(row["start"])) for row in quarters]
        filters.append(Filter("quarter", words("quarter"), options, options[0][0]))
    filters += source.groups(GROUPS)
    charts = Charts(words, filters)
    sections = []
    if quarters:
        sections.append(_movement(source, charts, quarters))
    parts = [_flow(source, charts, as_of), _balance(source), _coverage(source), _ages(source),
             _stalled(source)]  # fmt: skip
    return Page("pipeline", filters, [*sections, *(part for part in parts if part)] or
                [Section(words("movement"), lines=[words("nothing_entered")])])  # fmt: skip


def _movement(source: Source, charts: Charts, quarters: list[dict[str, Any]]) -> Section:
    words = source.words
    rows = source.rows(MOVEMENT, first=quarters[-1]["start"], last=quarters[0]["start"])
    for row in rows:
        row["label"] = words.of("movement", row["movement"])
        row["high"] = row["low"] + row["amount"]
        is_stock = row["movement"] in ("opening", "closing")
        row["kind"] = words("stock" if is_stock else "in" if row["amount"] >= 0 else "out")
    names = ("quarter", "group", "label", "place", "low", "high", "amount", "n", "kind")
    drawn = [{name: row[name] for name in names} for row in ordered(rows)]
    head = source.head("what deals_n amount without_amount")
    table = table_of(
        head,
        rows,
        lambda row: [row["label"], words.number(row["n"], sign=row["place"] % 99 != 0),
                     words.number(row["amount"], sign=row["place"] % 99 != 0),
                     words.number(abs(row["n_without"]))],
        ("quarter", "group"),
    )  # fmt: skip
    chart = charts.waterfall(drawn, words("unit"))
    return Section(words("movement"), [words("movement_note")], chart=chart, table=table)


def _flow(source: Source, charts: Charts, as_of: Any) -> Section | None:
    words = source.words
    rows = ordered(source.rows(FLOW, as_of=as_of))
    if not rows:
        return None
    drawn = [
        {"pipeline": row["pipeline"], "group": row["group"], "label": row["label"],
         "week": words.day(row["week_on"]), "net": row["n_open_at_end"] - row["n_open_at_start"],
         "came_in": row["n_entered"], "moved_on": row["n_on"], "lost": row["n_lost"],
         "open": row["n_open_at_end"], "place": row["place"]}
        for row in rows
    ]  # fmt: skip
    names = ("n_open_at_start", "n_entered", "n_on", "n_lost", "n_else", "n_open_at_end")
    head = source.head("stage week open_at_start came_in moved_on lost_ones left_else open_at_end")
    table = table_of(
        head,
        rows,
        lambda row: [
            row["label"],
            words.day(row["week_on"]),
            *(words.number(row[name]) for name in names),
        ],
        ("pipeline", "group"),
    )
    chart = charts.weeks(drawn, words("net"))
    return Section(words("flow"), [words("flow_note")], chart=chart, table=table)


def _balance(source: Source) -> Section | None:
    words = source.words
    rows = source.rows(BALANCE)
    if not rows:
        return None
    head = source.head("stage came_in left left_expected open_deals balance")
    table = table_of(
        head,
        rows,
        lambda row: [row["stage"], words.number(row["n_in"]), words.number(row["n_out"]),
                     words.number(row["expected_out"]), words.number(row["n_open"]),
                     words.of("balance", row["balance"])],
        ("pipeline",),
    )  # fmt: skip
    return Section(words("balance"), [words("balance_note")], table=table)


def _coverage(source: Source) -> Section | None:
    words = source.words
    rows = source.rows(COVERAGE)
    if not rows:
        return None

    def cells(row: dict[str, Any]) -> list[str]:
        times = [words.times(row[name]) for name in ("coverage_times", "usual_coverage_times",
                                                     "lowest_coverage_times",
                                                     "highest_coverage_times")]  # fmt: skip
        label = f"{words.quarter(row['period_start_on'])}, {row['stage'] or words('all_stages')}"
        return [label, *source.numbers(row, "open_amount to_win_amount"), times[0],
                times[1], f"{times[2]} – {times[3]}", words.number(row["n_past_quarters"]),
                words.answer(row["is_enough"])]  # fmt: skip

    head = source.head(
        "from_stage open_amount to_win coverage_n usual_coverage interval_past past_quarters enough"
    )
    return Section(words("coverage"), [words("coverage_note")],
                   table=table_of(head, rows, cells, ("pipeline",)))  # fmt: skip


def _ages(source: Source) -> Section | None:
    words = source.words
    rows = source.rows(AGES)
    if not rows:
        return None
    names = "n_open_deals p80_days_in_stage n_slow_deals"
    table = table_of(
        source.head("stage open_deals p80_days slow_deals"),
        rows,
        lambda row: [row["stage"], *source.numbers(row, names)],
        ("pipeline",),
    )
    return Section(words("ages"), [words("in_stage_note")], table=table)


def _stalled(source: Source) -> Section:
    words = source.words
    rows = source.rows(STALLED)
    if not rows:
        return Section(words("stalled"), lines=[words("none_stalled")])

    def cells(row: dict[str, Any]) -> list[str]:
        said = [
            words(name) for name in ("is_overdue", "is_without_next_step", "is_idle") if row[name]
        ]
        if (row["n_pushed"] or 0) >= 2:
            said.append(words("pushed_times", n=row["n_pushed"]))
        return [row["deal"], row["seller_name"], row["stage"] or "–", words.number(row["amount"]),
                words.number(row["days_in_stage"]), words.number(row["days_without_activity"]),
                ", ".join(said)]  # fmt: skip

    head = source.head("deal seller stage amount days_in_stage days_silent why")
    keys = ("pipeline", "segment", "business_area", "seller", "source")
    n = words.number(rows[0]["n_all"])
    note = words("stalled_note", shown=words.number(len(rows)), n=n)
    return Section(words("stalled"), [note], table=table_of(head, rows, cells, keys))
