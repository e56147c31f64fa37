"""`ser-train corpora`: what is there, and what is odd."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ser_runtime.extras import require_extra
from ser_train.commands.arguments import add_cache
from ser_train.commands.arguments import png_file
from ser_train.commands.arguments import read_index


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Declare the command."""
    parser = commands.add_parser("corpora", help="read the corpora and show what is there")
    parser.add_argument("folder", type=Path, help="folder that holds the corpora, any layout")
    parser.add_argument("--plot", type=png_file, metavar="PNG", help="draw the class distribution")
    add_cache(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    from ser_train.corpora.table import class_counts
    from ser_train.corpora.table import show_corpora

    if arguments.plot:
        require_extra("plot", ("matplotlib",))
    index = read_index(arguments.folder, arguments.cache)
    show_corpora(index)
    if arguments.plot:
        from ser_train.plots import plot_class_distribution

        plot_class_distribution(class_counts(index), arguments.plot)
        print(f"class distribution: {arguments.plot}", file=sys.stderr)
    return 0
