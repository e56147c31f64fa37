"""`ser-train show`: what a clip looks like."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ser_runtime.errors import AudioError
from ser_runtime.errors import UsageError
from ser_runtime.extras import require_extra
from ser_runtime.path_facts import same_file
from ser_train.commands.arguments import not_negative
from ser_train.commands.arguments import png_file


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "show",
        help="draw a clip's waveform, mel spectrogram and MFCC",
        description="Draws waveform, mel spectrogram and MFCC of a clip's first 3 s, clean and "
        "with white noise as training adds it (the report's figures 2 to 4).",
    )
    parser.add_argument("clip", type=Path, help="audio file")
    parser.add_argument("--out", type=png_file, metavar="PNG", help="default: CLIP's name, here")
    parser.add_argument("--seed", type=not_negative, default=0, help="of the noise")


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    require_extra("plot", ("matplotlib",))
    import numpy as np
    import soundfile

    from ser_runtime.feature_spec import MFCC
    from ser_train.clip_plots import draw_clip
    from ser_train.clip_plots import make_views
    from ser_train.corpora.clip import read_clip

    path = arguments.out or Path(f"{arguments.clip.stem}.png")
    if not arguments.clip.is_file():
        raise AudioError(f"no file {arguments.clip}")
    if same_file(path, arguments.clip):
        raise UsageError(f"--out {path} would take the place of the clip itself")
    try:
        audio = read_clip(arguments.clip, MFCC.sample_rate)
    except soundfile.LibsndfileError as error:
        raise AudioError(f"cannot read {arguments.clip}: {error.error_string}") from error
    if not len(audio):
        raise AudioError(f"{arguments.clip} holds no audio")
    views = make_views(audio, np.random.default_rng(arguments.seed))
    seconds = len(audio) / MFCC.sample_rate
    draw_clip(views, f"{arguments.clip.name}: {seconds:.2f} s", path)
    print(f"{arguments.clip.name}: {path}", file=sys.stderr)
    return 0
