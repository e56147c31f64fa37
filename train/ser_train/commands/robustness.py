"""`ser-train robustness`: a model file in noise, over poor channels, and without speech."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ser_runtime.extras import require_extra
from ser_train.commands.arguments import add_corpora
from ser_train.commands.arguments import not_negative
from ser_train.commands.arguments import positive
from ser_train.commands.arguments import read_index


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "robustness",
        help="measure a model file in noise, over poor channels, and without speech",
        description="Recognizes the clips of the split that a model file names: clean, in babble, "
        "coloured noise, hum and clicks at 20 to 0 dB, too quiet and too loud, over the telephone, "
        "through codecs and in a room; then listens to silence, noise and music. Writes table.md, "
        "robustness.json and robustness.png. The same seed gives the same noise.",
    )
    parser.add_argument("model", metavar="MODEL", help="a model file, or a name of the package's")
    add_corpora(parser)
    parser.add_argument(
        "--set", choices=("validation", "test"), default="test", help="(default: %(default)s)"
    )
    parser.add_argument("--clips", type=positive, metavar="N", help="only so many, drawn by --seed")
    parser.add_argument("--seed", type=not_negative, default=0, help="of the noise")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="default: robustness/ and the model's name"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    require_extra("train", ("matplotlib", "sklearn", "scipy"))
    from ser_runtime.model import Model
    from ser_train.clip_progress import clip_progress
    from ser_train.model_clips import model_clips
    from ser_train.robustness.measure import measure_robustness
    from ser_train.robustness.report import robustness_tables
    from ser_train.robustness.report import write_robustness

    model = Model.open(arguments.model)
    index = read_index(arguments.corpora, arguments.cache)
    clips = model_clips(model, index, arguments.set)
    with clip_progress("recognizing clips") as progress:
        figures = measure_robustness(
            model, clips, arguments.set, arguments.clips, arguments.seed, progress
        )
    print(robustness_tables(figures), end="")
    folder = arguments.out or Path("robustness") / Path(arguments.model).stem
    for path in write_robustness(figures, folder):
        print(path, file=sys.stderr)
    return 0
