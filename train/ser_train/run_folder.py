"""What a training leaves behind, and export reads: one folder, each file whole or not there.

config.json        experiment, protocol, seed, versions; written first
split.json         clip ids of the three sets, and their hash
checkpoint.npz     while training: weights, optimizer, history
finish.checkpoint.npz  the same of a last phase
history.json       losses and accuracies of every epoch
standardization.json
weights.npz        of the model; for wav2vec2 a folder `model`, as transformers loads it
predictions.csv    probabilities of every validation and test clip
{calibration,validation,test}.npz   features (float32, not standardized), classes, ids
confusion_matrix.png  learning_curves.png
tensorboard/       the learning curves again: tensorboard --logdir RUN/tensorboard
metrics.json       figures of the test clips; written last: its presence means complete
"""

from __future__ import annotations

import csv
import io
import json
import math
import shutil
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ser_runtime.atomic_file import atomic_path
from ser_runtime.atomic_file import write_text
from ser_runtime.errors import RunFolderError
from ser_runtime.errors import SerError
from ser_runtime.feature_spec import FeatureSpec
from ser_runtime.labels import EMOTIONS
from ser_runtime.standardization import Standardization

VERSION = 1
CONFIG = {"experiment", "protocol", "fold", "seed", "max_epochs", "split_hash"}
"""What config.json has at least."""

METRICS = {
    "experiment",
    "protocol",
    "fold",
    "seed",
    "accuracy",
    "macro_f1",
    "epochs",
    "temperature",
    "confidence_threshold",
    "split_hash",
    "per_class",
    "per_corpus",
    "confusion",
    "ece",
    "ece_calibrated",
    "clips",
    "standard_split",
    "speakers_shared",
    "parameters",
    "minutes",
    "accuracy_interval",
    "macro_f1_interval",
}
"""What metrics.json has at least."""

_IDENTITY = ("experiment", "protocol", "fold", "seed", "split_hash")
_NUMBERS = (
    "accuracy",
    "macro_f1",
    "ece",
    "ece_calibrated",
    "temperature",
    "confidence_threshold",
    "clips",
    "parameters",
    "minutes",
)
_NUMBERS_OF_A_CLASS = ("precision", "recall", "f1", "support")


@dataclass(frozen=True, eq=False)
class StoredSet:
    """Features of a few clips, as kept in a run folder.

    Attributes:
        ids: Clip ids.
        classes: int64 [clips], indices into `EMOTIONS`.
        features: float32 [clips, coefficients, frames], not standardized.
    """

    ids: tuple[str, ...]
    classes: NDArray[np.int64]
    features: NDArray[np.float32]


