"""Makes Superset ready and puts the dashboards kept here into it, as often as wanted.

Run by Superset's own Python: make_ready.py MARTS, the path of a published marts.duckdb. What
Superset has under the same uuids becomes what the YAML says; what people made beside it stays.

Belongs here: what `superset db upgrade`, `init` and an import do, in one go. Does not belong here:
settings (superset_config), what is on a dashboard (YAML).
"""

import contextlib
import json
import secrets
import sys
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
IMPORTER = "importer"


def query_context(params: dict[str, Any]) -> str:
    """What a chart asks, kept with it, so that it can be asked over HTTP without a browser."""
    columns = params.get("all_columns") or [
        params[name] for name in ("x_axis", "source", "target") if name in params
    ]
    metrics = params.get("metrics") or ([params["metric"]] if "metric" in params else None)
    filters = [
        {"col": each["subject"], "op": each["operator"], "val": each["comparator"]}
        for each in params["adhoc_filters"]
    ]
    query = {"columns": columns, "filters": filters, "row_limit": params["row_limit"]}
    if metrics:
        query["metrics"] = metrics
    # Superset finds the dataset by the chart's dataset_uuid and writes its number here.
    return json.dumps({"datasource": {"id": 0, "type": "table"}, "queries": [query]})


def contents(marts: Path) -> dict[str, str]:
    """Files by name, as Superset's import takes them."""
    found = {}
    for path in sorted(HERE.rglob("*.yaml")):
        name, text = path.relative_to(HERE).as_posix(), path.read_text(encoding="utf-8")
        if name.startswith("databases/"):
            # The link, not what it leads to: the next publish moves it.
            text = text.replace("@MARTS@", str(marts.absolute()))
        if name.startswith("charts/"):
            chart = yaml.safe_load(text)
            text = yaml.safe_dump({**chart, "query_context": query_context(chart["params"])})
        found[name] = text
    return found


def make_ready(marts: Path) -> list[str]:
    """Returns where each dashboard is found."""
    from flask import g
    from flask_migrate import upgrade
    from superset.app import create_app

    with create_app().app_context():
        from superset.commands.importers.v1.assets import ImportAssetsCommand
        from superset.connectors.sqla.models import SqlaTable
        from superset.models.dashboard import Dashboard
        from superset.models.slice import Slice

        from superset import appbuilder, db, security_manager

        upgrade()
        appbuilder.add_permissions(update_perms=True)
        security_manager.sync_role_definitions()
        # Whoever imports must be allowed to write. Nobody is told this password.
        g.user = security_manager.find_user(username=IMPORTER) or security_manager.add_user(
            IMPORTER, "Importer", "", f"{IMPORTER}@localhost",
            security_manager.find_role("Admin"), password=secrets.token_urlsafe(32),
        )  # fmt: skip
        files = contents(marts)
        ImportAssetsCommand(files).run()
        kept = {yaml.safe_load(text).get("uuid") for text in files.values()}
        for kind in (Dashboard, Slice, SqlaTable):
            for each in db.session.query(kind).filter_by(created_by_fk=g.user.id):
                if str(each.uuid) not in kept:
                    db.session.delete(each)
        for dataset in db.session.query(SqlaTable):
            dataset.fetch_metadata()  # its columns and their descriptions, read from the file
        every = "all_datasource_access"
        security_manager.add_permission_role(
            security_manager.find_role("Public"),
            security_manager.find_permission_view_menu(every, every),
        )
        db.session.commit()
        return [
            f"{each.dashboard_title}: /superset/dashboard/{each.slug}/"
            for each in db.session.query(Dashboard).order_by(Dashboard.dashboard_title)
            if str(each.uuid) in kept
        ]


if __name__ == "__main__":
    published = Path(sys.argv[1])
    if not published.is_file():
        sys.exit(f"{published}: nothing is published there; `mellantid run` first")
    with contextlib.redirect_stdout(sys.stderr):  # Superset's migrations talk a lot
        places = make_ready(published)
    print("\n".join(places))  # noqa: T201
