"""`ser-export compare`: model files at hand, side by side."""

from __future__ import annotations

import argparse
from pathlib import Path

from ser_runtime.extras import require_extra
from ser_train.backend import use_backend
from ser_train.commands.arguments import add_cache

DESCRIPTION = (
    "Scores model files on the same test clips and times them in turn. The first file is what the "
    "others are set against."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command."""
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="a model file")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--run", type=Path, metavar="RUN", help="a run folder that holds the clips")
    where.add_argument(
        "--corpora", type=Path, metavar="DIR", help="the corpora: clips of the files' own split"
    )
    add_cache(parser)
    parser.add_argument("--out", type=Path, metavar="FILE.md", help="write the table as Markdown")


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    require_extra("train", ("sklearn", "scipy"))
    use_backend("tensorflow", 1)
    from rich.console import Console

    from ser_export import comparison
    from ser_export.progress import Progress
    from ser_export.tables import markdown
    from ser_export.tables import show
    from ser_runtime.atomic_file import write_text

    with Progress() as progress:
        compared = comparison.compare_files(
            arguments.files, arguments.run, arguments.corpora, arguments.cache, progress
        )
    console = Console(highlight=False, markup=False)
    rows = comparison.rows(compared)
    show(console, comparison.COLUMNS, rows)
    console.print(comparison.NOTE, soft_wrap=True)
    if arguments.out:
        write_text(arguments.out, f"{markdown(comparison.COLUMNS, rows)}\n{comparison.NOTE}\n")
    return 0