class RunFolder:
    """Paths, reading and writing of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.resolve().name
        self.checkpoint = path / "checkpoint.npz"
        self.weights = path / "weights.npz"
        self.confusion_plot = path / "confusion_matrix.png"
        self.curves_plot = path / "learning_curves.png"
        self.tensorboard = path / "tensorboard"

    @property
    def started(self) -> bool:
        """Whether a training was begun here."""
        return (self.path / "config.json").exists()

    @property
    def complete(self) -> bool:
        """Whether the training here came to its end."""
        return self.started and (self.path / "metrics.json").exists()

    def checkpoints(self) -> list[Path]:
        """Of a training that is under way."""
        return sorted(self.path.glob("*checkpoint.npz"))

    def remove(self) -> None:
        """Delete the run that is here, if one is; any other folder is left alone.

        Raises:
            RunFolderError: If the folder holds something else than a run.
        """
        if self.started:
            # Out of the way first: an interrupted removal must not look like a run.
            aside = self.path.with_name(f".{self.path.name}.removed")
            shutil.rmtree(aside, ignore_errors=True)
            self.path.rename(aside)
            shutil.rmtree(aside)
        elif self.path.exists() and any(self.path.iterdir()):
            raise RunFolderError(f"{self.path} holds no run: remove it yourself, or choose --out")

    def write_json(self, name: str, content: dict[str, Any]) -> None:
        """Write `name`.json.

        Raises:
            StorageError: If the disk is full; a file that was there stays as it was.
        """
        write_text(self.path / f"{name}.json", json.dumps(content, indent=1) + "\n")

    def read_json(self, name: str) -> dict[str, Any]:
        """Read `name`.json.

        Raises:
            RunFolderError: If it is missing or damaged.
        """
        path = self.path / f"{name}.json"
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise RunFolderError(
                f"{self.path} is not a complete run folder: it has no {path.name}"
            ) from error
        except (OSError, ValueError) as error:
            raise RunFolderError(f"{path} is damaged: {error}") from error
        if not isinstance(content, dict):
            raise RunFolderError(f"{path} is damaged: it holds no mapping")
        return content

    def config(self) -> dict[str, Any]:
        """The configuration.

        Raises:
            RunFolderError: If it is missing, damaged, or of another version of this format.
        """
        config = self.read_json("config")
        if config.get("version") != VERSION:
            raise RunFolderError(
                f"{self.path} has run-folder version {config.get('version')}, not {VERSION}"
            )
        if missing := sorted(CONFIG - set(config)):
            raise RunFolderError(f"{self.path}/config.json is damaged: no {', '.join(missing)}")
        experiment = config.get("experiment")
        needed = {"id", "architecture", "spec"}
        if not isinstance(experiment, dict) or not needed <= set(experiment):
            raise RunFolderError(f"{self.path}/config.json is damaged: it has no experiment")
        for name in ("seed", "max_epochs"):
            if type(config[name]) is not int:
                raise RunFolderError(
                    f"{self.path}/config.json is damaged: {name} is {config[name]!r}"
                )
        return config

    def metrics(self) -> dict[str, Any]:
        """The figures of a complete run.

        Raises:
            RunFolderError: If they are missing or damaged, or of another run.
        """
        metrics = self.read_json("metrics")
        path = f"{self.path}/metrics.json"
        if missing := sorted(METRICS - set(metrics)):
            raise RunFolderError(f"{path} is damaged: no {', '.join(missing)}")
        if wrong := _wrong_figure(metrics):
            raise RunFolderError(f"{path} is damaged: {wrong} cannot be")
        config = self.config()
        named = config | {"experiment": config["experiment"]["id"]}
        if other := [name for name in _IDENTITY if metrics[name] != named[name]]:
            raise RunFolderError(f"{path} is of another {', '.join(other)} than its config.json")
        return metrics

    def read_predictions(self, name: str) -> dict[str, NDArray[np.float32]]:
        """Probabilities of one set's clips by id, as predictions.csv has them (six digits).

        Raises:
            RunFolderError: If the file is missing or damaged.
        """
        path = self.path / "predictions.csv"
        try:
            with path.open(newline="", encoding="utf-8") as lines:
                return {
                    row["clip"]: np.array([row[emotion] for emotion in EMOTIONS], np.float32)
                    for row in csv.DictReader(lines)
                    if row["set"] == name
                }
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunFolderError(f"cannot read {path}: {error}") from error

    def spec(self) -> FeatureSpec:
        """The feature spec of the run.

        Raises:
            RunFolderError: If the configuration has none that can be computed.
        """
        try:
            return FeatureSpec.from_dict(self.config()["experiment"]["spec"])
        except (KeyError, TypeError, SerError) as error:
            raise RunFolderError(f"{self.path}: no usable feature spec ({error})") from error

    def crop(self) -> str:
        """Which window of a clip the run was scored on: one of `ser_runtime.model_metadata.CROPS`.

        Raises:
            RunFolderError: If the configuration is missing or damaged.
        """
        return str(self.config()["experiment"].get("crop", "start"))

    def standardization(self) -> Standardization:
        """The standardization of the run.

        Raises:
            RunFolderError: If it is missing or damaged.
        """
        try:
            return Standardization.from_dict(self.read_json("standardization"))
        except SerError as error:
            raise RunFolderError(f"{self.path}: {error}") from error

    def write_set(self, name: str, stored: StoredSet) -> None:
        """Write `name`.npz.

        Raises:
            StorageError: If the disk is full.
        """
        with atomic_path(self.path / f"{name}.npz") as temporary, temporary.open("wb") as file:
            np.savez(
                file,
                ids=np.array(stored.ids),
                classes=stored.classes,
                features=stored.features,
            )

    def read_set(self, name: str) -> StoredSet:
        """Read `name`.npz.

        Raises:
            RunFolderError: If it is missing, damaged or of another spec.
        """
        path = self.path / f"{name}.npz"
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                stored = StoredSet(
                    tuple(arrays["ids"].tolist()), arrays["classes"], arrays["features"]
                )
        except FileNotFoundError as error:
            raise RunFolderError(f"{self.path} lacks {path.name}: the run is incomplete") from error
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise RunFolderError(f"{path} is damaged: {error}") from error
        count = len(stored.ids)
        shapes = (stored.classes.shape, stored.features.shape)
        if shapes != ((count,), (count, *self.spec().shape)):
            raise RunFolderError(f"{path} holds {shapes[1]}, not this run's features")
        return stored

    def write_predictions(
        self, sets: Sequence[tuple[str, Sequence[str], NDArray[np.int64], NDArray[np.float32]]]
    ) -> None:
        """Write predictions.csv: set name, clip ids, classes and probabilities of each set."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["set", "clip", "emotion", "recognized", *EMOTIONS])
        for name, ids, classes, probabilities in sets:
            for clip_id, right, row in zip(ids, classes, probabilities, strict=True):
                values = [f"{value:.6f}" for value in row]
                writer.writerow([name, clip_id, EMOTIONS[right], EMOTIONS[row.argmax()], *values])
        write_text(self.path / "predictions.csv", text.getvalue())


def _wrong_figure(metrics: dict[str, Any]) -> str | None:
    """A figure, with its place, that no run has; None if there is none."""
    for name in _NUMBERS:
        if not _is_number(metrics[name]):
            return f"{name} {metrics[name]!r}"
    per_class = metrics["per_class"]
    for emotion in EMOTIONS:
        row = per_class.get(emotion) if isinstance(per_class, dict) else None
        if not isinstance(row, dict) or not all(
            _is_number(row.get(name)) for name in _NUMBERS_OF_A_CLASS
        ):
            return f"per_class of {emotion}"
    rows = metrics["confusion"]
    if not (
        isinstance(rows, list)
        and len(rows) == len(EMOTIONS)
        and all(isinstance(row, list) and len(row) == len(EMOTIONS) for row in rows)
        and all(type(count) is int for row in rows for count in row)
    ):
        return "confusion"
    epochs = metrics["epochs"]
    if not isinstance(epochs, dict) or not all(
        type(epochs.get(name)) is int for name in ("trained", "searched")
    ):
        return "epochs"
    return None


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value)
