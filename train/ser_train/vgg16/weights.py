"""Pretrained weights of VGG16: found, looked into before anything is loaded, and loaded.

Nothing here runs code that a file brings along: arrays are read out of HDF5, and of a `.keras`
file the weights alone, after a look at which layers it lists.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import os
import sys
import threading
import urllib.request
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import redirect_stdout
from pathlib import Path
from typing import IO
from typing import Any

import h5py
import keras
import numpy as np

from ser_runtime.errors import StorageError
from ser_runtime.errors import WeightsError
from ser_train.pretrained_weights import PretrainedWeights

SUFFIXES = (".h5", ".hdf5", ".keras")

_IMAGENET = "imagenet"
# As in keras.applications, which does not export them; the file is the one that it downloads.
_FILE = "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
_URL = f"https://storage.googleapis.com/tensorflow/keras-applications/vgg16/{_FILE}"
_MD5 = "6d6bbae143d832006294945121d1f1fc"
_ANSWER_SECONDS = 5.0

_CHANNELS = (3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)
_SHAPES = Counter(
    shape
    for before, after in itertools.pairwise(_CHANNELS)
    for shape in ((3, 3, before, after), (after,))
)
_LAYERS = {"InputLayer", "Conv2D", "MaxPooling2D"}
_WANTED = (
    "expected are the 13 convolution layers of VGG16 without its classifier, as "
    "keras.applications.VGG16(include_top=False) saves them"
)
_HDF5_ERRORS = (OSError, ValueError, KeyError, TypeError, RuntimeError)


def find_weights(source: str) -> PretrainedWeights:
    """What a user named, looked into.

    Args:
        source: `imagenet`, or a path.

    Raises:
        WeightsError: If it is missing, out of reach, damaged, or no VGG16; at once.
    """
    path = _imagenet() if source == _IMAGENET else Path(source).expanduser()
    _look_at_place(path, source)
    with _as_weights_errors(path):
        if path.suffix == ".keras":
            _look_into_archive(path)
        else:
            _look_into_hdf5(path, path)
    return PretrainedWeights(source, path, _sha256(path))


def load_vgg16(base: keras.Model, weights: PretrainedWeights) -> None:
    """Load weights into VGG16 without its own classifier.

    Args:
        base: Of `keras.applications.VGG16(include_top=False)`.
        weights: Of `find_weights`.

    Raises:
        WeightsError: If they do not fit, or the file was changed since it was looked at.
    """
    assert weights.path is not None
    if not weights.path.is_file() or _sha256(weights.path) != weights.sha256:
        raise WeightsError(f"{weights.path} was changed or removed since the training began")
    random = base.get_weights()
    with _as_weights_errors(weights.path):
        base.load_weights(weights.path)
    # Keras only warns of layers that it finds no arrays for. Biases may be zeros in both.
    for before, after in zip(random[::2], base.get_weights()[::2], strict=True):
        if np.array_equal(before, after):
            raise WeightsError(f"{weights.path} lacks the weights of some layers; {_WANTED}")


def _look_at_place(path: Path, source: str) -> None:
    if path.is_dir():
        raise WeightsError(f"{path} is a folder: --weights takes 'imagenet' or a file of weights")
    if not path.is_file():
        raise WeightsError(
            f"no file {path}, where the weights of VGG16 were looked for (--weights {source}): "
            "name a file, or 'imagenet' to download those of ImageNet"
        )
    if path.suffix not in SUFFIXES:
        raise WeightsError(f"{path} is none of {', '.join(SUFFIXES)}: no weights of Keras")


def _look_into_archive(path: Path) -> None:
    """A `.keras` file: a ZIP of a configuration and HDF5."""
    if not zipfile.is_zipfile(path):
        raise WeightsError(f"{path} is no .keras file: it is truncated, or of another format")
    with zipfile.ZipFile(path) as archive:
        kinds = {layer["class_name"] for layer in _layers(archive.read("config.json"))}
        if foreign := sorted(kinds - _LAYERS):
            raise WeightsError(
                f"{path} holds a model with layers of the kind {', '.join(foreign)}; {_WANTED}"
            )
        with archive.open("model.weights.h5") as file:
            _look_into_hdf5(file, path)


def _layers(config: bytes) -> list[dict[str, Any]]:
    return json.loads(config)["config"]["layers"]


def _look_into_hdf5(file: Path | IO[bytes], path: Path) -> None:
    """Whether a file holds arrays of numbers in the shapes of VGG16, and nothing else."""
    if isinstance(file, Path) and not h5py.is_hdf5(file):
        raise WeightsError(f"{path} is no HDF5 file: no weights of Keras are in it")
    with h5py.File(file, "r") as content:
        arrays = list(_arrays(content))
        shapes = Counter(array.shape for array in arrays)
        if shapes != _SHAPES:
            count = sum(math.prod(shape) for shape in shapes.elements())
            top = ": it is VGG16 with its classifier of 1000 classes" if (4096,) in shapes else ""
            raise WeightsError(
                f"{path} holds {shapes.total()} arrays with {count:,} numbers{top}; {_WANTED} "
                f"({_SHAPES.total()} arrays)"
            )
        for array in arrays:
            if array.dtype.kind != "f" or array.external or array.is_virtual:
                raise WeightsError(f"{path}: {array.name} holds no plain numbers; {_WANTED}")
            if not np.isfinite(array[()]).all():
                raise WeightsError(f"{path} is damaged: {array.name} holds what is no number")


def _arrays(content: h5py.File) -> Iterator[h5py.Dataset]:
    """All arrays of the model but those of the optimizer; links to elsewhere are not followed."""
    found: list[h5py.Dataset] = []

    def visit(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset) and "optimizer" not in name.split("/")[0]:
            found.append(item)

    content.visititems(visit)
    return iter(found)


def _imagenet() -> Path:
    """The weights in Keras' own cache, or downloaded into it."""
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    path = home / "models" / _FILE
    if path.is_file():
        if hashlib.md5(path.read_bytes()).hexdigest() != _MD5:
            raise WeightsError(f"{path} is damaged: remove it, and it is downloaded anew")
        return path
    if (reason := _out_of_reach()) is not None:
        raise WeightsError(
            f"the weights of ImageNet are not at {path}, and {_URL} is out of reach ({reason}): "
            "download it elsewhere, and put it there or name it with --weights"
        )
    try:
        # Keras prints its progress; standard output is for results.
        with redirect_stdout(sys.stderr):
            place = keras.utils.get_file(
                _FILE, _URL, cache_subdir="models", file_hash=_MD5, cache_dir=str(home)
            )
    except Exception as error:
        # Keras raises a bare Exception for what fails while it downloads.
        raise WeightsError(f"cannot download {_URL}: {error}") from error
    return Path(place)


def _out_of_reach() -> str | None:
    """Why the download would fail, known within seconds; None if it would not."""
    answer: list[str | None] = []

    def ask() -> None:
        request = urllib.request.Request(_URL, method="HEAD")
        try:
            with urllib.request.urlopen(request, timeout=_ANSWER_SECONDS):
                answer.append(None)
        except OSError as error:
            answer.append(str(getattr(error, "reason", None) or error))

    # In a thread: looking up a name takes as long as it takes, whatever the timeout.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(_ANSWER_SECONDS)
    return answer[0] if answer else f"no answer within {_ANSWER_SECONDS:.0f} s"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _as_weights_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (WeightsError, StorageError):
        raise
    except (*_HDF5_ERRORS, zipfile.BadZipFile) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise WeightsError(f"cannot read the weights {path}: {first}; {_WANTED}") from error
