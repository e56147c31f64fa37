"""`ser-train evaluate`: the metrics of a stored run, computed again."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ser_runtime.errors import RunFolderError
from ser_runtime.extras import require_extra
from ser_train.backend import BACKENDS
from ser_train.backend import use_backend
from ser_train.commands.arguments import add_corpora
from ser_train.commands.arguments import positive
from ser_train.commands.arguments import read_index
from ser_train.commands.train import PACKAGES


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "evaluate",
        help="compute the metrics of a stored run again",
        description="Loads the weights of a run folder (or of a committed result), scores the "
        "test clips of its split, and says whether the stored figures hold.",
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="a run folder")
    add_corpora(parser)
    parser.add_argument("--backend", choices=BACKENDS, help="of Keras (default: tensorflow)")
    parser.add_argument("--threads", type=positive, metavar="N", help="of the backend")


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    from ser_train.run_folder import RunFolder

    folder = RunFolder(arguments.run)
    stored, config = folder.metrics(), folder.config()
    experiment = config["experiment"]
    require_extra("train", PACKAGES)
    require_extra(experiment.get("extra", "train"), experiment.get("needs", ()))
    backend = arguments.backend or experiment.get("backend") or None
    use_backend(backend, arguments.threads, config.get("precision", "float32"))
    from ser_train.progress import TrainingProgress
    from ser_train.reevaluation import reevaluate
    from ser_train.run_summary import show_results

    index = read_index(arguments.corpora, arguments.cache)
    with TrainingProgress() as progress:
        result = reevaluate(folder, index, arguments.cache, progress.features)
    show_results(result.metrics)
    print(
        f"largest difference from the stored probabilities: {result.largest_difference:.1e}",
        file=sys.stderr,
    )
    if not result.same_audio:
        print(
            "other copies of the clips than the run was trained on: figures may differ "
            f"(accuracy then {stored['accuracy']:.4f}, now {result.metrics['accuracy']:.4f})",
            file=sys.stderr,
        )
        return 0
    if result.metrics["confusion"] != stored["confusion"]:
        raise RunFolderError(
            f"{folder.path}: these weights give an accuracy of "
            f"{result.metrics['accuracy']:.4f}, its metrics.json says {stored['accuracy']:.4f}"
        )
    print("the stored figures hold", file=sys.stderr)
    return 0
