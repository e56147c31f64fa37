"""Experiments that classify pictures of spectrograms with VGG16: the report's chapter 5."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import keras
import numpy as np
from numpy.typing import NDArray

from ser_runtime.errors import RunFolderError
from ser_runtime.errors import WeightsError
from ser_train.backend import set_random_seed
from ser_train.checkpoint import TrainingState
from ser_train.corpora import CorpusIndex
from ser_train.describe import NetworkLayers
from ser_train.describe import network_layers
from ser_train.experiments import Experiment
from ser_train.features.array_cache import Progress
from ser_train.pretrained_weights import PretrainedWeights
from ser_train.run_folder import RunFolder
from ser_train.splits import Split
from ser_train.training import BatchProgress
from ser_train.training import EpochReport
from ser_train.training import Recipe
from ser_train.training import compile_model
from ser_train.training import predict
from ser_train.training import train
from ser_train.vgg16.architecture import Vgg16Network
from ser_train.vgg16.architecture import Vgg16Options
from ser_train.vgg16.architecture import make_network
from ser_train.vgg16.frozen_features import PICTURES_AT_ONCE
from ser_train.vgg16.frozen_features import frozen_features
from ser_train.vgg16.picture_cache import ClipArrays
from ser_train.vgg16.picture_cache import ClipDataset
from ser_train.vgg16.picture_cache import ClipSamples
from ser_train.vgg16.picture_cache import cached_pictures
from ser_train.vgg16.picture_cache import make_clip_dataset
from ser_train.vgg16.pictures import PictureSpec
from ser_train.vgg16.weights import find_weights
from ser_train.vgg16.weights import load_vgg16
from ser_train.weights import load_weights
from ser_train.weights import save_weights

if TYPE_CHECKING:
    from ser_train.tuning import BuildModel

FEATURES = "frozen features"
"""Phase that the progress of computing them is shown under."""


@dataclass(frozen=True, eq=False)
class TrainedVgg16:
    """A trained network.

    Attributes:
        whole: From pictures to probabilities.
        trained: From features to probabilities; `whole` if there are none.
        features: Of all clips, what `trained` takes; None if that is pictures.
    """

    whole: keras.Model
    trained: keras.Model
    features: ClipArrays | None = None


class Vgg16Family:
    """See `ser_train.families.Family`; data is a `ClipDataset`, the model a `TrainedVgg16`."""

    def load_data(
        self,
        index: CorpusIndex,
        split: Split,
        experiment: Experiment,
        cache: Path,
        progress: Progress | None = None,
    ) -> ClipDataset:
        """The pictures of the three sets.

        Raises:
            StorageError: If the disk is full.
        """
        options = Vgg16Options.from_dict(experiment.options)
        spec = PictureSpec(experiment.spec, options.side)
        pictures = cached_pictures(index, spec, cache, progress)
        return make_clip_dataset(index.clips, split, pictures, cache)

    def find_weights(self, source: str) -> PretrainedWeights:
        """As `ser_train.vgg16.weights.find_weights`."""
        return find_weights(source)

    def layers(self, experiment: Experiment) -> NetworkLayers:
        """The layers of the whole network, VGG16 as one, as the report prints them."""
        return network_layers(make_network(Vgg16Options.from_dict(experiment.options)).whole)

    def begin(self, folder: RunFolder, data: ClipDataset) -> None:
        """How the pictures are drawn."""
        folder.write_json("pictures", data.train.arrays.key["pictures"])

    def train(
        self,
        recipe: Recipe,
        data: ClipDataset,
        checkpoint: Path,
        progress: BatchProgress | None = None,
        on_epoch: EpochReport | None = None,
    ) -> tuple[TrainedVgg16, TrainingState]:
        """As `ser_train.training.train`, of what lies above the layers that stay as they are.

        Raises:
            WeightsError: If there are no pretrained weights, or no longer.
        """
        data = with_frozen_features(recipe, data, progress)
        made: list[Vgg16Network] = []

        def build(seed: int) -> keras.Model:
            made[:] = [pretrained_network(recipe, seed)]
            compile_model(made[0].trained, recipe.experiment.learning_rate)
            return made[0].trained

        _, state = train(
            recipe, data, checkpoint, progress, on_epoch, build, score_batch=PICTURES_AT_ONCE
        )
        features = data.train.arrays if made[0].kept else None
        return TrainedVgg16(made[0].whole, made[0].trained, features), state

    def tunable(
        self, recipe: Recipe, data: ClipDataset, progress: BatchProgress | None = None
    ) -> tuple[ClipDataset, BuildModel]:
        """Frozen features, and networks that start from the recipe's weights.

        Raises:
            WeightsError: If there are no pretrained weights, or no longer.
        """

        def build(experiment: Experiment, seed: int) -> keras.Model:
            changed = dataclasses.replace(recipe, experiment=experiment)
            model = pretrained_network(changed, seed).trained
            compile_model(model, experiment.learning_rate)
            return model

        return with_frozen_features(recipe, data, progress), build

    def predict(
        self, model: TrainedVgg16, samples: ClipSamples, batch_size: int
    ) -> NDArray[np.float32]:
        """Probabilities: float32 [samples, classes]; from features where there are any."""
        inputs = samples if model.features is None else samples.of(model.features)
        return predict(model.trained, inputs, min(batch_size, PICTURES_AT_ONCE))

    def parameters(self, model: TrainedVgg16) -> int:
        """All parameters of the whole network."""
        return model.whole.count_params()

    def store(self, folder: RunFolder, data: ClipDataset, model: TrainedVgg16) -> None:
        """The weights of the whole network: a run needs no pretrained weights any more."""
        save_weights(folder.weights, model.whole)

    def restore(
        self, folder: RunFolder, experiment: Experiment, data: ClipDataset
    ) -> tuple[ClipDataset, TrainedVgg16]:
        """The pictures, and the whole network with the stored weights.

        Raises:
            RunFolderError: If what was stored is missing, damaged, or of another version.
        """
        if folder.read_json("pictures") != data.train.arrays.key["pictures"]:
            raise RunFolderError(
                f"{folder.path} was made by another version: its pictures were drawn otherwise"
            )
        whole = make_network(Vgg16Options.from_dict(experiment.options)).whole
        load_weights(folder.weights, whole)
        return data, TrainedVgg16(whole, whole)


def pretrained_network(recipe: Recipe, seed: int) -> Vgg16Network:
    """The network with VGG16's pretrained weights, and those of a seed in its classifier.

    Raises:
        WeightsError: If there are none, or no longer.
    """
    if recipe.weights is None:
        raise WeightsError(
            f"{recipe.experiment.id} starts from pretrained weights: name them with --weights"
        )
    set_random_seed(seed)
    network = make_network(Vgg16Options.from_dict(recipe.experiment.options))
    load_vgg16(network.base, recipe.weights)
    return network


def with_frozen_features(
    recipe: Recipe, data: ClipDataset, progress: BatchProgress | None = None
) -> ClipDataset:
    """Data with features in the place of pictures, where layers stay as they are.

    Raises:
        WeightsError: If there are no pretrained weights, or no longer.
        StorageError: If the disk is full.
    """
    options = Vgg16Options.from_dict(recipe.experiment.options)
    network = pretrained_network(recipe, recipe.seed)
    if network.kept is None:
        return data
    assert recipe.weights is not None
    made_by = {"weights": recipe.weights.sha256, "last_layer": options.last_kept}
    features = frozen_features(
        data.train.arrays, network.kept, made_by, data.cache, _as_features(progress)
    )
    return data.of(features)


def _as_features(progress: BatchProgress | None) -> Progress | None:
    if progress is None:
        return None
    show: Callable[..., None] = progress
    return lambda done, total: show(FEATURES, 1, done, total, {})
