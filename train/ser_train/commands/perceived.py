"""`ser-train perceived`: do predictions agree with what listeners heard in CREMA-D's clips?"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ser_runtime.errors import UsageError
from ser_runtime.extras import require_extra
from ser_train.commands.arguments import add_cache
from ser_train.commands.arguments import read_index

if TYPE_CHECKING:
    from ser_train.perceived import Perceiver


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "perceived",
        help="compare predictions with what CREMA-D's listeners heard",
        description="Agreement of the predictions of CREMA-D's test clips with the votes of the "
        "listeners who heard the voice alone (they name the intended emotion 40 % of the time), "
        "beside the listeners' agreement with each other and with the intended emotion.",
    )
    parser.add_argument(
        "sources",
        nargs="+",
        metavar="MODEL|RUN",
        help="a model file or its name in the package; or run folders, such as five folds together",
    )
    parser.add_argument(
        "--votes", type=Path, required=True, metavar="CSV", help="CREMA-D's tabulatedVotes.csv"
    )
    parser.add_argument(
        "--corpora", type=Path, metavar="DIR", help="folder that holds them, for a model file"
    )
    add_cache(parser)
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="also write table.md and perceived.json there"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    require_extra("train", ("sklearn", "scipy"))
    from ser_train.crowd_votes import read_votes
    from ser_train.perceived import measure_perceived
    from ser_train.perceived import perceived_table
    from ser_train.perceived import write_perceived

    votes = read_votes(arguments.votes)
    figures = measure_perceived(_perceiver(arguments), votes)
    print(perceived_table(figures), end="")
    if arguments.out:
        for path in write_perceived(figures, arguments.out):
            print(path, file=sys.stderr)
    return 0


def _perceiver(arguments: argparse.Namespace) -> Perceiver:
    """Predictions of the sources' CREMA-D test clips."""
    from ser_runtime.model import Model
    from ser_train.clip_progress import clip_progress
    from ser_train.model_clips import model_clips
    from ser_train.perceived import perceive_with_model
    from ser_train.perceived import perceiver_of_runs
    from ser_train.pooled_predictions import pool_predictions
    from ser_train.run_folder import RunFolder

    folders = [Path(source) for source in arguments.sources if Path(source).is_dir()]
    if len(folders) == len(arguments.sources):
        return perceiver_of_runs(pool_predictions([RunFolder(path) for path in folders]))
    if folders or len(arguments.sources) > 1:
        raise UsageError("give one model file, or run folders alone")
    if arguments.corpora is None:
        raise UsageError("a model file needs --corpora DIR, to recognize its test clips")
    model = Model.open(arguments.sources[0])
    clips = model_clips(model, read_index(arguments.corpora, arguments.cache))
    with clip_progress("recognizing clips") as progress:
        return perceive_with_model(model, clips, progress)
