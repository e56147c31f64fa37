"""The state of a training between two epochs, in one file that is whole or not there."""

from __future__ import annotations

import dataclasses
import json
import zipfile
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ser_runtime.atomic_file import atomic_path
from ser_runtime.errors import RunFolderError

if TYPE_CHECKING:
    import keras


LAST = "last"
"""In the place of a metric that tells the best epoch: a schedule ends where it is best."""


@dataclass(frozen=True, eq=False)
class TrainingState:
    """How far a training is.

    Attributes:
        phase: `search` or `retrain`.
        history: Phase -> metric -> value of each epoch: `loss`, `accuracy`, `val_loss`,
            `val_accuracy`, `seconds`.
        best_epoch: The best epoch of the search, from 1.
        best_weights: Of that epoch, where they are kept.
    """

    phase: str
    history: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    best_epoch: int | None = None
    best_weights: list[NDArray[np.float32]] | None = None

    def val_losses(self, phase: str) -> list[float]:
        """Validation loss of each epoch of a phase."""
        return self.history.get(phase, {}).get("val_loss", [])

    def start_phase(self, phase: str) -> TrainingState:
        """The state at the beginning of another phase."""
        return dataclasses.replace(self, phase=phase)

    def after_epoch(
        self,
        metrics: dict[str, float],
        weights: list[NDArray[np.float32]] | None,
        monitor: str = "val_loss",
    ) -> TrainingState:
        """The state after one more epoch.

        Args:
            metrics: Of the epoch.
            weights: Kept if the epoch is the best of the search; None to keep none.
            monitor: The metric that tells: `val_loss` (lowest) or `val_accuracy` (highest); of
                equals the first. `LAST`: none, the last epoch counts.
        """
        before = self.history.get(self.phase, {})
        after = {name: [*before.get(name, []), value] for name, value in metrics.items()}
        history = {**self.history, self.phase: after}
        best_epoch, best_weights = self.best_epoch, self.best_weights
        if monitor == LAST:
            best_epoch = len(after["val_loss"])
        elif self.phase == "search":
            values = after[monitor]
            best = min(values) if monitor == "val_loss" else max(values)
            if values[-1] == best and values.count(best) == 1:
                best_epoch, best_weights = len(values), weights
        return TrainingState(self.phase, history, best_epoch, best_weights)


def save_checkpoint(path: Path, model: keras.Model, state: TrainingState) -> None:
    """Write weights, optimizer and state.

    Raises:
        StorageError: If the disk is full; an earlier checkpoint stays as it was.
    """
    arrays = {f"weight{i}": value for i, value in enumerate(model.get_weights())}
    for i, variable in enumerate(model.optimizer.variables):
        arrays[f"optimizer{i}"] = np.asarray(variable.numpy())
    for i, value in enumerate(state.best_weights or []):
        arrays[f"best{i}"] = value
    facts = {"phase": state.phase, "history": state.history, "best_epoch": state.best_epoch}
    arrays["state"] = np.array(json.dumps(facts))
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)


def load_checkpoint(path: Path, model: keras.Model) -> TrainingState:
    """Read a checkpoint into a model and its optimizer.

    Raises:
        RunFolderError: If the file is damaged or of another model.
    """
    with _checked(path), path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
        arrays = dict(stored)
        state = _state(arrays)
        model.set_weights(_numbered(arrays, "weight"))
        for variable, value in zip(
            model.optimizer.variables, _numbered(arrays, "optimizer"), strict=True
        ):
            variable.assign(value)
        return dataclasses.replace(state, best_weights=_numbered(arrays, "best") or None)


def read_state(path: Path) -> TrainingState:
    """How far a checkpoint is, without its weights.

    Raises:
        RunFolderError: If the file is damaged.
    """
    with _checked(path), path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
        return _state(stored)


@contextmanager
def _checked(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise RunFolderError(
            f"the checkpoint {path} is damaged or of another model ({error}): "
            "remove it, or start anew with --fresh"
        ) from error


def _state(arrays: Mapping[str, NDArray[Any]]) -> TrainingState:
    facts: dict[str, Any] = json.loads(str(arrays["state"]))
    return TrainingState(facts["phase"], facts["history"], facts["best_epoch"])


def _numbered(arrays: dict[str, NDArray[Any]], name: str) -> list[NDArray[Any]]:
    count = sum(key.startswith(name) for key in arrays)
    return [arrays[f"{name}{i}"] for i in range(count)]
