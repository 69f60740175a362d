"""The rows of published tables that expectations speak of, as SQL.

Belongs here: queries. `{set}` stands for the set that is asked, now or the last published one;
those that compare the two name them both (`now`, `before`).
Does not belong here: limits and reasons (`first_run`, `expectations`), asking (`asking`).

Only the rows and columns that a question needs leave the database, most of them as one sum.
"""

# Deals with an amount, in the most common currency.
PRICED = """
    select cast(amount as double) as amount from {set}.dim_deals
    where amount is not null and currency = (
        select currency from {set}.dim_deals where amount is not null
        group by currency order by count(*) desc, currency limit 1
    )
"""

# None where no deal has an amount, which `coverage` tells.
WON_WHERE_AMOUNTS_ARE_KNOWN = """
    select amount from {set}.dim_deals
    where status = 'won' and exists (select 1 from {set}.dim_deals where amount is not null)
"""

# Each deal, or lead that is none, with whether it was ever won.
JOURNEYS = """
    select won.journey_id is not null as is_won
    from (select distinct journey_id from {set}.fct_stage_transitions) as journeys
    left join (
        select distinct journey_id from {set}.fct_stage_transitions
        where to_stage_kind = 'won'
    ) as won using (journey_id)
"""

CREATED_AND_CLOSED = """
    select created_on, closed_on from {set}.dim_deals
    where created_on is not null and closed_on is not null
"""

EXPECTED_TO_CLOSE = """
    select cast(expected_close_on as date) as expected_on, cast(as_of as date) as as_of
    from {set}.dim_deals cross join {set}.deal_counts
    where status = 'open' and expected_close_on is not null
"""

# Each deal, with whether the ledger does not follow a claim about it.
DEALS_AND_DISAGREEMENTS = """
    select disputed.deal_id is not null as is_disputed
    from {set}.dim_deals as deals
    left join (select distinct deal_id from {set}.ledger_disagreements) as disputed using (deal_id)
"""

ENDED = "select seconds_in_stage from {set}.fct_stage_visits where not is_censored"

# Of deals by a log: leads may be won with a first call, and days tell no hours.
ENDED_OF_DEALS = f"{ENDED} and record_type = 'deal' and fidelity = 'event_log'"

# Moves that a source dates; what two exports differ in happened between them.
TIMED_MOVES = """
    select occurred_on from {set}.fct_stage_transitions
    where fidelity in ('event_log', 'latest_per_stage', 'created_closed')
"""

WITH_MANY_DECIDED = "select n_won from {{set}}.{table} where n_won + n_lost >= 50"

# Each pipeline: those who entered it and were followed for a year, and the won.
YEAR_OF_WINS = """
    select
        sum(n_mature) as n_mature, sum(n_reached) / sum(n_mature) as reached_rate, 1 as n_rows
    from {set}.conversion_by_source
    where definition_id = 'won' and horizon_days = 365 and stage_id is null
        and pipeline_id is not null
    group by pipeline_id
    having sum(n_mature) >= 300
"""

YEARLY_WINS_OF_ALL = """
    select estimated_rate from {set}.conversion_estimates
    where dimension = 'all' and definition_id = 'won' and horizon_days = 365
        and effective_n >= 100 and estimated_rate is not null
"""

FORECAST_OF_ALL = """
    select p50_amount from {set}.forecasts
    where scope = 'company' and period_start_on > as_of and n_events >= 100 and p50_amount > 0
"""

TIME_IN_STAGE_OF_ALL = """
    select p80_days_in_stage from {set}.time_in_stage
    where dimension = 'all' and horizon_days = 365 and n_events >= 30
        and p80_days_in_stage is not null
"""


def where_some_are_known(column: str) -> str:
    """Every deal; none where no deal has a value, which `coverage` tells."""
    return (
        f"select {column} from {{set}}.dim_deals where exists "
        f"(select 1 from {{set}}.dim_deals where {column} is not null)"
    )


def of_several(column: str, least: int) -> str:
    """Deals with a value in the column, if there are so many different ones."""
    return (
        f"select {column} from {{set}}.dim_deals where {column} is not null and "
        f"(select count(distinct {column}) from {{set}}.dim_deals) >= {least}"
    )


def is_commonest(column: str, rows: str) -> str:
    """Whether a row of `rows` has their most frequent value."""
    return (
        f"{column} = (select {column} from ({rows}) group by {column} "
        f"order by count(*) desc, {column} limit 1)"
    )


