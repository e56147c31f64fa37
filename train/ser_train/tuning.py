"""Choosing a learning rate, and sizes of layers, with KerasTuner's Hyperband.

Report, sections 4.3.2 and 5.2.1. A trial is named by what was chosen for it: `1e-02`, or, with the
units of the dense layers, `512-192-1e-05`.
"""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import keras
import keras_tuner

from ser_runtime.atomic_file import storage_errors
from ser_runtime.atomic_file import write_text
from ser_runtime.errors import RunFolderError
from ser_runtime.errors import SerError
from ser_runtime.errors import StorageError
from ser_runtime.errors import TrainingError
from ser_train.experiments import EXPERIMENTS
from ser_train.experiments import Experiment
from ser_train.families import FamilyData
from ser_train.recipe_file import claim_folder
from ser_train.recipe_file import read_object
from ser_train.tensorboard_log import TensorBoardLog
from ser_train.training import Batches
from ser_train.training import EpochReport
from ser_train.training import build_model
from ser_train.tunings import Tuning

_TRIALS = "trials"
_SEARCH = "search"

History = dict[str, dict[str, dict[str, float]]]
"""Trial -> epoch (from 1) -> metrics, all as text keys, as JSON has them."""

BuildModel = Callable[[Experiment, int], keras.Model]
"""Makes the compiled model of a row of the registry and a seed."""


