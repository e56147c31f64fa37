"""Choosing a learning rate with KerasTuner's Hyperband (report, section 4.3.2)."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import keras
import keras_tuner

from ser_runtime.atomic_file import storage_errors
from ser_runtime.atomic_file import write_text
from ser_runtime.errors import SerError
from ser_train.dataset import Dataset
from ser_train.experiments import EXPERIMENTS
from ser_train.experiments import Tuning
from ser_train.recipe_file import claim_folder
from ser_train.recipe_file import read_object
from ser_train.tensorboard_log import TensorBoardLog
from ser_train.training import Batches
from ser_train.training import EpochReport
from ser_train.training import build_model

_TRIALS = "trials"
_SEARCH = "search"

History = dict[str, dict[str, dict[str, float]]]
"""Learning rate -> epoch (from 1) -> metrics, all as text keys, as JSON has them."""


def tune(
    tuning: Tuning,
    data: Dataset,
    seed: int,
    folder: Path,
    on_epoch: EpochReport | None = None,
) -> History:
    """Run Hyperband, or go on with it; a trial that was broken off is trained anew.

    Args:
        tuning: What to choose among.
        data: Its training clips train, its validation clips decide; test clips are not scored.
        seed: Of weights, order and Hyperband.
        folder: Where trials, history and logs for TensorBoard go.
        on_epoch: Called after each epoch, with the learning rate in the place of the phase.

    Returns:
        Metrics of every epoch that was trained, also in `folder/history.json`.

    Raises:
        RunFolderError: If the folder's history is damaged, or of another tuning or other data.
        StorageError: If the disk is full.
    """
    experiment = EXPERIMENTS[tuning.experiment]
    claim_folder(folder, _made_of(tuning, data, seed))

    def build(hyperparameters: keras_tuner.HyperParameters) -> keras.Model:
        rate = hyperparameters.Choice("learning_rate", list(tuning.learning_rates), ordered=True)
        return build_model(dataclasses.replace(experiment, learning_rate=rate), seed)

    recorder = _Recorder(folder, on_epoch)
    # KerasTuner prints that it goes on; standard output is for the table.
    with storage_errors(folder), redirect_stdout(sys.stderr), _errors_of_callbacks():
        tuner = keras_tuner.Hyperband(
            build,
            objective="val_accuracy",
            max_epochs=tuning.max_epochs,
            factor=tuning.factor,
            seed=seed,
            directory=str(folder),
            project_name=_TRIALS,
        )
        tuner.search(
            Batches(data.train, experiment.batch_size, (seed, 1)),
            validation_data=Batches(data.validation, experiment.batch_size, (seed, 0)),
            shuffle=False,
            verbose=0,
            callbacks=[recorder],
        )
    return read_history(folder)


def read_history(folder: Path) -> History:
    """What was trained so far.

    Raises:
        RunFolderError: If it is damaged.
    """
    path = folder / "history.json"
    return read_object(path) if path.exists() else {}


def _made_of(tuning: Tuning, data: Dataset, seed: int) -> dict[str, Any]:
    return {
        "experiment": tuning.experiment,
        "learning_rates": list(tuning.learning_rates),
        "max_epochs": tuning.max_epochs,
        "factor": tuning.factor,
        "seed": seed,
        "split": data.split.hash,
        "samples": len(data.train),
    }


@contextmanager
def _errors_of_callbacks() -> Iterator[None]:
    """KerasTuner takes any error for a failed trial, and tries again, but for its own fatal one."""
    try:
        yield
    except keras_tuner.errors.FatalError as error:
        raise (error.__cause__ or error) from None


class _Recorder(keras.callbacks.Callback):
    """Keeps each epoch's metrics under its learning rate."""

    def __init__(self, folder: Path, on_epoch: EpochReport | None) -> None:
        super().__init__()
        self._folder, self._on_epoch = folder, on_epoch

    def __deepcopy__(self, _memo: dict[int, Any]) -> _Recorder:
        # KerasTuner copies its callbacks for each trial; the progress display has no copy.
        return _Recorder(self._folder, self._on_epoch)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Keep the epoch.

        Raises:
            keras_tuner.errors.FatalError: Caused by what prevented it.
        """
        try:
            self._keep(epoch, logs)
        except (SerError, OSError) as error:
            raise keras_tuner.errors.FatalError(str(error)) from error

    def _keep(self, epoch: int, logs: dict[str, float] | None) -> None:
        rate = f"{float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)):.0e}"
        metrics = {name: float(value) for name, value in (logs or {}).items()}
        history = read_history(self._folder)
        history.setdefault(rate, {})[str(epoch + 1)] = metrics
        write_text(self._folder / "history.json", json.dumps(history, indent=1) + "\n")
        TensorBoardLog(self._folder / "tensorboard" / rate).epoch(_SEARCH, epoch + 1, metrics)
        if self._on_epoch:
            self._on_epoch(f"learning rate {rate}", epoch + 1, metrics)


def tuning_table(tuning: Tuning, history: History, printed: dict[str, dict[str, float]]) -> str:
    """All learning rates at the last epoch that each of them reached, as Markdown.

    Args:
        tuning: What was chosen among.
        history: Of `tune`.
        printed: The report's table: learning rate -> its four figures.
    """
    common = min(len(epochs) for epochs in history.values())
    best = max(history, key=lambda rate: _best(history[rate]))
    lines = [
        f"Epoch {common}, the last that every learning rate was trained for; the report does not "
        "say which epoch its own figures are of. In brackets: the report.",
        "",
        "| learning rate | training accuracy | validation accuracy | training loss "
        "| validation loss | epochs | best validation accuracy |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for rate in sorted(history, key=float):
        epochs = history[rate]
        here = epochs[str(common)]
        theirs = printed.get(rate, {})
        cells = [
            f"{here[name]:.3f}" + (f" [{theirs[name]:.3g}]" if name in theirs else "")
            for name in ("accuracy", "val_accuracy", "loss", "val_loss")
        ]
        mark = " **chosen**" if rate == best else ""
        lines.append(
            f"| {rate}{mark} | {' | '.join(cells)} | {len(epochs)} | {_best(epochs):.3f} |"
        )
    return "\n".join([*lines, "", tuning.note]) + "\n"


def _best(epochs: dict[str, dict[str, float]]) -> float:
    return max(metrics["val_accuracy"] for metrics in epochs.values())
