"""`ser-train report`: one page over several runs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ser_runtime.errors import RunFolderError
from ser_runtime.errors import UsageError
from ser_runtime.extras import require_extra


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "report",
        help="write one HTML page (and Markdown) over complete runs",
        description="Tables beside the report's, confusion matrices side by side, learning "
        "curves, accuracy by corpus and by the speaker's sex, reliability diagrams, most "
        "confused pairs. The HTML file holds everything that it shows.",
    )
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="run folders")
    parser.add_argument("--out", type=Path, default=Path("report.html"), metavar="HTML")


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    require_extra("train", ("matplotlib", "sklearn", "scipy"))
    from ser_train.report_page import write_report
    from ser_train.run_folder import RunFolder

    if arguments.out.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"--out {arguments.out}: the page is HTML; Markdown comes beside it")
    folders = [RunFolder(path) for path in arguments.runs]
    complete = [folder for folder in folders if folder.complete]
    for folder in folders:
        if not folder.complete:
            told = f"{folder.path} is not a complete run folder"
            if not complete:
                raise RunFolderError(told)
            # `runs/*` holds searches and what is still being trained, too.
            print(f"left out: {told}", file=sys.stderr)
    for path in write_report(complete, arguments.out):
        print(path)
    return 0
