"""One experiment from corpora to a complete run folder."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import platform
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from ser_runtime.atomic_file import atomic_path
from ser_runtime.errors import RunFolderError
from ser_runtime.temperature import apply_temperature
from ser_train.architectures import ARCHITECTURES
from ser_train.checkpoint import TrainingState
from ser_train.corpora import CorpusIndex
from ser_train.dataset import Dataset
from ser_train.dataset import Samples
from ser_train.metrics import confidence_threshold
from ser_train.metrics import difference_from_report
from ser_train.metrics import expected_calibration_error
from ser_train.metrics import fit_temperature
from ser_train.metrics import score
from ser_train.plots import plot_confusion
from ser_train.plots import plot_learning_curves
from ser_train.report_tables import report_table
from ser_train.run_folder import VERSION
from ser_train.run_folder import RunFolder
from ser_train.run_folder import StoredSet
from ser_train.splits import PROTOCOLS
from ser_train.training import BatchProgress
from ser_train.training import EpochReport
from ser_train.training import Recipe
from ser_train.training import predict
from ser_train.training import train

_CALIBRATION_CLIPS = 300
_PACKAGES = ("keras", "tensorflow", "jax", "torch", "numpy", "scikit-learn")


@dataclass(frozen=True, eq=False)
class Run:
    """An experiment about to be trained.

    Attributes:
        recipe: What to train.
        index: The clips.
        data: The split's features.
        folder: Where the results go.
        backend: Keras backend in use.
    """

    recipe: Recipe
    index: CorpusIndex
    data: Dataset
    folder: RunFolder
    backend: str

    def config(self) -> dict[str, Any]:
        """Everything that the result depends on, and the versions it was made with."""
        split = self.data.split
        return {
            "version": VERSION,
            "experiment": self.recipe.experiment.to_dict(),
            "seed": self.recipe.seed,
            "max_epochs": self.recipe.max_epochs,
            "protocol": split.protocol,
            "fold": split.fold,
            "split_hash": split.hash,
            "corpora_hash": self.index.content_hash,
            "backend": self.backend,
            "versions": {"python": platform.python_version(), **_versions()},
        }


def run_folder_name(experiment: str, split_name: str, seed: int) -> str:
    """`cnn-report-seed0`."""
    return f"{experiment}-{split_name}-seed{seed}"


def complete_run(
    run: Run,
    progress: BatchProgress | None = None,
    on_epoch: EpochReport | None = None,
) -> dict[str, Any]:
    """Train (or go on training), evaluate, and write everything into the run folder.

    The test clips are scored once, at the very end.

    Returns:
        The content of metrics.json.

    Raises:
        RunFolderError: If the folder holds a run of another configuration, or a damaged one.
        TrainingError: If the loss is not a number.
        StorageError: If the disk is full.
    """
    folder, config = run.folder, run.config()
    if folder.started:
        _refuse_other_config(folder, config)
        if folder.complete:
            return folder.read_json("metrics")
    folder.write_json("config", config)
    folder.write_json("split", dataclasses.asdict(run.data.split) | {"hash": run.data.split.hash})
    folder.write_json("standardization", run.data.standardization.to_dict())
    model, state = train(run.recipe, run.data, folder.checkpoint, progress, on_epoch)
    _save_weights(run, model)
    metrics = _evaluate(run, model, state)
    _store_sets(run)
    _draw(run, metrics, state)
    folder.write_json("history", {"best_epoch": state.best_epoch, **state.history})
    folder.write_json("metrics", metrics)
    folder.checkpoint.unlink(missing_ok=True)
    return metrics


def _save_weights(run: Run, model: keras.Model) -> None:
    """Weights alone: a compiled model would add its optimizer's state."""
    experiment = run.recipe.experiment
    plain = ARCHITECTURES[experiment.architecture](experiment.spec.shape)
    plain.set_weights(model.get_weights())
    with atomic_path(run.folder.weights) as temporary:
        plain.save_weights(temporary)


def _refuse_other_config(folder: RunFolder, config: dict[str, Any]) -> None:
    stored = folder.config()
    differing = [
        key for key in config if key != "versions" and stored.get(key) != _as_json(config[key])
    ]
    if differing:
        raise RunFolderError(
            f"{folder.path} holds a run with another {', '.join(differing)}: "
            "choose another --out, or start anew with --fresh"
        )


