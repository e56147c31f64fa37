"""The arrays that one split trains, validates and tests on, standardized a batch at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ser_runtime.standardization import Standardization
from ser_train.corpora import Clip
from ser_train.corpora import CorpusIndex
from ser_train.experiments import Experiment
from ser_train.features.cache import ClipFeatures
from ser_train.features.cache import Progress
from ser_train.features.cache import cached_features
from ser_train.features.standardize import measure_standardization
from ser_train.splits import Split
from ser_train.splits import classes_by_id

_CALIBRATION_CLIPS = 300


@dataclass(frozen=True, eq=False)
class Samples:
    """Feature matrices of one set, each with its class.

    Attributes:
        ids: Clip id of each sample.
        rows: int64 [samples], rows of `features.values`.
        copies: int64 [samples], 0 for the clean clip, else the number of the noisy copy.
        classes: int64 [samples], indices into `EMOTIONS`.
        features: Of all clips.
        standardization: Of the split.
    """

    ids: tuple[str, ...]
    rows: NDArray[np.int64]
    copies: NDArray[np.int64]
    classes: NDArray[np.int64]
    features: ClipFeatures
    standardization: Standardization

    def __len__(self) -> int:
        return len(self.rows)

    def raw(self, which: NDArray[np.int64] | slice = slice(None)) -> NDArray[np.float32]:
        """Features as the extractor computes them: float32 [n, coefficients, frames]."""
        return self.features.values[self.rows[which], self.copies[which]]

    def standardized(self, which: NDArray[np.int64] | slice) -> NDArray[np.float32]:
        """Model inputs: float32 [n, coefficients, frames]."""
        return self.standardization(self.raw(which))


@dataclass(frozen=True, eq=False)
class Dataset:
    """The three sets of a split."""

    split: Split
    standardization: Standardization
    train: Samples
    validation: Samples
    test: Samples


def make_dataset(
    clips: Sequence[Clip],
    split: Split,
    features: ClipFeatures,
    noisy_copies: int,
    scale: str = "coefficient",
) -> Dataset:
    """Bring features, labels and split together.

    Args:
        clips: All clips of the index.
        split: Which of them train, validate and test.
        features: Of all clips, with at least `noisy_copies` noisy copies each.
        noisy_copies: Noisy copies that join each training clip; validation and test stay clean.
        scale: Key of `ser_train.features.standardize.SCALES`.
    """
    standardization = measure_standardization(features, features.rows(split.train), scale)
    class_of = classes_by_id(clips, split.protocol)

    def samples(ids: Sequence[str], copies: int) -> Samples:
        rows = features.rows(ids)
        classes = np.array([class_of[clip_id] for clip_id in ids], np.int64)
        return Samples(
            ids=tuple(ids) * (1 + copies),
            rows=np.tile(rows, 1 + copies),
            copies=np.repeat(np.arange(1 + copies), len(rows)),
            classes=np.tile(classes, 1 + copies),
            features=features,
            standardization=standardization,
        )

    return Dataset(
        split=split,
        standardization=standardization,
        train=samples(split.train, noisy_copies),
        validation=samples(split.validation, 0),
        test=samples(split.test, 0),
    )


def load_dataset(
    index: CorpusIndex,
    split: Split,
    experiment: Experiment,
    cache: Path,
    progress: Progress | None = None,
) -> Dataset:
    """What an experiment trains on: features from the cache, or computed into it.

    Raises:
        StorageError: If the disk is full.
    """
    features = cached_features(
        index,
        experiment.spec,
        cache,
        experiment.noisy_copies,
        progress=progress,
        crop=experiment.crop,
    )
    return make_dataset(
        index.clips, split, features, experiment.noisy_copies, experiment.standardization
    )


def calibration_rows(classes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Which of the clean training clips calibrate a quantized model: each class in its proportion.

    Args:
        classes: int64 [clips].
    """
    by_class = np.argsort(classes, kind="stable")
    count = min(_CALIBRATION_CLIPS, len(by_class))
    return by_class[np.linspace(0, len(by_class) - 1, count).astype(int)]
