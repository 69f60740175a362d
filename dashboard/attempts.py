"""The first page's lines about attempts: how many a meeting or sign-up takes, what goes with more.

Belongs here: choosing and laying out published figures. Does not belong here: new figures.
"""

from typing import Any

import duckdb

from dashboard.lines import MAX_ROWS, are_known, cut, more, rows_of

# The whole, then the kinds of one dimension in their order.
ATTEMPTS = """
    select
        coalesce(dimension_value, if(dimension = 'all', 'all', '(unknown)')), n_mature, n_events,
        attempts_per_effect, low_attempts_per_effect, high_attempts_per_effect,
        n_needed_for_1_at_80, n_needed_for_5_at_80
    from activity_estimates
    where type = $type and definition_id = 'meeting_held_14' and group_dimension = 'all'
        and dimension = $dimension and n_mature > 0
    order by n_mature desc, dimension_value
"""

ATTEMPT_TYPES = """
    select type from activity_estimates
    where definition_id = 'meeting_held_14' and group_dimension = 'all' and dimension = 'all'
        and n_mature > 0
    order by n_mature desc, type
"""

COMPARISONS = """
    select
        replace(dimension, '_', ' ') || ' ' || dimension_value, said, adjusted_difference,
        low_simultaneous_difference, high_simultaneous_difference, warning, n_compared,
        expected_by_chance
    from activity_comparisons
    where type = $type and definition_id = $definition and group_dimension = 'all'
    order by low_simultaneous_difference desc nulls last, dimension, dimension_value
"""

SEQUENCE = """
    select
        reminder_no, n_mature, n_events, estimated_rate, low_rate, high_rate, signed_up_rate,
        n_invitations_needed_for_20_at_80
    from reminder_sequences where dimension = 'all' and n_mature > 0 order by reminder_no
"""

# Of each value the whole, with all its reminders.
WHOLE_SEQUENCES = """
    select
        coalesce(any_value(name), regexp_replace(dimension_value, '^[^:]*:', ''), '(unknown)'),
        sum(n_mature) filter (where reminder_no = 0), sum(n_events), null, null, null,
        max_by(signed_up_rate, reminder_no), max_by(n_invitations_needed_for_20_at_80, reminder_no)
    from reminder_sequences left join dim_sellers on dimension_value = seller_id
    where dimension = $dimension and n_mature > 0
    group by dimension_value
    having count(*) filter (where reminder_no = 0) > 0
    order by 2 desc, 1
"""

INVITATION_TYPES = """
    select type from activity_estimates
    where definition_id = 'signup_14' and group_dimension = 'all' and dimension = 'all'
        and n_mature > 0
    order by n_mature desc, type
"""


def attempt_lines(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """How many attempts a meeting takes, and what goes with more of them."""
    lines: list[str] = []
    for (kind,) in rows_of(connection, ATTEMPT_TYPES):
        lines += [
            "",
            f"{kind.capitalize()}s at people without a meeting for 90 days, and meetings held "
            "within 14 days, 95 %",
            f"{'':<28}{kind + 's':>9}{'meetings':>10}{'for each meeting':>21}"
            f"{'for 1, 80 % sure':>18}{'for 5':>9}",
        ]
        for dimension in ("all", "daypart", "message_variant"):
            rows = rows_of(connection, ATTEMPTS, {"type": kind, "dimension": dimension})
            if dimension == "all" or (len(rows) > 1 and are_known(rows)):
                lines += [
                    f"{cut(label, 27):<28}{n:>9,}{k:>10,}{_per_meeting(*per):>21}"
                    f"{_count(one):>18}{_count(five):>9}"
                    for label, n, k, *per, one, five in rows[:MAX_ROWS]
                ] + more(rows)
        asked = {"type": kind, "definition": "meeting_held_14"}
        lines += _comparison_lines(rows_of(connection, COMPARISONS, asked))
    return lines + _seminar_lines(connection)


def _seminar_lines(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """By which reminder how many sign up to a seminar, and how many mails fill it."""
    whole = rows_of(connection, SEQUENCE)
    if not whole:
        return []
    lines = [
        "",
        "Asked to seminars, and signed up within 14 days and before the next reminder, 95 %",
        f"{'':<28}{'asked':>9}{'sign-ups':>10}{'of those not yet':>21}{'all up to here':>18}"
        f"{'for 20, 80 % sure':>19}",
    ]
    rows = [(f"reminder {n}" if n else "first invitation", *row) for n, *row in whole]
    for dimension in ("first_sender", "first_message"):
        of_values = rows_of(connection, WHOLE_SEQUENCES, {"dimension": dimension})
        if len(of_values) > 1:
            rows += [
                (f"{dimension.replace('_', ' ')}: {value}", *row) for value, *row in of_values
            ][:MAX_ROWS]
    for label, n, k, *rates, whole_rate, mails in rows:
        told = f"{100 * whole_rate:.1f} %" if whole_rate is not None else "–"
        alone = (
            ""
            if rates[0] is None
            else "{:.1f} % ({:.1f}–{:.1f})".format(*(100 * rate for rate in rates))
        )
        needed = f"{_count(mails)} mails" if mails is not None else "–"
        lines.append(f"{cut(label, 27):<28}{n:>9,}{k:>10,}{alone:>21}{told:>18}{needed:>19}")
    for (kind,) in rows_of(connection, INVITATION_TYPES):
        asked = {"type": kind, "definition": "signup_14"}
        lines += _comparison_lines(rows_of(connection, COMPARISONS, asked))
    return lines


def _comparison_lines(rows: list[Any]) -> list[str]:
    if not rows:
        return []
    n_compared, by_chance = rows[0][-2:]
    apart = [row for row in rows if "goes with" in row[1]]
    n_apart = len(apart) or "none"
    lines = [
        f"Of {n_compared} kinds side by side, observed and not assigned, {n_apart} "
        f"{'is' if len(apart) < 2 else 'are'} apart by bounds for all at once;",
        f"by each one's own {by_chance:.1f} would be by chance alone (activity_comparisons).",
    ]
    for label, said, difference, low, high, warning, *_ in apart[:MAX_ROWS]:
        warned = f"; {warning.replace('_', ' ')}" if warning else ""
        lines.append(
            f"{cut(label, 27):<28}{said}: {100 * difference:+.1f} points "
            f"({100 * low:+.1f} to {100 * high:+.1f}){warned}"
        )
    return lines + more(apart)


def _per_meeting(n: float | None, low: float | None, high: float | None) -> str:
    if n is None or low is None:
        return "none yet"
    return f"{n:.1f} ({low:.1f}–{high:.1f})" if high is not None else f"{n:.1f} (from {low:.1f})"


def _count(n: int | None) -> str:
    return f"{n:,}" if n is not None else "–"
