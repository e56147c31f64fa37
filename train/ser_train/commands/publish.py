"""`ser-train publish`: complete runs into the committed results."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Declare the command."""
    parser = commands.add_parser("publish", help="copy complete runs into the results")
    parser.add_argument(
        "runs", type=Path, nargs="+", metavar="RUN", help="folders of runs and of tunings"
    )
    parser.add_argument("--out", type=Path, default=Path("train/results"), metavar="DIR")


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    from ser_train.results import is_tuning
    from ser_train.results import publish
    from ser_train.results import publish_tuning
    from ser_train.run_folder import RunFolder

    tunings = [path for path in arguments.runs if is_tuning(path)]
    for path in tunings:
        print(publish_tuning(path, arguments.out))
    if runs := [RunFolder(path) for path in arguments.runs if path not in tunings]:
        print(publish(runs, arguments.out))
    return 0
