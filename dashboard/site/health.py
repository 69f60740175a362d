"""The page of data health: what came in, what was refused, what is not known, what was checked.

Belongs here: which published figures it shows. Does not belong here: sentences (words).
"""

from collections import Counter
from typing import Any

from dashboard.site.parts import Page, Section, SetFacts, Source, table_of

COVERAGE = "select fact, n_deals, n_known, known_rate, untold, remedy from coverage order by fact"
DISAGREEMENTS = """
    select reason, count(*) as n, count(distinct deal_id) as n_deals
    from ledger_disagreements group by reason order by n desc, reason
"""
LEFT_OPEN = """
    select 'export_conflicts' as name, count(*) as n from export_conflicts
    union all select 'unknown_deals', coalesce(sum(n_records), 0) from unknown_deals
    union all select 'gone_deals', count(*) from pipeline_status where is_gone
    union all select 'shared_names', coalesce(sum(n_records), 0) from seller_aliases
        where reason = 'shared_name'
    union all select 'unmapped_types', coalesce(sum(n_activities), 0) from unmapped_activity_types
"""
DEFINITIONS = """
    select table_name as name, comment as text, estimated_size as n from duckdb_tables()
    where database_name = current_database() and not internal and comment is not null
        and not temporary
    union all
    select view_name, comment, null from duckdb_views()
    where database_name = current_database() and not internal and comment is not null
        and not temporary
    order by name
"""


def health_page(source: Source, facts: SetFacts) -> Page:
    parts = [_files(source, facts), _left_open(source), _coverage(source)]
    return Page("health", [], [*parts, _checks(source, facts), _definitions(source)])


def _files(source: Source, facts: SetFacts) -> Section:
    words = source.words
    if not facts.files:
        return Section(words("files"), lines=[words("no_files")])
    kinds: dict[str, list[Any]] = {}
    for file in facts.files:
        if file.file_kind.endswith("/stages"):
            continue  # what a mapping says of stages
        kinds.setdefault(file.file_kind, []).append(file)
    rows = []
    for kind, files in sorted(kinds.items()):
        rules: Counter[str] = Counter()
        for file in files:
            rules.update(file.rules)
        rows.append({
            "kind": kind, "known_at": max(file.known_at for file in files)[:16], "n": len(files),
            "accepted": sum(file.accepted for file in files),
            "quarantined": sum(file.quarantined for file in files),
            "why": "; ".join(f"{rule.replace('_', ' ')}: {n:,}" for rule, n in rules.most_common()),
        })  # fmt: skip
    head = source.head("file_kind newest files_n accepted quarantined why")
    table = table_of(
        head,
        rows,
        lambda row: [row["kind"], row["known_at"], *(words.number(row[name]) for name in
                     ("n", "accepted", "quarantined")), row["why"]],
    )  # fmt: skip
    return Section(words("files"), [words("files_note")], table=table)


def _left_open(source: Source) -> Section:
    words = source.words
    lines = [
        words(f"left_{row['name']}", n=words.number(row["n"]))
        for row in source.rows(LEFT_OPEN)
        if row["n"]
    ]
    lines += [
        words("disagree", n=words.number(row["n"]), deals=words.number(row["n_deals"]),
              why=words.term(row["reason"]))
        for row in source.rows(DISAGREEMENTS)
    ]  # fmt: skip
    return Section(words("left_open"), [words("left_open_note")], lines or [words("nothing_open")])


def _coverage(source: Source) -> Section:
    words = source.words
    head = source.head("fact deals_n known share untold remedy")
    table = table_of(
        head,
        source.rows(COVERAGE),
        lambda row: [words.term(row["fact"]), *source.numbers(row, "n_deals n_known"),
                     words.share(row["known_rate"]), words.term(row["untold"]),
                     words.term(row["remedy"])],
    )  # fmt: skip
    return Section(words("facts_known"), [words("facts_known_note")], table=table)


def _checks(source: Source, facts: SetFacts) -> Section:
    words = source.words
    counts = Counter(check.outcome for check in facts.checks)
    lines = [f"{words.term(outcome)}: {words.number(n)}" for outcome, n in counts.most_common()]
    rows = [{"check": check} for check in facts.checks if check.outcome != "passed"]
    head = source.head("check result why")
    table = table_of(
        head,
        rows,
        lambda row: [row["check"].name.replace("_", " "), words.term(row["check"].outcome),
                     row["check"].detail],
    )  # fmt: skip
    return Section(words("checks"), [words("checks_note")], lines, table=table if rows else None)


def _definitions(source: Source) -> Section:
    words = source.words
    head = source.head("table rows_n holds")
    rows = [row for row in source.rows(DEFINITIONS) if row["text"]]
    table = table_of(
        head,
        rows,
        lambda row: [row["name"], words.number(row["n"]), " ".join(row["text"].split())],
    )
    return Section(words("definitions"), [words("definitions_note")], table=table)
