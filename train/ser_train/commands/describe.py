"""`ser-train describe`: the layers of an experiment's network."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ser_runtime.errors import UsageError
from ser_runtime.extras import require_extra
from ser_train.commands.arguments import png_file
from ser_train.experiments import find_experiment
from ser_train.tunings import TUNINGS


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "describe",
        help="show the layers of an experiment's network, and draw it",
        description="Prints the table of layers, as the report does, and draws the architecture "
        "(its figures 5 and 8).",
    )
    parser.add_argument("experiment")
    parser.add_argument(
        "--plot", type=png_file, metavar="PNG", help="the drawing (default: EXPERIMENT.png)"
    )
    parser.add_argument("--no-plot", action="store_true", help="the table alone")


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    from rich.table import Table

    from ser_train.backend import use_backend
    from ser_train.console import wide_console

    if (tuning := TUNINGS.get(arguments.experiment)) is not None:
        raise UsageError(f"{tuning.id} tunes the network of {tuning.experiment}: describe that one")
    experiment = find_experiment(arguments.experiment)
    require_extra("train", ("keras", "matplotlib"))
    require_extra(experiment.extra, experiment.needs)
    use_backend()
    from ser_train.describe import draw_architecture
    from ser_train.families import family

    network = family(experiment.family).layers(experiment)
    table = Table("layer (type)", "output shape", "parameters", "connected to", box=None)
    for row in network.rows:
        shape = f"(None, {', '.join(map(str, row.shape))})"
        table.add_row(
            f"{row.name} ({row.kind})", shape, f"{row.parameters:,}", ", ".join(row.inputs)
        )
    console = wide_console()
    console.print(f"{experiment.id}: {experiment.title} ({experiment.source})")
    console.print(table)
    total, trainable = network.parameters, network.trainable_parameters
    console.print(f"total parameters: {total:,}", highlight=False)
    console.print(f"trainable parameters: {trainable:,}", highlight=False)
    console.print(f"non-trainable parameters: {total - trainable:,}", highlight=False)
    console.print(experiment.note, soft_wrap=True, highlight=False)
    if not arguments.no_plot:
        path = arguments.plot or Path(f"{experiment.id}.png")
        draw_architecture(network.rows, f"{experiment.id}: {total:,} parameters", path)
        print(f"architecture: {path}", file=sys.stderr)
    return 0
