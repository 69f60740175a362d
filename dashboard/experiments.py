"""The first page's lines about experiments: what each variant brings, and whether it is settled.

Belongs here: choosing and laying out published figures. Does not belong here: new figures.
"""

import duckdb

from dashboard.lines import cut, rows_of

# Of sellers it is told how many, of amounts how much; of all others, of how many.
READOUTS = """
    select
        regexp_replace(experiment_id, '^[^:]*:', '') || ': ' || variant,
        unit = 'seller' or definition_id = 'amount_won', n_mature, mean_outcome,
        adjusted_difference, low_always_difference, high_always_difference, said, state,
        decided_on, warning
    from experiment_readouts join dim_experiments using (experiment_id)
    order by experiment_id, not is_control, variant
"""

UNDECLARED = """
    select count(distinct experiment_id), count(*) from experiment_units
    where reason = 'undeclared_experiment'
"""


def experiment_lines(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """A line per variant; what may be said below it."""
    lines: list[str] = []
    n_experiments, n_units = rows_of(connection, UNDECLARED)[0]
    if n_experiments:
        lines += ["", f"{n_units:,} units are assigned in {n_experiments:,} experiments that no "
                  "sheet of experiments declares (see experiment_units)"]  # fmt: skip
    rows = rows_of(connection, READOUTS)
    if rows:
        lines += [
            "",
            "Experiments: units followed, outcome, difference that holds however often one looks",
            f"{'':<38}{'units':>7}{'outcome':>12}{'difference from the first':>31}",
        ]
    for label, is_amount, n, mean, *difference, said, state, since, warning in rows:
        factor, unit = (1, "") if is_amount else (100, " %")
        told = "–" if mean is None else f"{factor * mean:,.1f}{unit}"
        apart = ""
        if difference[0] is not None:
            apart = "{:+,.1f} ({:+,.1f} to {:+,.1f})".format(*(factor * x for x in difference))
        lines.append(f"{cut(label, 37):<38}{n:>7,}{told:>12}{apart:>31}")
        if said and state != "control":
            known_since = f", since {since:%Y-%m-%d}" if since else ""
            also = (
                f" ({warning.replace('_', ' ')})" if warning and state != "cannot_be_read" else ""
            )
            lines.append(f"  {cut(said, 90)}{known_since}{also}")
    return lines
