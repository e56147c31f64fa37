"""What differs between families of experiments: their inputs, their training, what they leave."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ser_train.checkpoint import TrainingState
    from ser_train.corpora import CorpusIndex
    from ser_train.describe import NetworkLayers
    from ser_train.experiments import Experiment
    from ser_train.features.cache import Progress
    from ser_train.pretrained_weights import PretrainedWeights
    from ser_train.run_folder import RunFolder
    from ser_train.splits import Split
    from ser_train.training import BatchProgress
    from ser_train.training import EpochReport
    from ser_train.training import Recipe
    from ser_train.tuning import BuildModel


SCORED_IN_FLOAT32 = ("features", "compact")
"""Families whose networks are scored in float32, whatever precision they were trained in."""


class SampleSet(Protocol):
    """Training, validation or test clips as a family holds them.

    Attributes:
        ids: Clip id of each sample.
        classes: int64 [samples], indices into `EMOTIONS`.
    """

    ids: tuple[str, ...]
    classes: NDArray[np.int64]

    def __len__(self) -> int: ...


class FamilyData(Protocol):
    """The three sets of a split."""

    split: Split
    train: SampleSet
    validation: SampleSet
    test: SampleSet


class Family(Protocol):
    """How a family of experiments is trained; data and model are its own kinds of object."""

    def load_data(
        self,
        index: CorpusIndex,
        split: Split,
        experiment: Experiment,
        cache: Path,
        progress: Progress | None = None,
    ) -> Any:
        """The three sets, as `FamilyData`, from the cache or computed into it."""

    def find_weights(self, source: str) -> PretrainedWeights:
        """The pretrained weights that a user named, checked before any other work.

        Raises:
            WeightsError: If they are missing, out of reach, or of another kind; at once.
        """

    def layers(self, experiment: Experiment) -> NetworkLayers:
        """The layers of an experiment's network, untrained."""

    def begin(self, folder: RunFolder, data: Any) -> None:
        """Write what a run folder shall hold from its first epoch on."""

    def train(
        self,
        recipe: Recipe,
        data: Any,
        checkpoint: Path,
        progress: BatchProgress | None = None,
        on_epoch: EpochReport | None = None,
    ) -> tuple[Any, TrainingState]:
        """Train a model, going on from a checkpoint if there is one."""

    def predict(self, model: Any, samples: Any, batch_size: int) -> NDArray[np.float32]:
        """Probabilities: float32 [samples, classes]."""

    def parameters(self, model: Any) -> int:
        """All parameters of a model."""

    def store(self, folder: RunFolder, data: Any, model: Any) -> None:
        """Write weights, and what export and evaluation need."""

    def restore(self, folder: RunFolder, experiment: Experiment, data: Any) -> tuple[Any, Any]:
        """Data and model as `store` left them: the inputs as they were trained on, the weights.

        Raises:
            RunFolderError: If what was stored is missing, damaged, or of another version.
        """


class TunableFamily(Family, Protocol):
    """A family with experiments that a tuning belongs to."""

    def tunable(
        self, recipe: Recipe, data: Any, progress: BatchProgress | None = None
    ) -> tuple[Any, BuildModel]:
        """What a tuning trains on, and what makes its models.

        Raises:
            WeightsError: If there are no pretrained weights where they are needed.
        """


_PLACES = {
    "features": ("ser_train.families.features", "FeatureFamily"),
    "compact": ("ser_train.compact.family", "CompactFamily"),
    "vgg16": ("ser_train.vgg16.family", "Vgg16Family"),
    "wav2vec2": ("ser_train.wav2vec2.family", "Wav2Vec2Family"),
}

FAMILIES = tuple(_PLACES)
"""Names in the registry."""


def family(name: str) -> Family:
    """A family by its name in the registry; its packages are imported here.

    Raises:
        KeyError: If there is none of that name.
    """
    module, kind = _PLACES[name]
    return getattr(importlib.import_module(module), kind)()
