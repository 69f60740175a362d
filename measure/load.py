"""Homes of known size, to weigh the house: invented exports written by SQL, millions of events in
seconds; and the same figures by statements a person would write.

Belongs here: what is in such a home. Does not belong here: running and timing (`weigh`), a company
whose rates are known (`simulation`).
"""

from datetime import date
from pathlib import Path

import duckdb

from ingestion.sql import literal

N_STAGES, N_SELLERS, N_SEGMENTS, N_SOURCES = 7, 500, 12, 9
HISTORY_DAYS = 1_700
EVENTS = "events.parquet"

MAPPING = """\
system: load
doc: Invented exports of any size
stages:
{stages}
  - {{pipeline_id: sales, stage_id: won, position: 98, kind: won}}
  - {{pipeline_id: sales, stage_id: lost, position: 99, kind: lost}}
files:
  deals:
    doc: Every deal as it stands
    formats: [parquet]
    headers: [[deal], [stage], [created]]
    known_at: {{file_name: 'deals-(\\d{{4}}-\\d\\d-\\d\\d)'}}
    dialect: {{zone: UTC}}
    complete: {complete}
    tables:
      deals:
        columns:
          deal_id: deal
          account_id: account
          seller_id: seller
          pipeline_id: {{constant: sales}}
          stage_id: stage
          amount: amount
          currency: {{constant: SEK}}
          source: source
          segment: segment
          business_area: area
          created_at: created
          closed_at: closed
  moves:
    doc: The log of stages
    formats: [parquet]
    headers: [[deal], [number], [moved_at], [moved_to]]
    known_at: {{file_name: 'moves-(\\d{{4}}-\\d\\d-\\d\\d)'}}
    dialect: {{zone: UTC}}
    tables:
      deal_changes:
        columns:
          deal_id: deal
          field: {{constant: stage_id}}
          new_value: moved_to
          occurred_at: moved_at
          sequence: number
          fidelity: {{constant: event_log}}
  calls:
    doc: Activities
    formats: [parquet]
    headers: [[activity], [type], [called_at], [outcome]]
    known_at: {{file_name: 'calls-(\\d{{4}}-\\d\\d-\\d\\d)'}}
    dialect: {{zone: UTC}}
    tables:
      activities:
        columns:
          activity_id: activity
          type: type
          occurred_at: called_at
          deal_id: deal
          seller_id: seller
          outcome: outcome
"""

# Of each deal: when it began, how far it goes and how it ends; numbers out of its own.
DEALS = f"""
    create table deals as
    select
        n as deal,
        $as_of - to_days({HISTORY_DAYS})
            + to_seconds(cast(hash(n, 1) % {HISTORY_DAYS * 86_400} as bigint)) as created,
        1 + cast(hash(n, 2) % {N_STAGES} as bigint) as depth,
        cast(hash(n, 3) % 100 as bigint) as fate,
        cast(hash(n, 4) % {N_SELLERS} as bigint) as seller,
        cast(hash(n, 5) % {N_SEGMENTS} as bigint) as segment,
        cast(hash(n, 6) % {N_SOURCES} as bigint) as source,
        cast(hash(n, 7) % greatest(1, $deals // 4) as bigint) as account,
        cast(hash(n, 8) % 1000000 / 7 as decimal(18, 2)) as amount
    from range($deals) as numbers(n)
"""

# A stage every forty days at most; the last move wins a quarter and loses most of the others.
MOVES = f"""
    create table moves as
    select
        deal,
        unnest(range(depth + 1)) as number,
        created + to_seconds(
            number * 20 * 86_400
            + case
                when number > 0 then cast(hash(deal, number, 9) % {20 * 86_400} as bigint) else 0
            end
        ) as moved_at,
        case
            when number < depth or fate >= 85 then 'stage_' || least(number, {N_STAGES - 1})
            when fate < 25 then 'won'
            else 'lost'
        end as stage
    from deals
"""

LISTED = """
    select
        'D' || deals.deal as deal, 'A' || account as account, 'S' || seller as seller,
        last.stage, amount, 'source ' || source as source, 'segment ' || segment as segment,
        'area ' || segment % 3 as area, strftime(created, '%Y-%m-%d %H:%M:%S') as created,
        case
            when last.stage in ('won', 'lost')
                then strftime(last.moved_at, '%Y-%m-%d %H:%M:%S')
        end as closed
    from deals
    inner join (
        select deal, arg_max(stage, number) as stage, max(moved_at) as moved_at
        from moves where moved_at < {day} group by deal
    ) as last using (deal)
"""

