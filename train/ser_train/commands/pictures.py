"""`ser-train pictures`: the pictures that VGG16 sees, as PNG files."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ser_runtime.extras import require_extra
from ser_train.commands.arguments import add_corpora
from ser_train.commands.arguments import add_split
from ser_train.commands.arguments import chosen_fold
from ser_train.commands.arguments import read_index


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "pictures",
        help="write the mel spectrograms that VGG16 sees as PNG files",
        description="Writes DIR/set/emotion/clip.png for every clip, 224 x 224, as the report "
        "did (section 5.1). Training does not read them: it draws its own, which are equal.",
    )
    add_corpora(parser)
    add_split(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="new, or empty")


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    require_extra("train", ("sklearn", "matplotlib"))
    fold = chosen_fold(arguments)
    from ser_runtime.feature_spec import MEL
    from ser_train.progress import TrainingProgress
    from ser_train.splits import make_split
    from ser_train.vgg16.picture_cache import cached_pictures
    from ser_train.vgg16.picture_cache import make_clip_dataset
    from ser_train.vgg16.picture_folders import write_pictures
    from ser_train.vgg16.pictures import PictureSpec

    index = read_index(arguments.corpora, arguments.cache)
    split = make_split(index.clips, arguments.protocol, fold)
    with TrainingProgress() as progress:
        pictures = cached_pictures(index, PictureSpec(MEL), arguments.cache, progress.features)
        data = make_clip_dataset(index.clips, split, pictures, arguments.cache)
        count = write_pictures(data, arguments.out, progress.features)
    print(f"{count} pictures ({split.name}): {arguments.out}", file=sys.stderr)
    return 0
