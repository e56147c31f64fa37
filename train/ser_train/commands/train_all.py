"""`ser-train all`: every experiment and tuning, one table."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Container
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ser_runtime.errors import SerError
from ser_runtime.errors import StorageError
from ser_runtime.extras import require_extra
from ser_train.backend import use_backend
from ser_train.commands.arguments import chosen_fold
from ser_train.commands.arguments import positive
from ser_train.commands.train import PACKAGES
from ser_train.commands.train import add_training
from ser_train.commands.train import find_pretrained
from ser_train.commands.train import read_clips
from ser_train.commands.train import train_experiment
from ser_train.commands.tune import TUNER
from ser_train.commands.tune import tune_experiment
from ser_train.experiments import EXPERIMENTS
from ser_train.experiments import Experiment
from ser_train.experiments import find_experiment
from ser_train.tunings import TUNINGS
from ser_train.tunings import Tuning

if TYPE_CHECKING:
    from ser_train.pretrained_weights import PretrainedWeights


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "all",
        help="train every experiment, and show one table",
        description="Trains every experiment that the installed packages allow, one after the "
        "other, then runs the tunings, and says which it left out and why. What is complete is "
        "only read; what was stopped goes on.",
    )
    add_training(parser)
    parser.add_argument("--only", nargs="+", metavar="EXPERIMENT", help="these, in this order")
    for name, what in _pretrained().items():
        parser.add_argument(f"--{name}-weights", metavar="WEIGHTS", help=what)
    parser.add_argument(
        "--max-epochs", type=positive, metavar="N", help="stop each search for the best epoch here"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    require_extra("train", PACKAGES)
    names = arguments.only or [*EXPERIMENTS, *TUNINGS]
    wanted = [find_experiment(name, TUNINGS) for name in names if name not in TUNINGS]
    tunings = [TUNINGS[name] for name in names if name in TUNINGS]
    fold = chosen_fold(arguments)
    use_backend(arguments.backend, arguments.threads, arguments.precision)
    import keras

    from ser_train.progress import TrainingProgress
    from ser_train.results import show_results_table
    from ser_train.splits import make_split

    left_out = _left_out(wanted, tunings, arguments)
    used = [*wanted, *(EXPERIMENTS[tuning.experiment] for tuning in tunings)]
    weights = _find_weights(used, left_out, arguments)
    index = read_clips(arguments)
    done, tables, failed = [], [], {}
    with TrainingProgress() as progress:
        for name, reason in left_out.items():
            progress.note(f"left out: {name}: {reason}")
        for number, row in enumerate((*wanted, *tunings), 1):
            if row.id in left_out:
                continue
            progress.note(f"[{number}/{len(wanted) + len(tunings)}] {row.id}: {row.title}")
            experiment = EXPERIMENTS[row.experiment] if isinstance(row, Tuning) else row
            split = make_split(index.clips, arguments.protocol or experiment.protocol, fold)
            task = arguments, index, split, progress, weights.get(experiment.family)
            try:
                if isinstance(row, Tuning):
                    tables.append(tune_experiment(row, *task))
                else:
                    done.append(train_experiment(row, *task, any_settings=True))
            except StorageError:
                raise  # the next one would fail too
            except SerError as error:
                failed[row.id] = error
                progress.note(f"error: {row.id}: {error}")
            keras.backend.clear_session()
    if done:
        show_results_table(done)
    for table in tables:
        print(f"\n{table}", end="")
    for name, reason in left_out.items():
        print(f"left out: {name}: {reason}", file=sys.stderr)
    return _exit_code(failed)


def _left_out(
    wanted: Sequence[Experiment], tunings: Sequence[Tuning], arguments: argparse.Namespace
) -> dict[str, str]:
    """Experiments and tunings that cannot be run here, and why."""
    rows = [(row.id, row, row.needs) for row in wanted]
    rows += [(row.id, EXPERIMENTS[row.experiment], TUNER) for row in tunings]
    left_out = {}
    for name, experiment, needs in rows:
        if missing := [package for package in needs if not _installed(package)]:
            left_out[name] = f"needs {', '.join(missing)}, which is not installed"
        elif experiment.pretrained and _weights_of(experiment, arguments) is None:
            left_out[name] = f"needs --{experiment.family}-weights"
    return left_out


def _find_weights(
    wanted: Sequence[Experiment], left_out: Container[str], arguments: argparse.Namespace
) -> dict[str, PretrainedWeights | None]:
    """The weights of each family, looked at before any training starts.

    Raises:
        WeightsError: If some are missing, out of reach, or of another kind.
    """
    one_of = {row.family: row for row in wanted if row.pretrained and row.id not in left_out}
    return {name: find_pretrained(row, _weights_of(row, arguments)) for name, row in one_of.items()}


def _weights_of(experiment: Experiment, arguments: argparse.Namespace) -> str | None:
    return getattr(arguments, f"{experiment.family}_weights", None)


def _pretrained() -> dict[str, str]:
    """Families that start from weights, with what these may be."""
    return {row.family: row.pretrained for row in EXPERIMENTS.values() if row.pretrained}


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _exit_code(failed: dict[str, SerError]) -> int:
    """That of the first failure; each was told when it happened."""
    for error in failed.values():
        return error.exit_code
    return 0
