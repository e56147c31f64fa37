"""One experiment from corpora to a complete run folder."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import platform
from collections.abc import Callable
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import keras

from ser_runtime.errors import RunFolderError
from ser_train.checkpoint import LAST
from ser_train.checkpoint import TrainingState
from ser_train.checkpoint import read_state
from ser_train.compact.augmentation import FIRST_RECIPE
from ser_train.corpora import CorpusIndex
from ser_train.evaluation import evaluate
from ser_train.families import FamilyData
from ser_train.families import family
from ser_train.plots import plot_confusion
from ser_train.plots import plot_learning_curves
from ser_train.run_folder import VERSION
from ser_train.run_folder import RunFolder
from ser_train.splits import Split
from ser_train.tensorboard_log import TensorBoardLog
from ser_train.training import EVALUATION_BATCH
from ser_train.training import SEARCH
from ser_train.training import BatchProgress
from ser_train.training import EpochReport
from ser_train.training import Recipe

_TRAINING_FIELDS = (
    "architecture",
    "spec",
    "noisy_copies",
    "learning_rate",
    "batch_size",
    "max_epochs",
    "patience",
    "retrain",
    "standardization",
    "crop",
    "options",
    "augmentation",
    "finish",
    "scored_at_once",
    "family",
    "monitor",
)
SETTINGS = ("max_epochs", "precision", "backend")
"""Of a configuration: how it was trained, not what on what."""

_PACKAGES = ("keras", "tensorflow", "jax", "torch", "transformers", "numpy", "scikit-learn")


@dataclass(frozen=True, eq=False)
class Run:
    """An experiment to be trained, or one that was.

    Attributes:
        recipe: What to train.
        index: The clips.
        split: Which of them train, validate and test.
        folder: Where the results go.
    """

    recipe: Recipe
    index: CorpusIndex
    split: Split
    folder: RunFolder

    def config(self) -> dict[str, Any]:
        """What was asked for, on which clips, and the versions that began the training."""
        return {
            "version": VERSION,
            "experiment": self.recipe.experiment.to_dict(),
            "seed": self.recipe.seed,
            "max_epochs": self.recipe.max_epochs,
            "protocol": self.split.protocol,
            "fold": self.split.fold,
            "split_hash": self.split.hash,
            "corpora_hash": self.index.content_hash,
            "backend": self.recipe.experiment.backend or keras.backend.backend(),
            "precision": keras.config.dtype_policy().name,
            "weights": self.recipe.weights and self.recipe.weights.to_dict(),
            "teaching": self.recipe.teaching and self.recipe.teaching.to_dict(),
            **({"first_phase": first.to_dict()} if (first := self.recipe.first_phase) else {}),
            "versions": {"python": platform.python_version(), **_versions()},
        }

    def differs_in(self) -> list[str]:
        """Keys of the configuration in which a run that was begun in the folder is another."""
        if not self.folder.started:
            return []
        return _differences(self.config(), self.folder.config())

    def refuse_other_config(self, but: Collection[str] = ()) -> None:
        """Check that the folder, if a run was begun there, holds this one.

        Args:
            but: Keys in which it may be another.

        Raises:
            RunFolderError: Naming what differs.
        """
        if differing := [key for key in self.differs_in() if key not in but]:
            raise RunFolderError(
                f"{self.folder.path} holds a run with another {', '.join(differing)}: "
                "choose another --out, or start anew with --fresh"
            )

    def check_first_phase(self) -> None:
        """Check that the first phase, if one was given, is what this training would make itself.

        Raises:
            RunFolderError: Naming what differs.
        """
        first = self.recipe.first_phase
        if first is None:
            return
        stored = first.run.config()
        # Teachers teach in the last phase alone.
        own = self.config() | {"teaching": None}
        differing = _differences(own, self._finished(stored))
        if stored["experiment"].get("finish"):
            differing.append("finish")
        if differing:
            raise RunFolderError(
                f"{first.run.path} is of another training: another {', '.join(differing)}"
            )

    def take_over_length(self) -> None:
        """Give a run that is under way this one's `max_epochs`, if that is all it differs in.

        What was trained so far is the same, unless the learning rate follows the length. A search
        that has gone further stays what it is: it has seen more.
        """
        folder, epochs = self.folder, self.recipe.max_epochs
        scheduled = self.recipe.experiment.monitor == LAST
        if folder.complete:
            return
        self._take_over_finish()
        if scheduled or self.differs_in() != ["max_epochs"]:
            return
        if folder.checkpoint.exists():
            state = read_state(folder.checkpoint)
            if (searched := len(state.val_losses(SEARCH))) > epochs or state.phase != SEARCH:
                raise RunFolderError(
                    f"{folder.path} holds a run with another max_epochs that has searched "
                    f"{searched} epochs: choose another --out, or start anew with --fresh"
                )
        folder.write_json("config", folder.config() | {"max_epochs": epochs})

    def _take_over_finish(self) -> None:
        """Let a run that was begun before its recipe had a last phase have it: nothing is lost."""
        if not self.folder.started or not self.recipe.experiment.finish:
            return
        stored = self.folder.config()
        finished = self._finished(stored)
        if not stored["experiment"].get("finish") and not _differences(self.config(), finished):
            self.folder.write_json("config", finished)

    def _finished(self, config: dict[str, Any]) -> dict[str, Any]:
        """A configuration with the last phase of this run's recipe."""
        finish = self.recipe.experiment.finish
        return config | {"experiment": config["experiment"] | {"finish": finish}}


