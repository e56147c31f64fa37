"""Experiments whose input is a matrix of features: the report's chapter 4."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import keras
import numpy as np
from numpy.typing import NDArray

from ser_runtime.errors import RunFolderError
from ser_runtime.errors import WeightsError
from ser_train.architectures import make_architecture
from ser_train.checkpoint import TrainingState
from ser_train.corpora import CorpusIndex
from ser_train.dataset import Dataset
from ser_train.dataset import Samples
from ser_train.dataset import calibration_rows
from ser_train.dataset import load_dataset
from ser_train.describe import NetworkLayers
from ser_train.describe import network_layers
from ser_train.experiments import Experiment
from ser_train.features.cache import Progress
from ser_train.pretrained_weights import PretrainedWeights
from ser_train.run_folder import RunFolder
from ser_train.run_folder import StoredSet
from ser_train.splits import Split
from ser_train.training import BatchProgress
from ser_train.training import EpochReport
from ser_train.training import Recipe
from ser_train.training import build_model
from ser_train.training import predict
from ser_train.training import train
from ser_train.weights import load_weights
from ser_train.weights import save_weights

if TYPE_CHECKING:
    from ser_train.tuning import BuildModel


class FeatureFamily:
    """See `ser_train.families.Family`; data is a `Dataset`, the model Keras'."""

    def load_data(
        self,
        index: CorpusIndex,
        split: Split,
        experiment: Experiment,
        cache: Path,
        progress: Progress | None = None,
    ) -> Dataset:
        """As `load_dataset`."""
        return load_dataset(index, split, experiment, cache, progress)

    def find_weights(self, source: str) -> PretrainedWeights:
        """There are none.

        Raises:
            WeightsError: Always.
        """
        raise WeightsError(f"this experiment starts from no weights, and {source} were given")

    def layers(self, experiment: Experiment) -> NetworkLayers:
        """The layers of the architecture."""
        model = make_architecture(
            experiment.architecture, experiment.spec.shape, experiment.options
        )
        return network_layers(model)

    def begin(self, folder: RunFolder, data: Dataset) -> None:
        """The standardization."""
        folder.write_json("standardization", data.standardization.to_dict())

    def train(
        self,
        recipe: Recipe,
        data: Dataset,
        checkpoint: Path,
        progress: BatchProgress | None = None,
        on_epoch: EpochReport | None = None,
    ) -> tuple[keras.Model, TrainingState]:
        """As `ser_train.training.train`; the model is the one that is scored, in float32."""
        model, state = train(recipe, data, checkpoint, progress, on_epoch)
        return in_float32(model, recipe.experiment), state

    def predict(self, model: keras.Model, samples: Samples, batch_size: int) -> NDArray[np.float32]:
        """As `ser_train.training.predict`."""
        return predict(model, samples, batch_size)

    def parameters(self, model: keras.Model) -> int:
        """All parameters of a model."""
        return model.count_params()

    def store(self, folder: RunFolder, data: Dataset, model: keras.Model) -> None:
        """Weights, and the features that export needs: calibration clips are training clips."""
        save_weights(folder.weights, model)
        clean = np.flatnonzero(data.train.copies == 0)
        calibration = clean[calibration_rows(data.train.classes[clean])]
        for name, samples, which in (
            ("calibration", data.train, calibration),
            ("validation", data.validation, np.arange(len(data.validation))),
            ("test", data.test, np.arange(len(data.test))),
        ):
            ids = tuple(samples.ids[i] for i in which)
            folder.write_set(name, StoredSet(ids, samples.classes[which], samples.raw(which)))

    def tunable(
        self, recipe: Recipe, data: Dataset, progress: BatchProgress | None = None
    ) -> tuple[Dataset, BuildModel]:
        """The data as it is, and `build_model`."""
        return data, build_model

    def restore(
        self, folder: RunFolder, experiment: Experiment, data: Dataset
    ) -> tuple[Dataset, keras.Model]:
        """Features standardized as stored, and the architecture with the stored weights.

        Raises:
            RunFolderError: If what was stored is missing, damaged, or of another version.
        """
        try:
            model = plain_model(experiment)
        except (TypeError, KeyError) as error:
            raise RunFolderError(
                f"{folder.path} was made by another version: its options are unknown here ({error})"
            ) from error
        load_weights(folder.weights, model)
        standardization = folder.standardization()
        sets = {
            name: dataclasses.replace(getattr(data, name), standardization=standardization)
            for name in ("train", "validation", "test")
        }
        return dataclasses.replace(data, standardization=standardization, **sets), model


def in_float32(model: keras.Model, experiment: Experiment) -> keras.Model:
    """The model as it is scored and exported, whatever precision it was trained in."""
    if keras.config.dtype_policy().name == "float32":
        return model
    plain = plain_model(experiment)
    plain.set_weights(model.get_weights())
    return plain


def plain_model(experiment: Experiment) -> keras.Model:
    """The untrained network of an experiment in float32, whatever precision is chosen."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        return make_architecture(experiment.architecture, experiment.spec.shape, experiment.options)
    finally:
        keras.config.set_dtype_policy(policy)
