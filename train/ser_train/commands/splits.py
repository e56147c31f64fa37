"""`ser-train splits`: the split manifests."""

from __future__ import annotations

import argparse
from pathlib import Path

from ser_runtime.extras import require_extra
from ser_train.commands.arguments import add_cache
from ser_train.commands.arguments import read_index


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Declare the command."""
    parser = commands.add_parser("splits", help="write the split manifests")
    parser.add_argument("folder", type=Path, help="folder that holds the corpora")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where to")
    add_cache(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    require_extra("train", ("sklearn",))
    from ser_train.split_manifest import write_manifest

    index = read_index(arguments.folder, arguments.cache)
    for path in write_manifest(index.clips, arguments.out):
        print(path)
    return 0