LOGGED = """
    select
        'D' || deal as deal, number, strftime(moved_at, '%Y-%m-%d %H:%M:%S') as moved_at,
        stage as moved_to
    from moves where moved_at < {day} order by hash(deal, number)
"""

CALLED = """
    select
        deal || '-' || n as activity,
        list_value('call', 'email', 'meeting')[1 + cast(hash(deal, n, 10) % 3 as bigint)] as type,
        strftime(
            created + to_seconds(cast(hash(deal, n, 11) % 12960000 as bigint)), '%Y-%m-%d %H:%M:%S'
        ) as called_at,
        'D' || deal as deal, 'S' || seller as seller,
        list_value('connected', 'no_answer')[1 + cast(hash(deal, n, 12) % 2 as bigint)] as outcome
    from deals, range($activities) as numbers(n)
    where created + to_seconds(cast(hash(deal, n, 11) % 12960000 as bigint)) < {day}
"""


def write_load_home(home: Path, n_deals: int, n_activities: int, as_of: date) -> int:
    """A home with a list of deals, their log of about five moves each, and `n_activities` a deal.
    Beside it, in EVENTS, the moves alone. Returns how many there are.
    """
    with _company(home, n_deals, as_of, complete=False) as connection:
        day = f"timestamp '{as_of}'"
        _export(connection, LISTED.format(day=day), home / f"inbox/deals-{as_of}.parquet")
        _export(connection, LOGGED.format(day=day), home / f"inbox/moves-{as_of}.parquet")
        called = CALLED.format(day=day).replace("$activities", str(n_activities))
        _export(connection, called, home / f"inbox/calls-{as_of}.parquet")
        events = (
            "select deal, number, moved_at, stage, seller, segment, source from moves "
            f"inner join deals using (deal) where moved_at < {day}"
        )
        _export(connection, events, home / EVENTS)
        rows = connection.execute(f"select count(*) from ({events})").fetchall()
    return int(rows[0][0])


def write_lists(home: Path, n_deals: int, days: list[date]) -> None:
    """A home with a full list of the deals as they stood on each of these days."""
    with _company(home, n_deals, days[-1], complete=True) as connection:
        for day in days:
            query = LISTED.format(day=f"timestamp '{day}' + to_days(1)")
            _export(connection, query, home / f"inbox/deals-{day}.parquet")


def _company(home: Path, n_deals: int, as_of: date, complete: bool) -> duckdb.DuckDBPyConnection:
    for folder in ("inbox", "mappings"):
        (home / folder).mkdir(parents=True)
    stages = "\n".join(
        f"  - {{pipeline_id: sales, stage_id: stage_{n}, position: {n + 1}, kind: open, "
        f"role: {'prospect' if n < 3 else 'quote'}}}"
        for n in range(N_STAGES)
    )
    mapping = MAPPING.format(stages=stages, complete=str(complete).lower())
    (home / "mappings" / "load.yml").write_text(mapping, encoding="utf-8")
    connection = duckdb.connect()
    for statement in (DEALS, MOVES):
        query = statement.replace("$as_of", f"timestamp '{as_of}'")
        connection.execute(query.replace("$deals", str(n_deals)))
    return connection


def _export(connection: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    connection.execute(f"copy ({query}) to {literal(str(path))} (format parquet)")


# What a person would write who asks of EVENTS how long stages last and what they come to: no late
# entries, no unknown times, no corrections, no re-entries.
BY_HAND = (
    """
    create table visits as
    select *, lead(moved_at) over (partition by deal order by number) as left_at from events
    """,
    """
    create table outcomes as
    select
        visits.*,
        min(moved_at) filter (stage = 'won') over (partition by deal) as won_at,
        left_at as next_at
    from visits
    """,
    *(
        f"""
        create table conversion_by_{dimension} as
        select
            stage, {dimension}, date_trunc('month', moved_at) as month, horizon,
            count(*) as n_entered,
            count(*) filter (until <= $as_of) as n_mature,
            count(*) filter (until <= $as_of and won_at <= until) as n_won,
            count(*) filter (until <= $as_of and next_at <= until) as n_next
        from (
            select *, moved_at + to_days(horizon) as until
            from outcomes, (values (30), (90), (180), (365)) as horizons(horizon)
        )
        where stage not in ('won', 'lost')
        group by all
        """
        for dimension in ("segment", "seller", "source")
    ),
)


def by_hand(home: Path, as_of: date) -> None:
    """Visits, outcomes and three conversion marts of a load home by hand-written statements."""
    with duckdb.connect() as connection:
        path = literal(str(home / EVENTS))
        connection.execute(f"create view events as from read_parquet({path})")
        for statement in BY_HAND:
            connection.execute(statement.replace("$as_of", f"timestamp '{as_of}'"))