def finished_cohorts(table: str, dimension: str, only: str = "true") -> str:
    """A finding for each pipeline, stage and value whose finished cohorts convert otherwise.

    Cohorts that the last set had followed to their end are history: of 100 and more entries, more
    than a tenth gone or a rate moved by more than ten points is no new day's doing. `only` chooses
    rows of the table, which may be a view that would count all of them.
    """
    keys = ("pipeline_id", "stage_id", dimension, "definition_id", "horizon_days")
    joined = " and ".join(
        f"now.{key} is not distinct from was.{key}" for key in (*keys, "entered_month")
    )
    grouped = ", ".join(f"was.{key}" for key in keys)
    return f"""
        with sums as (
            select
                {grouped},
                sum(was.n_entered) as entered_was, coalesce(sum(now.n_entered), 0) as entered,
                sum(was.n_mature) as mature_was, coalesce(sum(now.n_mature), 0) as mature,
                sum(was.n_reached) as reached_was, coalesce(sum(now.n_reached), 0) as reached
            from (select * from before.{table} where {only}) as was
            left join (select * from now.{table} where {only}) as now on {joined}
            where was.n_mature = was.n_entered
            group by {grouped}
            having sum(was.n_entered) >= 100
        )
        select
            case
                when entered < 0.9 * entered_was
                    or not coalesce(abs(reached / mature - reached_was / mature_was) <= 0.1, false)
                    then definition_id || ' within ' || horizon_days || ' days of '
                        || coalesce(stage_id, pipeline_id, 'no pipeline') || ': '
                        || reached_was || ' of ' || mature_was || ' were, '
                        || reached || ' of ' || mature || ' are'
                else ''
            end as finding
        from sums
        order by {", ".join(keys)}
    """


# Of what a system holds, what an export may let go at once without a person having said so.
MAX_DELETED_SHARE, MIN_DELETED = 0.1, 5

# Per system, kind of record and export that lets some go: the finding, if it is too many.
MASS_DELETIONS = f"""
    with moves as (
        select
            split_part(journey_id, ':', 1) as system, record_type, move_kind, move_number,
            occurred_at, known_at
        from {{set}}.fct_stage_transitions
        where move_number = 1 or move_kind = 'delete'
    ),
    gone as (
        select system, record_type, known_at, count(*) as n
        from moves where move_kind = 'delete' and known_at is not null group by all
    ),
    counted as (
        select
            gone.*,
            (
                select count(*) from moves
                where moves.system = gone.system and moves.record_type = gone.record_type
                    and move_number = 1 and occurred_at <= gone.known_at
            ) - coalesce(sum(n) over (
                partition by system, record_type order by known_at
                rows between unbounded preceding and 1 preceding
            ), 0) as n_there
        from gone
    )
    select
        n || ' of ' || n_there || ' ' || record_type || 's gone with the ' || system
            || ' export known ' || strftime(known_at, '%Y-%m-%d %H:%M') as finding
    from counted
    where n >= {MIN_DELETED} and n > {MAX_DELETED_SHARE} * n_there
    union all
    select '' where exists (select 1 from moves where move_number = 1)
    order by finding
"""

# Of what a table tells of a system's deals, what may be of deals that no export knows.
MAX_UNKNOWN_SHARE, MIN_UNKNOWN = 0.1, 5

# Per table and system that tells of such deals: the finding, if it is too many.
OF_UNKNOWN_DEALS = f"""
    with sums as (
        select
            table_name, system_id, sum(n_records) as n, max(n_records_of_system) as total
        from {{set}}.unknown_deals group by table_name, system_id
    )
    select
        case
            when n >= {MIN_UNKNOWN} and n > {MAX_UNKNOWN_SHARE} * total
                then table_name || ' of ' || system_id
            else ''
        end as finding,
        format(
            ': {{{{:,}}}} of {{{{:,}}}} records are of deals that no export knows',
            cast(n as bigint), cast(total as bigint)
        ) as figures
    from sums
    order by table_name, system_id
"""


def _moves(name: str) -> str:
    keys = "journey_id, from_pipeline_id, from_stage_id, to_pipeline_id, to_stage_id, occurred_at"
    return (
        f"select {keys}, min(move_kind) as move_kind from {name}.fct_stage_transitions "
        f"where move_kind in ('advance', 'skip', 'regress') group by {keys}"
    )


# Moves of both sets: a finding for each two stages between which the kind is another now.
CHANGED_KINDS = f"""
    with pairs as (
        select now.from_stage_id, now.to_stage_id, was.move_kind as old, now.move_kind as new
        from ({_moves("now")}) as now
        inner join ({_moves("before")}) as was
            on now.journey_id = was.journey_id and now.occurred_at = was.occurred_at
            and now.from_pipeline_id is not distinct from was.from_pipeline_id
            and now.from_stage_id is not distinct from was.from_stage_id
            and now.to_pipeline_id is not distinct from was.to_pipeline_id
            and now.to_stage_id is not distinct from was.to_stage_id
    )
    select
        count(*) || ' moves from ' || from_stage_id || ' to ' || to_stage_id
            || ' were ' || old || ' and are ' || new as finding
    from pairs
    where old <> new and from_stage_id is not null and to_stage_id is not null
    group by from_stage_id, to_stage_id, old, new
    union all
    select '' where exists (select 1 from pairs)
    order by finding
"""
