"""`ser-train cnn-tuning` and `vgg16-0`: learning rates and sizes of layers by Hyperband."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING
from typing import cast

from ser_runtime.extras import require_extra
from ser_train.backend import use_backend
from ser_train.commands.arguments import add_backend
from ser_train.commands.arguments import add_corpora
from ser_train.commands.arguments import add_protocol
from ser_train.commands.arguments import chosen_fold
from ser_train.commands.arguments import read_index
from ser_train.commands.train import PACKAGES
from ser_train.commands.train import find_pretrained
from ser_train.experiments import EXPERIMENTS
from ser_train.tunings import TUNINGS
from ser_train.tunings import Tuning

if TYPE_CHECKING:
    from ser_train.corpora import CorpusIndex
    from ser_train.families import TunableFamily
    from ser_train.pretrained_weights import PretrainedWeights
    from ser_train.progress import TrainingProgress
    from ser_train.splits import Split

TUNER = ("keras_tuner",)
"""What a search needs beside what any training does, by import name."""


def add_parsers(commands: argparse._SubParsersAction) -> None:
    """Declare a command for each tuning."""
    for tuning in TUNINGS.values():
        parser = commands.add_parser(
            tuning.id,
            help=f"tune: {tuning.title}",
            description=f"{tuning.title} (report, section {tuning.section}). {tuning.note} "
            "The test clips are not scored.",
        )
        add_corpora(parser)
        add_protocol(parser)
        parser.add_argument("--out", type=Path, default=Path("runs"), metavar="DIR")
        parser.add_argument("--fresh", action="store_true", help="forget an earlier search")
        add_backend(parser)
        if tuning.pretrained:
            parser.add_argument(
                "--weights", required=True, metavar="WEIGHTS", help=tuning.pretrained
            )


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    tuning = TUNINGS[arguments.command]
    require_extra("train", (*PACKAGES, *TUNER))
    fold = chosen_fold(arguments)
    use_backend(arguments.backend, arguments.threads, arguments.precision)
    from ser_train.progress import TrainingProgress
    from ser_train.splits import make_split

    experiment = EXPERIMENTS[tuning.experiment]
    weights = find_pretrained(experiment, getattr(arguments, "weights", None))
    index = read_index(arguments.corpora, arguments.cache)
    split = make_split(index.clips, arguments.protocol, fold)
    with TrainingProgress() as progress:
        table = tune_experiment(tuning, arguments, index, split, progress, weights)
    print(table, end="")
    return 0


def tune_experiment(
    tuning: Tuning,
    arguments: argparse.Namespace,
    index: CorpusIndex,
    split: Split,
    progress: TrainingProgress,
    weights: PretrainedWeights | None,
) -> str:
    """Run a search, or what is left of it; its table is written beside it.

    Args:
        tuning: The row of the registry.
        arguments: `out`, `cache`, `fresh` and `seed` count.
        index: The clips.
        split: Its training and validation clips.
        progress: Where it is shown.
        weights: That its experiment starts from.

    Returns:
        The table, as Markdown.
    """
    from ser_runtime.atomic_file import write_text
    from ser_train.families import family
    from ser_train.recipe_file import remove_claimed
    from ser_train.report_tables import report_tuning
    from ser_train.report_tables import report_units
    from ser_train.run import run_folder_name
    from ser_train.training import Recipe
    from ser_train.tuning import tune
    from ser_train.tuning import tuning_table
    from ser_train.tuning import units_table

    experiment = EXPERIMENTS[tuning.experiment]
    recipe = Recipe(experiment, arguments.seed, tuning.max_epochs, weights)
    kind = cast("TunableFamily", family(experiment.family))
    folder = arguments.out / run_folder_name(tuning.id, split.name, arguments.seed)
    if arguments.fresh and folder.exists():
        remove_claimed(folder)
    data = kind.load_data(index, split, experiment, arguments.cache, progress.features)
    data, build = kind.tunable(recipe, data, progress.batch)
    told = weights and weights.to_dict()
    history = tune(
        tuning, data, arguments.seed, folder, progress.epoch, build, told, index.content_hash
    )
    if tuning.units:
        table = units_table(tuning, history, report_units())
    else:
        table = tuning_table(tuning, history, report_tuning())
    write_text(folder / "table.md", table)
    progress.note(f"tensorboard --logdir {folder / 'tensorboard'}")
    return table