def tune(
    tuning: Tuning,
    data: FamilyData,
    seed: int,
    folder: Path,
    on_epoch: EpochReport | None = None,
    build: BuildModel = build_model,
    weights: Mapping[str, Any] | None = None,
    corpora_hash: str | None = None,
) -> History:
    """Run Hyperband, or go on with it; a trial that was broken off is trained anew.

    Args:
        tuning: What to choose among.
        data: Its training clips train, its validation clips decide; test clips are not scored.
        seed: Of weights, order and Hyperband.
        folder: Where trials, history and logs for TensorBoard go.
        on_epoch: Called after each epoch, with the trial in the place of the phase.
        build: Makes the model of a trial.
        weights: What tells the pretrained weights apart that it starts from, if there are any.
        corpora_hash: Of the content of the clips; a search on other audio is refused.

    Returns:
        Metrics of every epoch that was trained, also in `folder/history.json`.

    Raises:
        RunFolderError: If the folder's history or a trial is damaged, or of another tuning or other
            data.
        StorageError: If the disk is full.
        TrainingError: If a loss is not finite.
    """
    experiment = EXPERIMENTS[tuning.experiment]
    claim_folder(folder, _made_of(tuning, data, seed, weights, corpora_hash))
    _check_trials(folder)

    def build_trial(hyperparameters: keras_tuner.HyperParameters) -> keras.Model:
        rate = hyperparameters.Choice("learning_rate", list(tuning.learning_rates), ordered=True)
        units = [
            hyperparameters.Int(f"units_{number}", low, high, step)
            for number, (low, high, step) in enumerate(tuning.units, 1)
        ]
        options = {**experiment.options, **({"units": units} if units else {})}
        return build(dataclasses.replace(experiment, learning_rate=rate, options=options), seed)

    recorder = _Recorder(folder, on_epoch)
    # KerasTuner prints that it goes on; standard output is for the table.
    with storage_errors(folder), redirect_stdout(sys.stderr), _errors_of_keras_tuner(folder):
        tuner = keras_tuner.Hyperband(
            build_trial,
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


def _made_of(
    tuning: Tuning,
    data: FamilyData,
    seed: int,
    weights: Mapping[str, Any] | None,
    corpora_hash: str | None,
) -> dict[str, Any]:
    return {
        "experiment": tuning.experiment,
        "learning_rates": list(tuning.learning_rates),
        "max_epochs": tuning.max_epochs,
        "factor": tuning.factor,
        "seed": seed,
        "split": data.split.hash,
        "samples": len(data.train),
        **({"units": tuning.units} if tuning.units else {}),
        **({"weights": dict(weights)} if weights else {}),
        **({"corpora": corpora_hash} if corpora_hash else {}),
    }


def _check_trials(folder: Path) -> None:
    """KerasTuner writes its own files in place: a kill or a full disk can leave half of one.

    Raises:
        RunFolderError: Naming the first that is damaged.
    """
    for path in sorted((folder / _TRIALS).rglob("*.json")):
        try:
            json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RunFolderError(
                f"{path} is damaged ({error}): start the search anew with --fresh"
            ) from error


class _EpochNotKept(keras_tuner.errors.FatalError):
    """Carries what prevented an epoch from being kept: Keras drops the cause of an error."""

    def __init__(self, reason: Exception) -> None:
        super().__init__(str(reason))
        self.reason = reason


@contextmanager
def _errors_of_keras_tuner(folder: Path) -> Iterator[None]:
    """KerasTuner takes any error for a failed trial, and tries again, but for its own fatal one.

    It writes through TensorFlow, where that is installed, whose errors are not the system's.
    """
    try:
        yield
    except _EpochNotKept as error:
        raise error.reason from None
    except Exception as error:
        if "No space left on device" in str(error):
            raise StorageError(f"cannot write {folder}: the disk is full") from error
        raise


class _Recorder(keras.callbacks.Callback):
    """Keeps each epoch's metrics under its trial."""

    def __init__(self, folder: Path, on_epoch: EpochReport | None) -> None:
        super().__init__()
        self._folder, self._on_epoch = folder, on_epoch

    def __deepcopy__(self, _memo: dict[int, Any]) -> _Recorder:
        # KerasTuner copies its callbacks for each trial; the progress display has no copy.
        return _Recorder(self._folder, self._on_epoch)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Keep the epoch."""
        try:
            self._keep(epoch, logs)
        except (SerError, OSError) as error:
            raise _EpochNotKept(error) from error

    def _keep(self, epoch: int, logs: dict[str, float] | None) -> None:
        trial, told = _trial(self.model)
        metrics = {name: float(value) for name, value in (logs or {}).items()}
        if wrong := [name for name, value in metrics.items() if not math.isfinite(value)]:
            raise TrainingError(f"{wrong[0]} is not finite in epoch {epoch + 1} of {told}")
        history = read_history(self._folder)
        history.setdefault(trial, {})[str(epoch + 1)] = metrics
        write_text(self._folder / "history.json", json.dumps(history, indent=1) + "\n")
        TensorBoardLog(self._folder / "tensorboard" / trial).epoch(_SEARCH, epoch + 1, metrics)
        if self._on_epoch:
            self._on_epoch(told, epoch + 1, metrics)


def _trial(model: keras.Model) -> tuple[str, str]:
    """Name of a trial, in files and in words."""
    rate = f"{float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)):.0e}"
    dense = [layer.units for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    hidden = [str(units) for units in dense[:-1]]
    words = f"{' and '.join(hidden)} units, " if hidden else ""
    return "-".join([*hidden, rate]), f"{words}learning rate {rate}"


def units_table(tuning: Tuning, history: History, printed: str) -> str:
    """All trials, the best first, as Markdown.

    Args:
        tuning: What was chosen among.
        history: Of `tune`.
        printed: The trial that the report chose.
    """
    lines = [
        "Best epoch of each trial; Hyperband trains few of them long. In brackets: the choice of "
        "the report.",
        "",
        "| first layer | second layer | learning rate | epochs | best validation accuracy |",
        "| --- | --- | --- | --- | --- |",
    ]
    order = sorted(history, key=lambda trial: (-_best(history[trial]), trial))
    for number, trial in enumerate(order):
        first, second, rate = trial.split("-", 2)
        mark = " **chosen**" * (number == 0) + " [report]" * (trial == printed)
        epochs = history[trial]
        lines.append(f"| {first} | {second} | {rate}{mark} | {len(epochs)} | {_best(epochs):.3f} |")
    if printed not in history:
        lines += ["", f"The report chose {printed}, which was not among the trials."]
    return "\n".join([*lines, "", tuning.note]) + "\n"


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
