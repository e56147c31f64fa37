"""A trained model as it is converted: the network, what it takes, and what it answers."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import keras
import numpy as np
from numpy.typing import NDArray

from ser_export.export_clips import CALIBRATION
from ser_export.export_clips import ClipSet
from ser_export.export_clips import ExportClips
from ser_runtime.errors import RunFolderError
from ser_runtime.feature_spec import FeatureSpec
from ser_runtime.features import compute_features
from ser_runtime.standardization import Standardization
from ser_train.architectures import ARCHITECTURES
from ser_train.architectures import make_architecture
from ser_train.run_folder import RunFolder
from ser_train.weights import load_weights

if TYPE_CHECKING:
    import onnx

_BATCH = 64


class Source:
    """The model of a run, converted when first asked for.

    Attributes:
        run: The run folder.
        clips: Its clips.
        family: Name in `ser_train.families`.
        spec: Of the features.
        standardization: Of the model's inputs; that changes nothing where the graph has its own.
    """

    def __init__(self, run: RunFolder, clips: ExportClips) -> None:
        """Prepare.

        Raises:
            RunFolderError: If the run's configuration or standardization is damaged.
        """
        self.run, self.clips = run, clips
        self.family: str = run.config()["experiment"].get("family", "features")
        self.spec: FeatureSpec = run.spec()
        self.standardization = _standardization(run, self.family)

    @property
    def takes_audio(self) -> bool:
        """Whether the network itself takes the waveform."""
        return self.family == "wav2vec2"

    @cached_property
    def model(self) -> keras.Model:
        """The network in Keras.

        Raises:
            RunFolderError: If the weights are missing, damaged, or of another architecture.
        """
        if self.family == "vgg16":
            from ser_export.vgg16_model import load_vgg16

            return load_vgg16(self.run)
        return load_model(self.run)

    @cached_property
    def graph(self) -> onnx.ModelProto:
        """The network as a float32 ONNX graph; not to be changed."""
        if self.takes_audio:
            from ser_export.wav2vec2_conversion import convert_wav2vec2

            return convert_wav2vec2(self.run)
        from ser_export.onnx_conversion import convert_to_onnx

        return convert_to_onnx(self.model)

    @property
    def parameters(self) -> int:
        """All parameters of the network, as training counted them."""
        return self.run.metrics()["parameters"]

    def calibration(self) -> NDArray[np.float32]:
        """Inputs of the graph that ranges are measured on: training clips, standardized."""
        return self.standardization(self.clips.features(CALIBRATION).inputs)

    def inputs(self, name: str, from_waveform: bool) -> ClipSet:
        """Clips of a set, as a file takes them.

        Args:
            name: `TEST` or `VALIDATION`.
            from_waveform: Whether the file computes its features itself.
        """
        if self.takes_audio:
            return self.clips.audio_as_trained(name)[0]
        return self.clips.audio(name) if from_waveform else self.clips.features(name)

    def probabilities(self, name: str, clips: ClipSet) -> NDArray[np.float32]:
        """What the trained network says of clips, without temperature: float32 [clips, classes].

        Args:
            name: Of the set.
            clips: By `inputs`; of audio, features are computed as training did.
        """
        if self.takes_audio:
            from ser_train.wav2vec2.saving import load_model as load_network
            from ser_train.wav2vec2.training import predict

            network = load_network(self.run.path / "model")
            return predict(network, self.clips.audio_as_trained(name)[1], _BATCH)
        features = clips.inputs
        if features.ndim == 2:
            features = np.stack([compute_features(window, self.spec) for window in features])
        inputs = self.standardization(features)
        # Not `predict`: its input pipeline fills the screen with errors that are none.
        blocks = [
            self.model.predict_on_batch(inputs[start : start + _BATCH])
            for start in range(0, len(inputs), _BATCH)
        ]
        return np.concatenate(blocks).astype(np.float32)


def load_model(run: RunFolder) -> keras.Model:
    """The trained Keras model of a run.

    Raises:
        RunFolderError: If the weights are missing, damaged, or of another architecture.
    """
    experiment = run.config()["experiment"]
    name = experiment["architecture"]
    if name not in ARCHITECTURES:
        raise RunFolderError(f"{run.path} has the architecture {name!r}, unknown to this version")
    try:
        model = make_architecture(name, run.spec().shape, experiment.get("options"))
    except (TypeError, KeyError, ValueError) as error:
        raise RunFolderError(
            f"{run.path} was made by another version: its options are unknown here ({error})"
        ) from error
    load_weights(Path(run.weights), model)
    return model


def _standardization(run: RunFolder, family: str) -> Standardization:
    if family in ("vgg16", "wav2vec2"):
        shape = (run.spec().shape[0], 1)
        return Standardization(np.zeros(shape, np.float32), np.ones(shape, np.float32))
    return run.standardization()
