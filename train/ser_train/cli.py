"""`ser-train`: reads the corpora, trains the experiments, writes run folders."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from typing import NoReturn

from ser_runtime.errors import EXIT_CODES_HELP
from ser_runtime.errors import UsageError
from ser_runtime.errors import run_command
from ser_runtime.extras import require_extra
from ser_train.backend import BACKENDS
from ser_train.backend import use_backend
from ser_train.experiments import EXPERIMENTS
from ser_train.experiments import find_experiment
from ser_train.features.cache import default_cache_folder
from ser_train.splits import FOLDS
from ser_train.splits import PROTOCOLS
from ser_train.splits import TESS_FOLDS

if TYPE_CHECKING:
    from ser_train.corpora import CorpusIndex

_EXAMPLES = """examples:
  ser-train corpora ~/corpora                    what is there, and what is odd
  ser-train corpora ~/corpora --plot classes.png
  ser-train cnn --corpora ~/corpora              train the report's single CNN
  ser-train cnn --corpora ~/corpora --protocol speaker-independent --fold 1
  ser-train splits ~/corpora --out splits/       write the split manifests
  ser-train experiments                          what can be trained
  ser-train publish runs/cnn-report-seed0        keep its results and weights"""


def main(argv: list[str] | None = None) -> NoReturn:
    """Entry point of the console script."""
    run_command(lambda: _main(argv))


def _main(argv: list[str] | None) -> int:
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    argv = sys.argv[1:] if argv is None else argv
    command = next((word for word in argv if not word.startswith("-")), None)
    if command and command not in (*COMMANDS, *EXPERIMENTS):
        find_experiment(command, also=COMMANDS)  # raises, naming the nearest
    arguments = _parser().parse_args(argv)
    return COMMANDS.get(arguments.command, _train)(arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ser-train",
        description="Train speech emotion recognizers on RAVDESS, SAVEE, TESS and CREMA-D.",
        epilog=f"{_EXAMPLES}\n\n{EXIT_CODES_HELP}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    corpora = commands.add_parser("corpora", help="read the corpora and show what is there")
    corpora.add_argument("folder", type=Path, help="folder that holds the corpora, any layout")
    corpora.add_argument("--plot", type=Path, metavar="PNG", help="draw the class distribution")
    _add_cache(corpora)

    splits = commands.add_parser("splits", help="write the split manifests")
    splits.add_argument("folder", type=Path, help="folder that holds the corpora")
    splits.add_argument("--out", type=Path, required=True, metavar="DIR", help="where to")
    _add_cache(splits)

    commands.add_parser("experiments", help="list the experiments")

    publish = commands.add_parser("publish", help="copy complete runs into the results")
    publish.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="run folders")
    publish.add_argument("--out", type=Path, default=Path("train/results"), metavar="DIR")

    for experiment in EXPERIMENTS.values():
        command = commands.add_parser(
            experiment.id,
            help=f"train: {experiment.title}",
            description=f"{experiment.title} (report, section {experiment.section}). "
            f"{experiment.note}",
        )
        command.add_argument("--corpora", type=Path, required=True, metavar="DIR")
        command.add_argument(
            "--protocol",
            choices=PROTOCOLS,
            default="report",
            help="; ".join(f"{row.id}: {row.note}" for row in PROTOCOLS.values()).replace(
                "%", "%%"
            ),
        )
        command.add_argument(
            "--fold", choices=FOLDS + TESS_FOLDS, help="of speaker-independent (default 1)"
        )
        command.add_argument("--seed", type=_not_negative, default=0)
        command.add_argument(
            "--max-epochs",
            type=_positive,
            metavar="N",
            help=f"stop the search for the best epoch here (default {experiment.max_epochs})",
        )
        command.add_argument("--out", type=Path, default=Path("runs"), metavar="DIR")
        command.add_argument("--fresh", action="store_true", help="forget an earlier run")
        command.add_argument("--backend", choices=BACKENDS)
        command.add_argument(
            "--threads", type=_positive, metavar="N", help="of the backend (JAX: 1, or all)"
        )
        command.add_argument("--leave-out-odd", action="store_true", help=_LEAVE_OUT_HELP)
        _add_cache(command)
    return parser


_LEAVE_OUT_HELP = (
    "leave out silent clips, the same audio under two labels, and second copies of the same audio "
    "(the report's protocols keep them)"
)


def _corpora(arguments: argparse.Namespace) -> int:
    from ser_train.corpora.table import class_counts
    from ser_train.corpora.table import show_corpora

    if arguments.plot:
        require_extra("plot", ("matplotlib",))
    index = _read(arguments.folder, arguments.cache)
    show_corpora(index)
    if arguments.plot:
        from ser_train.plots import plot_class_distribution

        plot_class_distribution(class_counts(index), arguments.plot)
        print(f"class distribution: {arguments.plot}", file=sys.stderr)
    return 0


def _splits(arguments: argparse.Namespace) -> int:
    require_extra("train", ("sklearn",))
    from ser_train.split_manifest import write_manifest

    index = _read(arguments.folder, arguments.cache)
    for path in write_manifest(index.clips, arguments.out):
        print(path)
    return 0


def _experiments(_arguments: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.table import Table

    from ser_train.report_tables import report_table

    table = Table("experiment", "what", "section", "parameters", "report's accuracy", box=None)
    for row in EXPERIMENTS.values():
        printed = report_table(row.id)
        table.add_row(
            row.id,
            row.title,
            row.section,
            f"{row.parameters:,}",
            f"{printed.accuracy:.2f}" if printed else "not printed",
        )
    Console().print(table)
    return 0


def _publish(arguments: argparse.Namespace) -> int:
    from ser_train.results import publish
    from ser_train.run_folder import RunFolder

    print(publish([RunFolder(path) for path in arguments.runs], arguments.out))
    return 0


def _train(arguments: argparse.Namespace) -> int:
    require_extra("train", ("keras", "sklearn", "scipy", "matplotlib"))
    from ser_train.progress import TrainingProgress
    from ser_train.splits import make_split

    experiment = find_experiment(arguments.command)
    fold = arguments.fold
    if arguments.protocol == "speaker-independent":
        fold = fold or FOLDS[0]
    elif fold:
        raise UsageError("--fold belongs to --protocol speaker-independent")
    backend = use_backend(arguments.backend, arguments.threads)
    index = _read(arguments.corpora, arguments.cache)
    if arguments.leave_out_odd:
        index = index.without_odd()
    split = make_split(index.clips, arguments.protocol, fold)

    from ser_train.dataset import Dataset
    from ser_train.dataset import make_dataset
    from ser_train.features.cache import cached_features
    from ser_train.run import Run
    from ser_train.run import complete_run
    from ser_train.run import run_folder_name
    from ser_train.run_folder import RunFolder
    from ser_train.run_summary import show_results
    from ser_train.training import Recipe

    recipe = Recipe(experiment, arguments.seed, arguments.max_epochs or experiment.max_epochs)
    folder = RunFolder(arguments.out / run_folder_name(experiment.id, split.name, recipe.seed))
    run = Run(recipe, index, split, folder, backend)
    if arguments.fresh:
        folder.remove()
    if folder.complete:
        print(f"{folder.path} is complete: nothing to train (--fresh starts anew)", file=sys.stderr)
    with TrainingProgress() as progress:

        def load_data() -> Dataset:
            copies = experiment.noisy_copies
            features = cached_features(
                index, experiment.spec, arguments.cache, copies, progress=progress.features
            )
            data = make_dataset(index.clips, split, features, copies)
            progress.note(
                f"{experiment.id}: {len(data.train)} training samples, {len(data.validation)} "
                f"validation and {len(data.test)} test clips ({split.name}) on {backend}"
            )
            if folder.checkpoint.exists():
                progress.note(f"going on from {folder.checkpoint}")
            return data

        try:
            metrics = complete_run(run, load_data, progress.batch, progress.epoch)
        except KeyboardInterrupt:
            progress.note("the same command goes on after the last finished epoch")
            raise
    show_results(metrics)
    print(f"run folder: {folder.path}", file=sys.stderr)
    return 0


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "corpora": _corpora,
    "splits": _splits,
    "experiments": _experiments,
    "publish": _publish,
}
"""Every command that is no experiment."""


def _read(folder: Path, cache: Path) -> CorpusIndex:
    from ser_train.corpora import read_corpora
    from ser_train.progress import reading_progress

    with reading_progress() as progress:
        return read_corpora(folder, cache / "corpora.json", progress)


def _add_cache(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cache",
        type=Path,
        metavar="DIR",
        default=default_cache_folder(),
        help="features and what is known of the clips (default: %(default)s)",
    )


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {value}")
    return value


def _not_negative(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"must not be negative: {value}")
    return value
