"""Every blocking dbt check fails when what it forbids is there: one seeded violation each."""

import shutil
from pathlib import Path
from typing import Any

import duckdb
import pytest

from publishing import catalogue
from publishing.statements import statements

NODES = {n["name"]: n for n in catalogue.nodes().values() if n["resource_type"] == "test"}

# Views of which checks are asked, and the table that what breaks them is in.
BASES = dict.fromkeys(("fct_stage_visits", "fct_stage_entries"), "fct_stage_transitions")
# What breaks a rule that is about its own table alone: set this, where that.
BROKEN = {
    "time_never_runs_backwards": ("seconds_in_from_stage = -1", "from_stage_id is not null"),
    "every_journey_begins_with_create": ("move_kind = 'advance'", "move_number = 1"),
    "only_the_first_move_and_a_return_come_from_nowhere": (
        "from_stage_id = null",
        "move_kind = 'advance'",
    ),
    "only_what_is_removed_or_created_goes_nowhere": ("to_stage_id = null", "move_kind = 'won'"),
    "interval_bounds_are_in_order": (
        "occurred_at_earliest = timestamp '2099-01-01'",
        "occurred_at_earliest is not null",
    ),
    "no_visit_is_negative": ("occurred_at = timestamp '2099-01-01'", "true"),
    "nothing_is_both_won_and_lost": ("won_number = 1, lost_number = 1", "true"),
    "what_was_reached_came_after_the_entry": (
        "occurred_at = timestamp '2099-01-01'",
        "move_kind = 'create' and to_stage_kind = 'open' and journey_id in (select journey_id "
        "from fct_stage_transitions where move_kind = 'advance' and not is_correction)",
    ),
    "deals_of_every_status_are_all_deals": ("n_open = n_deals + 1", "true"),
    "stage_flows_add_up": ("n_won = n_won + 1", "true"),
    "a_week_opens_with_what_the_last_closed_with": (
        "n_open_at_start = n_open_at_start + 1",
        "true",
    ),
    "pipeline_movements_add_up_to_the_closing": ("amount = amount + 0.01", "movement = 'closing'"),
    "changes_add_up_to_the_open_pipeline": ("n_deals = n_deals + 1", "true"),
    "credits_of_the_whole_add_up_to_it": (
        "amount_base = amount_base + 0.01",
        "share = 1 and amount_base > 0",
    ),
    "every_disagreement_has_its_reason": ("reason = null", "true"),
    "every_deal_ends_where_its_export_has_it": (
        "stage_id = 'crm:nowhere'",
        "status = 'open' and deal_id not in (select deal_id from ledger_disagreements)",
    ),
    "every_stage_is_known": ("move_kind = 'unknown_stage'", "true"),
    "every_deal_stands_in_a_known_stage": ("status = 'unknown_stage'", "true"),
    "changes_come_to_every_state": ("amount_base = amount_base + 0.01", "change_number = 1"),
    "only_attempts_at_people_have_effects": ("is_at_risk = null", "is_at_risk is not null"),
    "a_meeting_is_credited_to_one_attempt_of_a_type": ("held_meeting_id = 'one'", "type = 'call'"),
    "a_sign_up_is_credited_to_one_invitation": ("signup_id = 'one'", "true"),
    "attempts_nest": ("n_reached = n_attempts + 1", "true"),
    "what_is_unknown_of_a_unit_is_null": ("outcome = null", "outcome is not null"),
    "every_stay_begins_before_it_ends": ("left_on = date '1990-01-01'", "left_on is not null"),
    "baselines_nest": ("n_events = n_units + 1", "true"),
    "invitations_nest": ("n_reached = n_attempts + 1", "true"),
    "paths_add_up_to_the_deals": ("n_deals = n_deals + 1", "touch_definition_id = 'last_touch'"),
    **{f"counts_nest_by_{dimension}": ("n_reached = n_entered + 1", "true")
       for dimension in ("segment", "source")},
    **{f"rates_by_{dimension}_lie_between_0_and_1": ("reached_rate = 1.5", "true")
       for dimension in ("segment", "source")},
    **{f"outcomes_by_{dimension}_add_up": ("n_won = n_won + 1", "true")
       for dimension in ("segment", "seller", "source", "business_area")},
}  # fmt: skip


@pytest.fixture(scope="module")
def database(made_up_marts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of a build, to be changed."""
    return Path(shutil.copy(made_up_marts.parent / "build.duckdb", tmp_path_factory.mktemp("db")))


def violation(node: dict[str, Any]) -> str:
    """One statement after which the check must fail."""
    table = next(n for n in catalogue.nodes().values() if n["unique_id"] == node["attached_node"])[
        "name"
    ]
    table = BASES.get(table, table)
    kind, arguments = node["test_metadata"]["name"], node["test_metadata"]["kwargs"]
    column = arguments.get("column_name")
    if kind == "unique_combination_of_columns":
        return f"insert into {table} from {table} limit 1"
    if node["name"] in BROKEN:
        change, where = BROKEN[node["name"]]
    else:
        change = {
            "not_null": f"{column} = null",
            "accepted_values": f"{column} = 'nonsense'",
            "relationships": f"{column} = 'nobody'",
        }[kind]
        where = "true"
    is_of_several = "_is_credited_to_one_" in node["name"]
    chosen = where if is_of_several else f"rowid = (select min(rowid) from {table} where {where})"
    return f"update {table} set {change} where {chosen}"


@pytest.mark.parametrize("name", sorted(NODES))
def test_a_seeded_violation_makes_the_check_fail(database: Path, name: str) -> None:
    (query,) = (s.text for s in statements() if s.is_test and s.name == name)
    with duckdb.connect(str(database)) as connection:
        assert not connection.execute(query).fetchall()
        connection.execute("begin")
        connection.execute(violation(NODES[name]))
        found = connection.execute(query).fetchall()
        connection.execute("rollback")
    assert found
