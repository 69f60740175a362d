"""Expectations about the distributions of what BI reads.

Belongs here: what is expected of which table, when it can be asked, why, and what set each limit.
Does not belong here: the rows spoken of (`rows`), the forms (`forms`), asking a build (`asking`),
what needs no earlier set (`first_run`).

Some compare with the last published set: no absolute bound fits both a company with 30 deals a year
and one with millions. The others guard a first run, where mappings are wrong, and need no earlier
set; what a person let pass on one day may stay, and not grow. An expectation declares when it can
be asked; where it cannot, the outcome is `not_applicable`, which is counted and published. Where it
can be asked and nothing was evaluated, it fails: an empty frame passes every column expectation of
Great Expectations.
"""

from publishing.gate import rows
from publishing.gate.first_run import FIRST_RUN
from publishing.gate.forms import findings, median, number

# Nine sets of an invented company of 1,500 deals, a day to two weeks apart.
DROPS = "from set to set of an invented company (2026-11-26)"

SINCE_THE_LAST_SET = (
    number(
        "deals_keep_their_number",
        "dim_deals",
        limits=lambda before: (int(0.8 * before), 2 * before + 50),
        what="deals",
        needs="20 deals in the last published set",
        minimum=20,
        reason=(
            "Deals are kept in the archive, so their number hardly falls; a fall means that a file "
            "is missing or a mapping lost rows, a doubling that ids changed."
        ),
        history=f"never fell, and grew by 2.6 % at most, {DROPS}",
    ),
    median(
        "amounts_keep_their_scale",
        "dim_deals",
        column="amount",
        rows=rows.PRICED,
        what="amount of a deal",
        needs="30 deals with an amount in the last published set",
        minimum=30,
        reason=(
            "The median is over all deals ever, so a day hardly moves it; three times more or less "
            "means another decimal sign, currency or unit (thousands)."
        ),
        history=f"at most 0.4 % {DROPS}",
    ),
    median(
        "time_in_stage_keeps_its_scale",
        "fct_stage_visits",
        column="seconds_in_stage",
        rows=rows.ENDED,
        what="number of seconds in a stage",
        needs="50 ended visits in the last published set",
        minimum=50,
        reason=(
            "The median visit moves slowly, as it is over all history; three times more or less "
            "means that dates were read in another order or zone, or that history was cut."
        ),
        history=f"at most 0.5 % {DROPS}",
    ),
    median(
        "win_estimates_keep_their_scale",
        "conversion_estimates",
        column="estimated_rate",
        rows=rows.YEARLY_WINS_OF_ALL,
        what="estimate of winning within a year",
        needs="a stage with 100 effective entries in the last published set",
        minimum=1,
        reason=(
            "An estimate is made of a year and more of entries, so a day hardly moves it; three "
            "times more or less means that stages, outcomes or the beginning of history are read "
            "otherwise."
        ),
        history=f"at most 0.4 % {DROPS}",
    ),
    median(
        "time_in_stage_of_won_deals_keeps_its_scale",
        "time_in_stage",
        column="p80_days_in_stage",
        rows=rows.TIME_IN_STAGE_OF_ALL,
        what="of the days that four of five won deals stay less than",
        needs="a stage with 30 won deals in the last published set",
        minimum=1,
        reason="As for time in stage: the slow end of won deals' visits moves slowly.",
        history=f"at most 0.3 % {DROPS}",
    ),
    median(
        "forecasts_keep_their_scale",
        "forecasts",
        column="p50_amount",
        rows=rows.FORECAST_OF_ALL,
        what="forecast of the next quarter",
        needs="100 wins behind the forecast of the last published set",
        minimum=1,
        reason=(
            "What the next quarter brings rests on years of deals and moves by per cents; three "
            "times more or less means that amounts, stages or open deals are read otherwise."
        ),
        history="at most 11 % in ten fortnights of an invented company (2026-11-27)",
    ),
    *(
        findings(
            f"finished_cohorts_by_{what}_keep_their_conversion",
            f"conversion_by_{what}",
            query=rows.finished_cohorts(f"conversion_by_{what}", column, only),
            compares=True,
            needs="100 deals of the last published set that were followed to the end",
            reason=(
                "What became of deals followed to the end is history: it changes where stages, "
                "outcomes or the column itself are read otherwise than yesterday."
            ),
            history=f"no such change {DROPS}",
        )
        for what, column, only in (
            ("segment", "segment", "true"),
            # Whose deals they were shows in what was won, and one definition takes a quarter.
            ("seller", "seller_id", "definition_id = 'won'"),
            ("source", "source", "true"),
        )
    ),
    findings(
        "moves_keep_their_kind",
        "fct_stage_transitions",
        query=rows.CHANGED_KINDS,
        compares=True,
        needs="moves of the last published set that are told again",
        reason=(
            "What was an advance stays one; the order of stages was changed for all of history. "
            "Give the stages in mappings/ a valid_from, the first day of the new order; or, if the "
            "old order was wrong, confirm it under accepted_changes in company.yml."
        ),
        history=f"none {DROPS}",
    ),
)

EXPECTATIONS = FIRST_RUN + SINCE_THE_LAST_SET