def _differences(config: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Keys of `config` in which `other` is of another training."""
    config, other = _what_trains(config), _what_trains(other)
    return sorted(key for key in config if other.get(key) != config[key])


def _what_trains(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration without versions and wording, which may differ when a run goes on."""
    # Runs from before these fields have what was then the only choice.
    defaults: dict[str, Any] = {"standardization": "coefficient", "crop": "start", "options": {}}
    defaults["finish"] = {}
    of_compact = config["experiment"].get("family") == "compact"
    defaults["augmentation"] = FIRST_RECIPE.to_dict() if of_compact else {}
    defaults |= {"scored_at_once": EVALUATION_BATCH, "family": "features", "monitor": "val_loss"}
    experiment = {key: config["experiment"].get(key, defaults.get(key)) for key in _TRAINING_FIELDS}
    return {
        "precision": "float32",
        "weights": None,
        "teaching": None,
        **config,
        "experiment": experiment,
        # Checked to be what the training would have made itself.
        "first_phase": None,
        "versions": None,
    }


def run_folder_name(experiment: str, split_name: str, seed: int) -> str:
    """`cnn-report-seed0`."""
    return f"{experiment}-{split_name}-seed{seed}"


def complete_run(
    run: Run,
    load_data: Callable[[], FamilyData],
    progress: BatchProgress | None = None,
    on_epoch: EpochReport | None = None,
    any_settings: bool = False,
) -> dict[str, Any]:
    """Train (or go on training), evaluate, and write everything into the run folder.

    The test clips are scored once, at the very end. A complete run is only read.

    Args:
        run: What to train.
        load_data: Gives the split's features; called only if there is something to train.
        progress: Called after each batch.
        on_epoch: Called after each epoch.
        any_settings: Whether a complete run is read too that was stopped elsewhere, or trained on
            another backend or in another precision.

    Returns:
        The content of metrics.json.

    Raises:
        RunFolderError: If the folder holds a run of another configuration, or a damaged one.
        TrainingError: If the loss is not a number.
        StorageError: If the disk is full.
    """
    folder = run.folder
    run.take_over_length()
    run.check_first_phase()
    run.refuse_other_config(SETTINGS if any_settings and folder.complete else ())
    if folder.complete:
        return folder.metrics()
    if not folder.started:
        folder.write_json("config", run.config())
    folder.write_json("split", dataclasses.asdict(run.split) | {"hash": run.split.hash})
    kind = family(run.recipe.experiment.family)
    data = load_data()
    kind.begin(folder, data)
    board = TensorBoardLog(folder.tensorboard)

    def epoch_done(phase: str, epoch: int, metrics: dict[str, float]) -> None:
        board.epoch(phase, epoch, metrics)
        if on_epoch:
            on_epoch(phase, epoch, metrics)

    model, state = kind.train(run.recipe, data, folder.checkpoint, progress, epoch_done)
    board.rewrite(state.history)
    evaluation = evaluate(run.recipe, run.index, data, model, state)
    kind.store(folder, data, model)
    folder.write_predictions(
        [
            ("validation", data.validation.ids, data.validation.classes, evaluation.validation),
            ("test", data.test.ids, data.test.classes, evaluation.test),
        ]
    )
    _draw(run, evaluation.metrics, state)
    folder.write_json("history", {"best_epoch": state.best_epoch, **state.history})
    folder.write_json("metrics", evaluation.metrics)
    for checkpoint in folder.checkpoints():
        checkpoint.unlink()
    return evaluation.metrics


def _draw(run: Run, metrics: dict[str, Any], state: TrainingState) -> None:
    title = (
        f"{run.recipe.experiment.id}, protocol {run.split.name}, seed {run.recipe.seed}: "
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
