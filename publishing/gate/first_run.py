"""Expectations that need no earlier set: they guard a first run, where mappings are wrong.

Belongs here: shares that no company known to us comes near, each with what set its limit.
Does not belong here: what is compared with the last published set (`expectations`).
"""

from publishing.gate import rows
from publishing.gate.forms import Expectation, between, findings, share

FIRST_RUN = (
    share(
        "wins_have_an_amount",
        "dim_deals",
        rows=rows.WON_WHERE_AMOUNTS_ARE_KNOWN,
        wrong="amount is null",
        of="won deals",
        are="have no amount",
        limit=0.5,
        minimum=20,
        reason=(
            "Where amounts are exported, what was sold has one; won deals without mean that the "
            "amount of closed deals is in another column, or that two lists have different ones."
        ),
        history="7.6 % in the invented company; 0 % in two real sets (2026-11-26)",
    ),
    share(
        "not_only_wins_are_exported",
        "fct_stage_transitions",
        rows=rows.JOURNEYS,
        wrong="is_won",
        of="deals and leads",
        are="are won",
        limit=0.95,
        minimum=50,
        reason=(
            "What was lost or is open is missing, and every share won would be one of the won: "
            "export those deals too."
        ),
        history="at most 48 % in the invented company and real sets (2026-11-26)",
    ),
    share(
        "deals_close_after_their_creation",
        "dim_deals",
        rows=rows.CREATED_AND_CLOSED,
        wrong="closed_on < created_on",
        of="deals with both days",
        are="closed before they were created",
        limit=0.05,
        minimum=20,
        reason="Day and month, or two columns of dates, are taken for each other in the mapping.",
        history="0 % in the invented company and a real set (2026-11-26)",
    ),
    share(
        "expected_closes_are_near",
        "dim_deals",
        also=("deal_counts",),
        rows=rows.EXPECTED_TO_CLOSE,
        wrong="abs(expected_on - as_of) > 3653",
        of="open deals with an expected close",
        are="are expected more than ten years away",
        limit=0.05,
        minimum=20,
        reason="Such days are placeholders (2099-12-31, 1900-01-01), or years read wrongly.",
        history="0 % in the invented company (2026-11-26)",
    ),
    share(
        "the_ledger_follows_what_exports_claim",
        "dim_deals",
        also=("ledger_disagreements",),
        rows=rows.DEALS_AND_DISAGREEMENTS,
        wrong="is_disputed",
        of="deals",
        are="are told otherwise by some source than the ledger tells (ledger_disagreements)",
        limit=0.2,
        minimum=50,
        reason=(
            "Sources that contradict each other about so many deals are of different ids, zones or "
            "stages; the reasons stand in ledger_disagreements."
        ),
        history="0 % in the invented company and four real sets (2026-11-26)",
    ),
    *(
        share(
            f"{column.removesuffix('_id')}s_are_known",
            "dim_deals",
            rows=rows.where_some_are_known(column),
            wrong=f"{column} is null",
            of="deals",
            are=f"have no {column.removesuffix('_id')}",
            limit=0.95,
            keeps_within=0.1,
            minimum=50,
            reason=(
                "A column filled for hardly any deal is another than the one meant. What was known "
                "stays known: ten points more unknown means that a column was renamed or left out."
            ),
            history="at most 16 % unknown in real sets that have the column (2026-11-26)",
        )
        for column in ("seller_id", "source", "segment")
    ),
    *(
        share(
            f"{plural}_differ",
            "dim_deals",
            rows=rows.of_several(column, least),
            wrong=rows.is_commonest(column, rows.of_several(column, least)),
            of=f"deals with a {what}",
            are="have one and the same",
            limit=0.98,
            minimum=100,
            reason=(
                "One value that holds nearly everything is what a mapping or a tool fills in "
                "(a default, the user of an integration), not what the company knows."
            ),
            history="at most 83 % in real sets (sources of the bank's calls; 2026-11-26)",
        )
        # A founder may have one hire, or one customer that is nearly all.
        for column, plural, what, least in (
            ("seller_id", "sellers", "seller", 4),
            ("source", "sources", "source", 2),
            ("segment", "segments", "segment", 2),
            ("account_id", "accounts", "company", 4),
        )
    ),
    share(
        "moves_are_of_many_days",
        "fct_stage_transitions",
        rows=rows.TIMED_MOVES,
        wrong=rows.is_commonest("occurred_on", rows.TIMED_MOVES),
        of="dated moves",
        are="are of one and the same day",
        limit=0.5,
        minimum=100,
        reason=(
            "So many moves of one day are an import's, or a column of dates that says when the "
            "list was made; conversion within a time cannot be told from them."
        ),
        history="at most 11 % in four real sets (days known to the month; 2026-11-26)",
    ),
    share(
        "visits_are_shorter_than_five_years",
        "fct_stage_visits",
        rows=rows.ENDED,
        wrong="seconds_in_stage > 5 * 365 * 86400",
        of="ended visits",
        are="lasted more than five years",
        limit=0.05,
        minimum=50,
        reason="Dates were read in another form, or a placeholder (1970, 1900) stands for no date.",
        history="0 % in the invented company and four real sets (2026-11-26)",
    ),
    share(
        "visits_take_time",
        "fct_stage_visits",
        rows=rows.ENDED_OF_DEALS,
        wrong="seconds_in_stage = 0",
        of="ended visits of deals",
        are="lasted no second",
        limit=0.7,
        minimum=50,
        reason=(
            "Stages that are entered and left at once were not gone through: their dates are "
            "copies of one column, or an import wrote them."
        ),
        history="at most 19 % in real sets (steps a system takes by itself; 2026-11-26)",
    ),
    *(
        share(
            f"{plural}_have_sold",
            f"outcomes_by_{what}",
            rows=rows.WITH_MANY_DECIDED.format(table=f"outcomes_by_{what}"),
            wrong="n_won = 0",
            of=f"{plural} with 50 and more decided deals",
            are="have never won one",
            limit=limit,
            minimum=4,
            reason=(
                f"{plural.capitalize()} of lost deals alone are written otherwise than those of "
                "won ones (an id here, a name there), or come from another list."
            ),
            history=history,
        )
        for what, plural, limit, history in (
            (
                "seller",
                "sellers",
                0.9,
                "0 % in the invented company and two real sets; 83 % in one whose applications are "
                "handed over before they are approved (BPI 2012; 2026-11-26)",
            ),
            ("source", "sources", 0.5, "0 % in the invented company and a real set (2026-11-26)"),
        )
    ),
    Expectation(
        name="yearly_win_rates_are_rates",
        tables=("conversion_by_source",),
        reason=(
            "Of 300 or more that entered a pipeline and were followed for a year, some are won and "
            "some are not; none or all means that won or lost is mapped to the wrong stage."
        ),
        history="neither in the invented company nor in three real sets (2026-11-26)",
        needs="a pipeline that 300 entered who were followed for a year",
        minimum=1,
        compares=False,
        query=rows.YEAR_OF_WINS,
        build=lambda _before: between("reached_rate", 0, 1, strict_min=True, strict_max=True),
        says=lambda found: (
            f"of {found.now['n_mature'].max():,.0f} that entered a pipeline and were followed for "
            "a year, none or all are won"
        ),
    ),
    findings(
        "few_records_are_deleted_at_once",
        "fct_stage_transitions",
        query=rows.MASS_DELETIONS,
        needs="a record",
        reason=(
            "An export declared complete that lacks more than a tenth of the records is more often "
            "cut short or filtered than right. Withdraw it; or, if they were deleted, confirm it "
            "under accepted_changes in company.yml."
        ),
        history="a tenth; none goes in the invented company but what it deletes (2026-11-26)",
    ),
    findings(
        "few_records_are_of_unknown_deals",
        "unknown_deals",
        query=rows.OF_UNKNOWN_DEALS,
        needs="a log, activity or credit of a deal that no export knows",
        reason=(
            "Logs, activities and credits of deals that no export knows count nowhere; more than a "
            "tenth of them means that deals are missing from the export or that ids are written in "
            "another form. Table unknown_deals lists them. Export those deals too; or confirm it "
            "under accepted_changes in company.yml."
        ),
        history="none in the invented company; all where ids are written in another form",
    ),
)
