"""The one declaration of every input table."""

from pathlib import Path

import pytest

from ingestion.tables import (
    MAPPINGS_DOC,
    TABLES,
    CellType,
    Column,
    Privacy,
    dbt_sources,
    mappings_doc,
)


def test_a_column_without_privacy_class_or_doc_fails() -> None:
    with pytest.raises(TypeError):
        Column("phone", CellType.TEXT, doc="A number.")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="privacy"):
        Column("phone", CellType.TEXT, "none", "A number.")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="doc"):
        Column("phone", CellType.TEXT, Privacy.NONE, "")


def test_every_input_table_of_the_design_is_declared() -> None:
    assert set(TABLES) == {
        "deals", "deal_changes", "deal_credits", "leads", "activities", "sellers", "accounts",
        "contacts", "stages", "goals", "experiments", "assignments", "actions", "fx_rates",
        "deal_merges", "activity_links",
    }  # fmt: skip


def test_people_at_customers_are_known_only_by_hash() -> None:
    for column in TABLES["contacts"].columns:
        assert column.privacy is not Privacy.PERSON
        if "email" in column.name or "phone" in column.name:
            assert column.cell_type in (CellType.EMAIL_HASH, CellType.PHONE_HASH)


def test_dbt_sources_are_those_the_declaration_gives() -> None:
    path = Path(__file__).parents[1] / "dbt" / "models" / "records" / "_sources.yml"
    assert path.read_text(encoding="utf-8") == dbt_sources(), "run `make sources`"
    assert MAPPINGS_DOC.read_text(encoding="utf-8") == mappings_doc(), "run `make sources`"


def test_version_follows_types_and_not_docs() -> None:
    from dataclasses import replace

    table = TABLES["fx_rates"]
    reworded = replace(table, columns=(replace(table.columns[0], doc="Day."), *table.columns[1:]))
    retyped = replace(
        table, columns=(replace(table.columns[0], cell_type=CellType.TIMESTAMP), *table.columns[1:])
    )
    assert reworded.version == table.version
    assert retyped.version != table.version
