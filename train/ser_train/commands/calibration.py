"""`ser-train calibration`: how honest the confidence of runs is, over all their test clips."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ser_runtime.extras import require_extra


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "calibration",
        help="measure how honest the confidence of complete runs is",
        description="Pools the test predictions of runs of one experiment and protocol, such as "
        "the five folds: calibration error before and after the temperature, reliability diagram, "
        "risk against coverage, and what the confidence threshold, chosen for 90 % precision on "
        "validation clips, gives on the test clips. Writes table.md, calibration.json, "
        "reliability.png and risk_coverage.png.",
    )
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="run folders")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="default: calibration/ and experiment-protocol"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    require_extra("train", ("matplotlib", "sklearn", "scipy"))
    from ser_train.calibration_report import calibration_table
    from ser_train.calibration_report import measure_calibration
    from ser_train.calibration_report import write_calibration
    from ser_train.pooled_predictions import pool_predictions
    from ser_train.run_folder import RunFolder

    pool = pool_predictions([RunFolder(path) for path in arguments.runs])
    figures = measure_calibration(pool)
    print(calibration_table(figures), end="")
    folder = arguments.out or Path("calibration") / f"{pool.experiment}-{pool.protocol}"
    for path in write_calibration(figures, folder):
        print(path, file=sys.stderr)
    return 0
