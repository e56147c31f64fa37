"""`ser-train recipe-search`: what a recipe leaves open, compared on validation clips."""

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
from ser_train.commands.train import add_teachers
from ser_train.experiments import EXPERIMENTS


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "recipe-search",
        help="compare what a recipe leaves open, on validation clips",
        description="Short trainings that differ in one thing each, compared on validation clips. "
        "The test clips are not scored. `report`: scaling, window, crop and pooling, which the "
        "report leaves open, under its own labels. `compact`: width and augmentation of our own "
        "network.",
    )
    add_corpora(parser)
    parser.add_argument(
        "--search", choices=("report", "compact"), default="report", help="default: %(default)s"
    )
    add_teachers(parser)
    parser.add_argument(
        "--first-phase",
        type=Path,
        metavar="RUN",
        help="the complete run that candidates begin with whose last phase alone differs",
    )
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these candidates")
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: runs/SEARCH-search")
    add_backend(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    require_extra("train", (*PACKAGES, "keras_hub"))
    use_backend(arguments.backend, arguments.threads, arguments.precision)
    from ser_runtime.atomic_file import write_text
    from ser_train.first_phase import read_first_phase
    from ser_train.progress import TrainingProgress
    from ser_train.recipe_search import SEARCHES
    from ser_train.recipe_search import run_candidate
    from ser_train.recipe_search import search_table
    from ser_train.recipe_search import stored_history
    from ser_train.splits import make_split
    from ser_train.teachers import find_teachers

    search = SEARCHES[arguments.search]
    candidates = search.candidates
    names = arguments.only or [
        name
        for name, candidate in candidates.items()
        if (arguments.teachers or not candidate.taught)
        and (arguments.first_phase or not candidate.finish)
    ]
    if unknown := sorted(set(names) - set(candidates)):
        raise UsageError(f"no candidate {', '.join(unknown)}; known: {', '.join(candidates)}")
    index = read_index(arguments.corpora, arguments.cache)
    split = make_split(index.clips, search.protocol)
    teachers = find_teachers(arguments.teachers, split, EXPERIMENTS["compact"])
    if not teachers and (taught := [name for name in names if candidates[name].taught]):
        raise UsageError(f"{', '.join(taught)} learns from teachers: name them with --teachers")
    first_phase = arguments.first_phase and read_first_phase(arguments.first_phase)
    if not first_phase and (last := [name for name in names if candidates[name].finish]):
        raise UsageError(f"{', '.join(last)} begins with a run: name it with --first-phase")
    folder = arguments.out or Path("runs") / f"{arguments.search}-search"
    # Losers included, also those of an earlier call.
    before = {name: stored_history(candidates[name], folder) for name in candidates}
    histories = {name: history for name, history in before.items() if history is not None}
    table = folder / "experiments.md"
    with TrainingProgress() as progress:
        if not arguments.only and (left := [name for name in candidates if name not in names]):
            progress.note(f"left out for want of --teachers or --first-phase: {', '.join(left)}")
        for name in names:
            candidate = candidates[name]
            progress.note(f"{name}: {candidate.what}")
            histories[name] = run_candidate(
                candidate, index, split, arguments.cache, folder, progress, teachers, first_phase
            )
            write_text(table, search_table(search, histories, split))
    print(table.read_text(encoding="utf-8"), end="")
    return 0
