"""The private build of one day: landed files in, marts out as Parquet.

Belongs here: the folder warehouse/<as_of>/, what lies in it, how long it is kept.
Does not belong here: models (dbt), engines (`engines`), what is published (`sets`).
"""

import shutil
from datetime import date

from ingestion.home import Home
from publishing.catalogue import PublishedTable
from publishing.engines.duckdb_engine import DuckDBEngine
from publishing.inputs import BuildInputs, KnowledgeBasis, choose_inputs


class Warehouse:
    """warehouse/<as_of>/: nobody else opens it, and it can always be built again.

    A build on the other knowledge basis has a folder of its own, and is never published.
    """

    def __init__(
        self, home: Home, as_of: date, knowledge_basis: KnowledgeBasis = "as_known"
    ) -> None:
        self.home = home
        self.as_of = as_of
        self.knowledge_basis = knowledge_basis
        day = as_of.isoformat()
        name = day if knowledge_basis == "as_known" else f"{day}-{knowledge_basis}"
        self.folder = home.warehouse / name
        self.marts = self.folder / "marts"
        self.docs = self.folder / "docs"
        self.engine = DuckDBEngine(self.folder / "build.duckdb")

    def begin(self, loads: list[str]) -> None:
        """A fresh folder, `raw.*` over exactly these loads, and the profile dbt runs with."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.marts.mkdir(parents=True)
        inputs = choose_inputs(self.home, loads, self.as_of, self.knowledge_basis)
        inputs.write(self.folder / "inputs.json")
        self.engine.register(inputs, self.home)
        (self.folder / "profiles.yml").write_text(self.engine.profile())

    def inputs(self) -> BuildInputs:
        """What this build was begun with. Raises DamagedFile."""
        return BuildInputs.read(self.folder / "inputs.json")

    def hand_over(self, models: list[PublishedTable]) -> None:
        """Write built tables into `marts` as Parquet, and what is derived from them as views."""
        tables = [model.name for model in models if not model.is_view]
        self.engine.hand_over(tables, [model.name for model in models if model.is_view], self.marts)

    def retire_others(self, keep: int) -> None:
        """Remove all but the latest `keep` builds, this one always kept."""
        folders = sorted(self.home.warehouse.glob("????-??-??*"), reverse=True)
        for folder in [f for f in folders if f != self.folder][max(keep - 1, 0) :]:
            shutil.rmtree(folder, ignore_errors=True)
