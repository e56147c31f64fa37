"""Arguments that several commands share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ser_runtime.errors import UsageError
from ser_train.backend import BACKENDS
from ser_train.backend import PRECISIONS
from ser_train.features.cache import default_cache_folder
from ser_train.splits import PROTOCOLS

if TYPE_CHECKING:
    from ser_train.corpora import CorpusIndex


def add_cache(parser: argparse.ArgumentParser) -> None:
    """`--cache`."""
    parser.add_argument(
        "--cache",
        type=Path,
        metavar="DIR",
        default=default_cache_folder(),
        help="features and what is known of the clips (default: %(default)s)",
    )


def add_corpora(parser: argparse.ArgumentParser) -> None:
    """`--corpora`, `--cache`."""
    parser.add_argument(
        "--corpora", type=Path, required=True, metavar="DIR", help="folder that holds them"
    )
    add_cache(parser)


def add_backend(parser: argparse.ArgumentParser) -> None:
    """`--backend`, `--threads`, `--precision`."""
    parser.add_argument("--backend", choices=BACKENDS, help="of Keras (default: tensorflow)")
    parser.add_argument(
        "--threads", type=positive, metavar="N", help="of the backend (JAX: 1, or all)"
    )
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="auto",
        help="auto: mixed bfloat16 on a GPU, float32 on a CPU (default)",
    )


def add_protocol(parser: argparse.ArgumentParser, default: str | None = "report") -> None:
    """`--protocol`, `--fold`, `--seed`; arguments as `add_split`."""
    add_split(parser, default)
    parser.add_argument("--seed", type=not_negative, default=0)


def add_split(parser: argparse.ArgumentParser, default: str | None = "report") -> None:
    """`--protocol`, `--fold`.

    Args:
        parser: To add to.
        default: Protocol; None leaves it to the experiment.
    """
    notes = "; ".join(f"{row.id}: {row.note}" for row in PROTOCOLS.values())
    parser.add_argument(
        "--protocol",
        choices=PROTOCOLS,
        default=default,
        help=f"{notes} (default: {default or 'that of the experiment'})".replace("%", "%%"),
    )
    folds = {row.id: row.folds for row in PROTOCOLS.values() if row.folds}
    choices = (f"{name}: {', '.join(folds[name])}" for name in folds)
    parser.add_argument("--fold", help=f"{'; '.join(choices)} (default: the first)")


def chosen_fold(arguments: argparse.Namespace) -> str | None:
    """The fold that the arguments mean.

    Raises:
        UsageError: If the protocol has no such fold.
    """
    protocol = PROTOCOLS.get(arguments.protocol)
    folds = protocol.folds if protocol else ()
    fold = arguments.fold or next(iter(folds), None)
    if fold is not None and fold not in folds:
        known = f"one of {', '.join(folds)}" if folds else "no folds"
        raise UsageError(f"--fold {fold}: {arguments.protocol or 'this protocol'} has {known}")
    return fold


def read_index(folder: Path, cache: Path) -> CorpusIndex:
    """The clips, read with a progress bar."""
    from ser_train.corpora import read_corpora
    from ser_train.progress import reading_progress

    with reading_progress() as progress:
        return read_corpora(folder, cache / "corpora.json", progress)


def png_file(text: str) -> Path:
    """Where a drawing goes: another suffix is more likely a slip, and somebody's file."""
    path = Path(text)
    if path.suffix.lower() != ".png":
        raise argparse.ArgumentTypeError(f"{text} does not end in .png")
    return path


def positive(text: str) -> int:
    """A whole number from 1 on."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {value}")
    return value


def not_negative(text: str) -> int:
    """A whole number from 0 on."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"must not be negative: {value}")
    return value
