"""A model file, opened: features, or waveforms, in; probabilities out.

Stateless, and safe to share by threads. What goes in is what the file's metadata says.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ser_runtime.backend import Backend
from ser_runtime.backend import reason
from ser_runtime.errors import MissingExtraError
from ser_runtime.errors import ModelFileError
from ser_runtime.feature_spec import FeatureSpec
from ser_runtime.features import compute_features
from ser_runtime.features import fit_window
from ser_runtime.model_metadata import ModelMetadata
from ser_runtime.temperature import apply_temperature

DEFAULT_MODEL = "compact"
_LARGEST_FILE = 1 << 30
# Of seven probabilities that an int8 file rounds to multiples of 1/256 the sum may be off by 0.014.
_SUM_ERROR = 0.05
_LITERT_IDENTIFIER = b"TFL3"


class Model:
    """A recognizer of emotions. `Model.open` makes one.

    Attributes:
        metadata: What the file says of itself.
        source: Where it was opened from.
    """

    def __init__(self, backend: Backend, metadata: ModelMetadata, source: str) -> None:
        self._backend = backend
        self.metadata = metadata
        self.source = source

    @classmethod
    def open(cls, source: str | Path = DEFAULT_MODEL) -> Model:
        """Open a model of the package by name, or a model file by path.

        Args:
            source: One of `packaged_models()`, or the path of an ONNX file by `ser-export`, or of a
                LiteRT file with `write_litert_metadata`'s properties; the content tells which.

        Raises:
            ModelFileError: If it is missing, corrupt, foreign (no metadata), or made for features
                that this version cannot compute.
            MissingExtraError: If it is a LiteRT file, and the extra `litert` is not installed.
        """
        content, shown = _read(source)
        try:
            backend, properties = _open_backend(content)
            model = cls(backend, ModelMetadata.from_properties(properties), shown)
            model._try_out()
        except (ModelFileError, MissingExtraError) as error:
            raise type(error)(f"cannot use {shown}: {error}") from error
        return model

    @property
    def spec(self) -> FeatureSpec:
        """The features that the model takes, and the window and its rate."""
        return self.metadata.spec

    @property
    def takes_waveform(self) -> bool:
        """Whether windows of audio go in, and not their features."""
        return self.metadata.input == "waveform"

    @property
    def labels(self) -> tuple[str, ...]:
        """What the probabilities are of, in their order."""
        return self.metadata.labels

    def predict(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probabilities of a batch of windows.

        Args:
            inputs: float32 [windows, coefficients, frames], features that are not standardized; if
                the model `takes_waveform`, float32 [windows, window_samples] in [-1, 1].

        Returns:
            float32 [windows, labels], calibrated by the metadata's temperature.
        """
        return apply_temperature(self.raw_probabilities(inputs), self.metadata.temperature)

    def raw_probabilities(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """As `predict`, without the temperature: the network's own output.

        A window's probabilities do not depend on what else is in the batch.
        """
        if not self.takes_waveform:
            inputs = self.metadata.standardization(inputs)
        if self.metadata.dynamic and len(inputs) > 1:
            return np.concatenate([self._backend.run(window[None]) for window in inputs])
        return self._backend.run(inputs)

    def recognize(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probabilities of one window of audio.

        Args:
            audio: float32 [samples] in [-1, 1] at the spec's rate; padded with zeros at the end,
                or cut, to one window.

        Returns:
            float32 [labels].
        """
        if self.takes_waveform:
            return self.predict(fit_window(audio, self.spec.window_samples)[None])[0]
        return self.predict(compute_features(audio, self.spec)[None])[0]

    def _try_out(self) -> None:
        """Run the model once on silence: a file that cannot be used fails here, not later."""
        try:
            shape = (self.spec.window_samples,) if self.takes_waveform else self.spec.shape
            probabilities = self.raw_probabilities(np.zeros((1, *shape), np.float32))
        except Exception as error:  # of the backend's library, as when it was opened
            raise ModelFileError(
                f"it does not take its own {self.metadata.input}: {reason(error)}"
            ) from error
        if (
            probabilities.shape != (1, len(self.labels))
            or not (probabilities >= 0).all()
            or not abs(probabilities.sum() - 1) <= _SUM_ERROR
        ):
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


def _open_backend(content: bytes) -> tuple[Backend, dict[str, str]]:
    """The network in the content of a model file, and its metadata properties."""
    # Either library takes tens of milliseconds and MiB: only the one that is needed is loaded.
    if content[4:8] == _LITERT_IDENTIFIER:
        from ser_runtime.litert_backend import open_litert

        return open_litert(content)
    from ser_runtime.onnx_backend import open_onnx

    return open_onnx(content)
