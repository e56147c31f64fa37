"""`ser-train recipe-search`: what the report leaves open, compared on validation clips."""

from __future__ import annotations

import argparse
from pathlib import Path

from ser_runtime.errors import UsageError
from ser_runtime.extras import require_extra
from ser_train.backend import use_backend
from ser_train.commands.arguments import add_backend
from ser_train.commands.arguments import add_corpora
from ser_train.commands.arguments import read_index
from ser_train.commands.train import PACKAGES


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "recipe-search",
        help="compare what the report leaves open, on validation clips",
        description="Short trainings that differ in one thing each (scaling, window, crop, "
        "pooling), compared on the validation clips of the report's own labels. The test clips "
        "are not scored.",
    )
    add_corpora(parser)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these candidates")
    parser.add_argument("--out", type=Path, default=Path("runs/recipe-search"), metavar="DIR")
    add_backend(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    require_extra("train", (*PACKAGES, "keras_hub"))
    use_backend(arguments.backend, arguments.threads, arguments.precision)
    from ser_runtime.atomic_file import write_text
    from ser_train.progress import TrainingProgress
    from ser_train.recipe_search import CANDIDATES
    from ser_train.recipe_search import run_candidate
    from ser_train.recipe_search import search_table
    from ser_train.recipe_search import stored_history
    from ser_train.splits import make_split

    names = arguments.only or list(CANDIDATES)
    if unknown := sorted(set(names) - set(CANDIDATES)):
        raise UsageError(f"no candidate {', '.join(unknown)}; known: {', '.join(CANDIDATES)}")
    index = read_index(arguments.corpora, arguments.cache)
    split = make_split(index.clips, "report-labels")
    # Losers included, also those of an earlier call.
    before = {name: stored_history(CANDIDATES[name], arguments.out) for name in CANDIDATES}
    histories = {name: history for name, history in before.items() if history is not None}
    table = arguments.out / "experiments.md"
    with TrainingProgress() as progress:
        for name in names:
            candidate = CANDIDATES[name]
            progress.note(f"{name}: {candidate.what}")
            histories[name] = run_candidate(
                candidate, index, split, arguments.cache, arguments.out, progress
            )
            write_text(table, search_table(histories, split))
    print(table.read_text(encoding="utf-8"), end="")
    return 0
