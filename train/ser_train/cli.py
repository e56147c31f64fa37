"""`ser-train`: reads the corpora, trains the experiments, writes run folders."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable
from typing import NoReturn

from ser_runtime.errors import EXIT_CODES_HELP
from ser_runtime.errors import run_command
from ser_train.commands import calibration
from ser_train.commands import corpora
from ser_train.commands import describe
from ser_train.commands import evaluate
from ser_train.commands import experiments
from ser_train.commands import perceived
from ser_train.commands import pictures
from ser_train.commands import publish
from ser_train.commands import recipe_search
from ser_train.commands import report
from ser_train.commands import robustness
from ser_train.commands import show
from ser_train.commands import splits
from ser_train.commands import train
from ser_train.commands import train_all
from ser_train.commands import tune
from ser_train.experiments import ABLATIONS
from ser_train.experiments import EXPERIMENTS
from ser_train.experiments import find_experiment
from ser_train.tunings import TUNINGS

_EXAMPLES = """examples:
  ser-train corpora ~/corpora                    what is there, and what is odd
  ser-train corpora ~/corpora --plot classes.png
  ser-train show ~/corpora/TESS/OAF_back_angry.wav
  ser-train experiments                          what can be trained
  ser-train describe parallel-mfcc-aug           its layers, and a drawing
  ser-train cnn --corpora ~/corpora              train the report's single CNN
  ser-train cnn --corpora ~/corpora --protocol speaker-independent --fold 1
  ser-train cnn --corpora ~/corpora --protocol corpus-independent --fold SAVEE
  ser-train wav2vec2 --corpora ~/corpora --weights facebook/wav2vec2-base
  ser-train all --corpora ~/corpora              every experiment, one table
  ser-train vgg16-4 --corpora ~/corpora --weights imagenet --repeat 5
  ser-train cnn-tuning --corpora ~/corpora       Hyperband over its learning rate
  ser-train evaluate runs/cnn-report-seed0 --corpora ~/corpora
  ser-train report runs/* --out report.html      tables and plots in one page
  ser-train publish runs/cnn-report-seed0        keep its results and weights
  ser-train robustness cnn --corpora ~/corpora   a model file in noise, codecs, silence
  ser-train calibration runs/cnn-speaker-independent-*-seed0
  ser-train perceived cnn --corpora ~/corpora --votes tabulatedVotes.csv"""

COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "corpora": corpora.run,
    "show": show.run,
    "splits": splits.run,
    "experiments": experiments.run,
    "describe": describe.run,
    "pictures": pictures.run,
    "all": train_all.run,
    "evaluate": evaluate.run,
    "report": report.run,
    "publish": publish.run,
    "robustness": robustness.run,
    "calibration": calibration.run,
    "perceived": perceived.run,
    "recipe-search": recipe_search.run,
    **dict.fromkeys(TUNINGS, tune.run),
}
"""Every command that is no experiment."""


def main(argv: list[str] | None = None) -> NoReturn:
    """Entry point of the console script."""
    run_command(lambda: _main(argv))


def _main(argv: list[str] | None) -> int:
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    argv = sys.argv[1:] if argv is None else argv
    command = next((word for word in argv if not word.startswith("-")), None)
    if command and command not in (*COMMANDS, *EXPERIMENTS, *ABLATIONS):
        find_experiment(command, also=COMMANDS)  # raises, naming the nearest
    arguments = _parser().parse_args(argv)
    return COMMANDS.get(arguments.command, train.run)(arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ser-train",
        description="Train speech emotion recognizers on RAVDESS, SAVEE, TESS and CREMA-D.",
        epilog=f"{_EXAMPLES}\n\n{EXIT_CODES_HELP}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in (corpora, show, splits, experiments, describe, pictures):
        module.add_parser(commands)
    train_all.add_parser(commands)
    train.add_parsers(commands)
    tune.add_parsers(commands)
    for module in (evaluate, report, publish, robustness, calibration, perceived, recipe_search):
        module.add_parser(commands)
    return parser
