"""A model file, opened: features in, probabilities out. Stateless, and safe to share by threads."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from ser_runtime.errors import ModelFileError
from ser_runtime.feature_spec import FeatureSpec
from ser_runtime.features import compute_features
from ser_runtime.model_metadata import ModelMetadata
from ser_runtime.temperature import apply_temperature

DEFAULT_MODEL = "cnn"
_LARGEST_FILE = 1 << 30


class Model:
    """A recognizer of emotions. `Model.open` makes one.

    Attributes:
        metadata: What the file says of itself.
        source: Where it was opened from.
    """

    def __init__(
        self, session: onnxruntime.InferenceSession, metadata: ModelMetadata, source: str
    ) -> None:
        self._session = session
        self._input = session.get_inputs()[0].name
        self.metadata = metadata
        self.source = source

    @classmethod
    def open(cls, source: str | Path = DEFAULT_MODEL) -> Model:
        """Open a model of the package by name, or a model file by path.

        Args:
            source: One of `packaged_models()`, or the path of an ONNX file by `ser-export`.

        Raises:
            ModelFileError: If it is missing, corrupt, foreign (no metadata), or made for features
                that this version cannot compute.
        """
        content, shown = _read(source)
        try:
            session = onnxruntime.InferenceSession(
                content, _session_options(), providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            # onnxruntime raises a dozen types of its own, none of them public.
            first_line = str(error).strip().splitlines()[0][:200] if str(error) else "no reason"
            raise ModelFileError(f"{shown} is not a readable ONNX model: {first_line}") from error
        try:
            metadata = ModelMetadata.from_properties(session.get_modelmeta().custom_metadata_map)
            model = cls(session, metadata, shown)
            model._try_out()
        except ModelFileError as error:
            raise type(error)(f"cannot use {shown}: {error}") from error
        return model

    @property
    def spec(self) -> FeatureSpec:
        """The features that the model takes."""
        return self.metadata.spec

    @property
    def labels(self) -> tuple[str, ...]:
        """What the probabilities are of, in their order."""
        return self.metadata.labels

    def predict(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probabilities of a batch of windows.

        Args:
            features: float32 [windows, coefficients, frames], not standardized.

        Returns:
            float32 [windows, labels], calibrated by the metadata's temperature.
        """
        return apply_temperature(self.raw_probabilities(features), self.metadata.temperature)

    def raw_probabilities(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """As `predict`, without the temperature: the network's own output."""
        inputs = self.metadata.standardization(features)
        return self._session.run(None, {self._input: inputs})[0]

    def recognize(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probabilities of one window of audio.

        Args:
            audio: float32 [samples] in [-1, 1] at the spec's rate; padded with zeros at the end,
                or cut, to one window.

        Returns:
            float32 [labels].
        """
        return self.predict(compute_features(audio, self.spec)[None])[0]

    def _try_out(self) -> None:
        """Run the model once on silence: a file that cannot be used fails here, not later."""
        try:
            silence = np.zeros((1, *self.spec.shape), np.float32)
            probabilities = self.raw_probabilities(silence)
        except Exception as error:  # as in `open`
            raise ModelFileError(f"it does not take its own features: {error}") from error
        if probabilities.shape != (1, len(self.labels)) or not np.isfinite(probabilities).all():
            raise ModelFileError("it does not return one probability for each of its labels")


def packaged_models() -> list[str]:
    """Names of the models that come with the package."""
    folder = resources.files("ser_runtime") / "models"
    if not folder.is_dir():
        return []
    return sorted(
        file.name.removesuffix(".onnx") for file in folder.iterdir() if file.name.endswith(".onnx")
    )


def _read(source: str | Path) -> tuple[bytes, str]:
    """Content of a model file, and how to call it."""
    known = packaged_models()
    if str(source) in known:
        name = str(source)
        return (resources.files("ser_runtime") / "models" / f"{name}.onnx").read_bytes(), name
    path = Path(source)
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise ModelFileError(f"{path} is larger than 1 GiB: not a model for this runtime")
        return path.read_bytes(), str(path)
    except FileNotFoundError as error:
        raise ModelFileError(
            f"no model file {path}, and no model of that name in the package "
            f"(there: {', '.join(known) or 'none'})"
        ) from error
    except OSError as error:
        raise ModelFileError(f"cannot read the model file {path}: {error.strerror}") from error


def _session_options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    # A small model is fastest on one thread; idle threads that spin would cost more than it does.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # A model is one file: this is where its external data would be looked for.
    options.add_session_config_entry(
        "session.model_external_initializers_file_folder_path", os.devnull
    )
    options.log_severity_level = 4
    return options
