"""`ser-train EXPERIMENT`: one experiment from corpora to a run folder."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from ser_runtime.errors import UsageError
from ser_runtime.extras import require_extra
from ser_train.backend import use_backend
from ser_train.checkpoint import LAST
from ser_train.commands.arguments import add_backend
from ser_train.commands.arguments import add_corpora
from ser_train.commands.arguments import add_protocol
from ser_train.commands.arguments import chosen_fold
from ser_train.commands.arguments import positive
from ser_train.commands.arguments import read_index
from ser_train.experiments import ABLATIONS
from ser_train.experiments import EXPERIMENTS
from ser_train.experiments import SHORT_NAMES
from ser_train.experiments import Experiment
from ser_train.experiments import find_experiment

if TYPE_CHECKING:
    from ser_train.corpora import CorpusIndex
    from ser_train.first_phase import FirstPhase
    from ser_train.pretrained_weights import PretrainedWeights
    from ser_train.progress import TrainingProgress
    from ser_train.run_folder import RunFolder
    from ser_train.splits import Split
    from ser_train.teachers import Teaching

PACKAGES = ("keras", "sklearn", "scipy", "matplotlib", "tensorboard")
"""What every training needs."""

_LEAVE_OUT_HELP = (
    "leave out silent clips, the same audio under two labels, and second copies of the same audio "
    "(the report's protocols keep them)"
)


def add_parsers(commands: argparse._SubParsersAction) -> None:
    """Declare a command for each experiment and each ablation."""
    for experiment in (EXPERIMENTS | ABLATIONS).values():
        parser = commands.add_parser(
            experiment.id,
            aliases=[short for short, name in SHORT_NAMES.items() if name == experiment.id],
            help=f"train: {experiment.title}",
            description=f"{experiment.title} ({experiment.source}). {experiment.note}",
        )
        add_training(parser, experiment.protocol)
        if experiment.pretrained:
            parser.add_argument(
                "--weights", required=True, metavar="WEIGHTS", help=experiment.pretrained
            )
        if experiment.family == "compact":
            add_teachers(parser)
        if experiment.finish:
            parser.add_argument(
                "--first-phase",
                type=Path,
                metavar="RUN",
                help="a complete run of this training that ends before its last phase: only that "
                "is trained, from there on",
            )
        parser.add_argument(
            "--max-epochs",
            type=positive,
            metavar="N",
            help=f"stop the search for the best epoch here (default {experiment.max_epochs})"
            + ("; its last phase follows" if experiment.finish else "")
            + ("" if experiment.monitor == LAST else "; one that was broken off may get another"),
        )
        parser.add_argument(
            "--repeat",
            type=positive,
            default=1,
            metavar="N",
            help="train with N seeds, from --seed on: a run folder each, all of them shown",
        )


def add_teachers(parser: argparse.ArgumentParser) -> None:
    """Declare what a network of the family `compact` may learn from."""
    parser.add_argument(
        "--teachers",
        nargs="+",
        type=Path,
        default=[],
        metavar="RUN",
        help="learn from these complete runs, of the same split, beside the labels (distillation); "
        "in the last phase alone, where a recipe has one",
    )


def add_training(parser: argparse.ArgumentParser, protocol: str | None = None) -> None:
    """Declare what `train` and `all` have in common; without a protocol each has its own."""
    add_corpora(parser)
    add_protocol(parser, protocol)
    parser.add_argument("--out", type=Path, default=Path("runs"), metavar="DIR")
    parser.add_argument("--fresh", action="store_true", help="forget an earlier run")
    add_backend(parser)
    parser.add_argument("--leave-out-odd", action="store_true", help=_LEAVE_OUT_HELP)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    experiment = find_experiment(arguments.command)
    require_extra("train", PACKAGES)
    require_extra(experiment.extra, experiment.needs)
    fold = chosen_fold(arguments)
    backend = arguments.backend or experiment.backend or None
    use_backend(backend, arguments.threads, arguments.precision)
    import keras

    from ser_train.progress import TrainingProgress
    from ser_train.run_summary import show_repeated
    from ser_train.run_summary import show_results
    from ser_train.splits import make_split

    weights = find_pretrained(experiment, getattr(arguments, "weights", None))

    index = read_clips(arguments)
    split = make_split(index.clips, arguments.protocol, fold)
    teaching = find_teaching(getattr(arguments, "teachers", []), split, experiment)
    first_phase = find_first_phase(arguments)
    with TrainingProgress() as progress:
        done = []
        for seed in range(arguments.seed, arguments.seed + arguments.repeat):
            done.append(
                train_experiment(
                    experiment,
                    arguments,
                    index,
                    split,
                    progress,
                    weights,
                    seed,
                    teaching=teaching,
                    first_phase=first_phase,
                )
            )
            keras.backend.clear_session()
    if arguments.repeat > 1:
        show_repeated(done)
        return 0
    ((folder, metrics),) = done
    show_results(metrics)
    print(f"run folder: {folder.path}", file=sys.stderr)
    return 0


def find_pretrained(experiment: Experiment, source: str | None) -> PretrainedWeights | None:
    """The weights that a user named, before anything else is done; None if none are needed.

    Raises:
        WeightsError: If they are missing, out of reach, or of another kind.
    """
    from ser_train.families import family

    return None if source is None else family(experiment.family).find_weights(source)


def find_teaching(
    teachers: Sequence[Path], split: Split, experiment: Experiment
) -> Teaching | None:
    """What the runs that a user named teach; None if there are none.

    Raises:
        RunFolderError: If one is incomplete, damaged, or of other clips or features.
        UsageError: If one is of another family, or named twice.
    """
    from ser_train.teachers import Teaching
    from ser_train.teachers import find_teachers

    return Teaching(find_teachers(teachers, split, experiment)) if teachers else None


def find_first_phase(arguments: argparse.Namespace) -> FirstPhase | None:
    """The run that a user named, before any other work; None if there is none.

    Raises:
        RunFolderError: If it is incomplete or damaged.
        UsageError: If several seeds are to be trained.
    """
    from ser_train.first_phase import read_first_phase

    folder = getattr(arguments, "first_phase", None)
    if folder is None:
        return None
    if arguments.repeat > 1:
        raise UsageError("--first-phase is of one seed: leave out --repeat")
    return read_first_phase(folder)


def read_clips(arguments: argparse.Namespace) -> CorpusIndex:
    """The clips that the arguments ask for."""
    index = read_index(arguments.corpora, arguments.cache)
    return index.without_odd() if arguments.leave_out_odd else index


def train_experiment(
    experiment: Experiment,
    arguments: argparse.Namespace,
    index: CorpusIndex,
    split: Split,
    progress: TrainingProgress,
    weights: PretrainedWeights | None = None,
    seed: int | None = None,
    any_settings: bool = False,
    teaching: Teaching | None = None,
    first_phase: FirstPhase | None = None,
) -> tuple[RunFolder, dict[str, Any]]:
    """Train an experiment, or go on, or read what it gave.

    Args:
        experiment: What to train.
        arguments: Of `add_training`, and `max_epochs`.
        index: The clips.
        split: Which of them train, validate and test.
        progress: Where it is shown.
        weights: What a pretrained model starts from.
        seed: In the place of that of the arguments.
        any_settings: As of `complete_run`.
        teaching: What it learns from other networks.
        first_phase: As of `ser_train.training.Recipe`.

    Returns:
        The run folder, and the content of its metrics.json.
    """
    from ser_train.families import FamilyData
    from ser_train.families import family
    from ser_train.run import Run
    from ser_train.run import complete_run
    from ser_train.run import run_folder_name
    from ser_train.run_folder import RunFolder
    from ser_train.training import Recipe

    kind = family(experiment.family)
    max_epochs = arguments.max_epochs or experiment.max_epochs
    seed = arguments.seed if seed is None else seed
    recipe = Recipe(experiment, seed, max_epochs, weights, teaching, first_phase)
    folder = RunFolder(arguments.out / run_folder_name(experiment.id, split.name, recipe.seed))
    if arguments.fresh:
        folder.remove()

    def load_data() -> FamilyData:
        data = kind.load_data(index, split, experiment, arguments.cache, progress.features)
        progress.note(
            f"{experiment.id}: {len(data.train)} training samples, {len(data.validation)} "
            f"validation and {len(data.test)} test clips ({split.name})"
        )
        if checkpoints := folder.checkpoints():
            progress.note(f"going on from {checkpoints[-1]}")
        return data

    run = Run(recipe, index, split, folder)
    was_complete = folder.complete
    try:
        metrics = complete_run(run, load_data, progress.batch, progress.epoch, any_settings)
    except KeyboardInterrupt:
        progress.note("the same command goes on after the last finished epoch")
        raise
    if was_complete:
        other = ", ".join(run.differs_in())
        progress.note(
            f"{folder.path} is complete: nothing to train (--fresh starts anew)"
            + (f"; it was made with another {other}" if other else "")
        )
    return folder, metrics
