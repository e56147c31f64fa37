"""Trained weights in one file: plain arrays in the model's order, under the variables' names.

Not HDF5: when a disk fills up while it is written, the HDF5 library ends the process.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ser_runtime.atomic_file import atomic_path
from ser_runtime.errors import RunFolderError

if TYPE_CHECKING:
    import keras


def save_weights(path: Path, model: keras.Model) -> None:
    """Write the weights of a model.

    Raises:
        StorageError: If the disk is full; a file that was there stays as it was.
    """
    arrays = {
        f"{number:03d} {variable.path}": np.asarray(variable.numpy())
        for number, variable in enumerate(model.weights)
    }
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)


def load_weights(path: Path, model: keras.Model) -> None:
    """Read weights into a model of the same architecture, on whichever backend.

    Raises:
        RunFolderError: If the file is missing, damaged, or of another architecture.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = [stored[name] for name in sorted(stored.files)]
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise RunFolderError(f"cannot read the weights {path}: {error}") from error
    shapes = [array.shape for array in arrays]
    wanted = [tuple(variable.shape) for variable in model.weights]
    if shapes != wanted:
        raise RunFolderError(f"{path} holds weights of another architecture than {model.name}")
    model.set_weights(arrays)