def _as_json(value: Any) -> Any:
    """A value as it comes back from a JSON file."""
    if isinstance(value, dict):
        return {key: _as_json(item) for key, item in value.items()}
    return list(value) if isinstance(value, tuple) else value


def _evaluate(run: Run, model: keras.Model, state: TrainingState) -> dict[str, Any]:
    data, experiment = run.data, run.recipe.experiment
    validation = predict(model, data.validation)
    temperature = fit_temperature(data.validation.classes, validation)
    calibrated = apply_temperature(validation, temperature)
    threshold = confidence_threshold(data.validation.classes, calibrated)
    test = predict(model, data.test)
    run.folder.write_predictions(
        [
            ("validation", data.validation.ids, data.validation.classes, validation),
            ("test", data.test.ids, data.test.classes, test),
        ]
    )
    protocol = PROTOCOLS[data.split.protocol]
    seconds = [value for phase in state.history.values() for value in phase["seconds"]]
    metrics: dict[str, Any] = {
        "experiment": experiment.id,
        "protocol": protocol.id,
        "fold": data.split.fold,
        "seed": run.recipe.seed,
        "speakers_shared": protocol.shared_speakers,
        **score(data.test.classes, test, *_clusters(run, data.test)),
        "ece_calibrated": expected_calibration_error(
            data.test.classes, apply_temperature(test, temperature)
        ),
        "temperature": temperature,
        "confidence_threshold": threshold,
        "validation": {
            "clips": len(data.validation),
            "accuracy": float((validation.argmax(axis=1) == data.validation.classes).mean()),
        },
        "parameters": model.count_params(),
        "epochs": {
            "max": run.recipe.max_epochs,
            "best": state.best_epoch,
            **{phase: len(state.epochs(phase)) for phase in state.history},
        },
        "stopped_early_by_hand": run.recipe.max_epochs < experiment.max_epochs
        and len(state.epochs("search")) == run.recipe.max_epochs,
        "minutes": sum(seconds) / 60,
        "split_hash": data.split.hash,
        "backend": run.backend,
    }
    if (table := report_table(experiment.id)) is not None:
        metrics["report"] = {
            "accuracy": table.accuracy,
            "macro_f1": table.macro_f1,
            "like_for_like": protocol.report_labels,
            **difference_from_report(
                metrics["accuracy"], metrics["clips"], table.accuracy, table.support
            ),
        }
    return metrics


def _clusters(run: Run, samples: Samples) -> tuple[list[str], list[str]]:
    """What the bootstrap draws, and the corpus, of each clip."""
    clip_of = {clip.id: clip for clip in run.index.clips}
    clips = [clip_of[clip_id] for clip_id in samples.ids]
    corpora = [clip.corpus for clip in clips]
    if PROTOCOLS[run.data.split.protocol].shared_speakers:
        return [clip.id for clip in clips], corpora
    return [f"{clip.corpus} {clip.speaker}" for clip in clips], corpora


def _store_sets(run: Run) -> None:
    """Features that export needs: calibration clips are clean training clips."""
    data = run.data
    clean = np.flatnonzero(data.train.copies == 0)
    by_class = clean[np.argsort(data.train.classes[clean], kind="stable")]
    count = min(_CALIBRATION_CLIPS, len(by_class))
    # Evenly spaced over the clips sorted by class: each class in its proportion.
    calibration = by_class[np.linspace(0, len(by_class) - 1, count).astype(int)]
    for name, samples, which in (
        ("calibration", data.train, calibration),
        ("validation", data.validation, np.arange(len(data.validation))),
        ("test", data.test, np.arange(len(data.test))),
    ):
        ids = tuple(samples.ids[i] for i in which)
        run.folder.write_set(name, StoredSet(ids, samples.classes[which], samples.raw(which)))


def _draw(run: Run, metrics: dict[str, Any], state: TrainingState) -> None:
    title = (
        f"{run.recipe.experiment.id}, protocol {run.data.split.name}, seed {run.recipe.seed}: "
        f"test accuracy {metrics['accuracy']:.3f}"
    )
    plot_confusion(metrics["confusion"], title, run.folder.confusion_plot)
    plot_learning_curves(state.history, state.best_epoch, title, run.folder.curves_plot)


def _versions() -> dict[str, str]:
    installed = {}
    for package in _PACKAGES:
        try:
            installed[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return installed
