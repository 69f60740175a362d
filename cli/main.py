"""`mellantid`: the group that all commands belong to.

Belongs here: the home option, the list of commands. Does not belong here: commands.
"""

import click

from cli.experimenting import experiment
from cli.forecasting import backtest, check_in
from cli.looking import open_page, rollback, status, verify
from cli.running import reconstruct, run
from cli.simulating import simulate
from cli.taking_in import ingest, map_file, tally


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--home", envvar="MELLANTID_HOME", default="data", help="The data home.")
@click.version_option(package_name="mellantid")
@click.pass_context
def main(context: click.Context, home: str) -> None:
    """Sales navigation from CRM exports: cause, effect and split times."""
    context.obj = home


for command in (run, open_page, check_in, reconstruct, backtest, ingest, map_file, tally,
                experiment, status, verify, rollback, simulate):  # fmt: skip
    main.add_command(command)


if __name__ == "__main__":
    main()
