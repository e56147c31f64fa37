"""wav2vec2 as a family of experiments: see `ser_train.families.Family`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ser_train.checkpoint import TrainingState
from ser_train.corpora import CorpusIndex
from ser_train.describe import NetworkLayers
from ser_train.experiments import Experiment
from ser_train.features.array_cache import Progress
from ser_train.pretrained_weights import PretrainedWeights
from ser_train.run_folder import RunFolder
from ser_train.splits import Split
from ser_train.training import BatchProgress
from ser_train.training import EpochReport
from ser_train.training import Recipe
from ser_train.wav2vec2.audio_data import AudioDataset
from ser_train.wav2vec2.audio_data import AudioSamples
from ser_train.wav2vec2.audio_data import load_audio
from ser_train.wav2vec2.layers import base_layers
from ser_train.wav2vec2.network import Wav2Vec2Classifier
from ser_train.wav2vec2.saving import load_model
from ser_train.wav2vec2.saving import save_model
from ser_train.wav2vec2.training import device
from ser_train.wav2vec2.training import predict
from ser_train.wav2vec2.training import train
from ser_train.wav2vec2.weights import find_weights


class Wav2Vec2Family:
    """Data is an `AudioDataset`, the model a `Wav2Vec2Classifier`."""

    def load_data(
        self,
        index: CorpusIndex,
        split: Split,
        experiment: Experiment,
        cache: Path,
        progress: Progress | None = None,
    ) -> AudioDataset:
        """As `load_audio`."""
        return load_audio(index, split, cache, progress)

    def find_weights(self, source: str) -> PretrainedWeights:
        """As `ser_train.wav2vec2.weights.find_weights`."""
        return find_weights(source)

    def layers(self, experiment: Experiment) -> NetworkLayers:
        """The layers at base size."""
        return base_layers(experiment)

    def begin(self, folder: RunFolder, data: AudioDataset) -> None:
        """Nothing: each clip is normalized by itself."""

    def train(
        self,
        recipe: Recipe,
        data: AudioDataset,
        checkpoint: Path,
        progress: BatchProgress | None = None,
        on_epoch: EpochReport | None = None,
    ) -> tuple[Wav2Vec2Classifier, TrainingState]:
        """As `ser_train.wav2vec2.training.train`."""
        return train(recipe, data, checkpoint, progress, on_epoch)

    def predict(
        self, model: Wav2Vec2Classifier, samples: AudioSamples, batch_size: int
    ) -> NDArray[np.float32]:
        """As `ser_train.wav2vec2.training.predict`, with at most its number of clips at once."""
        return predict(model, samples, batch_size)

    def parameters(self, model: Wav2Vec2Classifier) -> int:
        """All parameters of a model."""
        return model.num_parameters()

    def store(self, folder: RunFolder, data: AudioDataset, model: Wav2Vec2Classifier) -> None:
        """The model as transformers loads it; no audio, which may not be passed on."""
        save_model(folder.path / "model", model)

    def restore(
        self, folder: RunFolder, experiment: Experiment, data: AudioDataset
    ) -> tuple[AudioDataset, Wav2Vec2Classifier]:
        """As `ser_train.wav2vec2.saving.load_model`."""
        return data, load_model(folder.path / "model").to(device())
