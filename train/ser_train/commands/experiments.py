"""`ser-train experiments`: what can be trained."""

from __future__ import annotations

import argparse

from ser_train.experiments import ABLATIONS
from ser_train.experiments import EXPERIMENTS
from ser_train.tunings import TUNINGS


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Declare the command."""
    commands.add_parser("experiments", help="list the experiments")


def run(_arguments: argparse.Namespace) -> int:
    """Run the command."""
    from rich.table import Table

    from ser_train.console import wide_console
    from ser_train.report_tables import report_table

    table = Table(box=None)
    table.add_column("experiment", no_wrap=True)
    for name in ("what", "section", "parameters", "report's accuracy"):
        table.add_column(name)
    for row in EXPERIMENTS.values():
        printed = report_table(row.id)
        accuracy = f"{printed.accuracy:.2f}" if printed else "not printed"
        table.add_row(row.id, row.title, row.section, f"{row.parameters:,}", accuracy)
    for tuning in TUNINGS.values():
        table.add_row(tuning.id, tuning.title, tuning.section, "", "")
    for row in ABLATIONS.values():
        table.add_row(row.id, row.title, row.section, f"{row.parameters:,}", "")
    wide_console().print(table)
    return 0
