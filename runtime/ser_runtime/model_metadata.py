"""What a model file says about itself: all that the runtime needs to use it, and its record."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ser_runtime.errors import ModelFileError
from ser_runtime.feature_spec import FeatureSpec
from ser_runtime.standardization import Standardization

PREFIX = "ser_edge."
INPUTS = ("features", "waveform")
CROPS = ("start", "offset", "centre", "loudest")
"""Which window of a clip is scored: the first one, as in the report; that from 0.5 s on, as in the
architecture that the report copies; the middle, with zeros on both sides of a shorter clip; or the
one of most energy, a shorter clip from its start."""
GRAPH_OPTIMIZATIONS = ("all", "extended", "basic")
_MOST_THREADS = 16
# Below it logarithms over the temperature overflow.
_LOWEST_TEMPERATURE = 1e-3
# Fields with a default are written only where they differ from it, and make the file one of
# version 2: a file without them stays what earlier versions of the runtime read, too.
_VERSION, _VERSION_WITH_OPTIONAL_FIELDS = 1, 2


@dataclass(frozen=True, eq=False)
class ModelMetadata:
    """The self-description in a model file.

    Attributes:
        name: Experiment that the model comes from.
        model_version: Version of the trained weights.
        spec: Features that the model takes, or computes itself from the waveform. Of a network that
            has no features at all, the window, its sample rate and the hop (of the steps) count.
        standardization: Applied to them before the model; by the model, where it computes them.
        labels: Meaning of the outputs, in their order.
        quantization: `none`, or how the weights are stored.
        protocol: Split that the accuracy was measured on.
        split_hash: Hash of that split's clip ids.
        test_accuracy: On the test clips of the split, a window of each, of this very file.
        test_macro_f1: As `test_accuracy`.
        report_accuracy: The report's figure for this experiment; None if it printed none.
        temperature: Divides the logits; fitted on validation clips.
        confidence_threshold: From here on 90 % of the validation clips were right.
        licence: What the weights may be used for.
        note: How it was trained, where that differs from the recipe.
        input: One of `INPUTS`: standardized features, or the audio of a window as it is.
        graph_optimization: One of `GRAPH_OPTIMIZATIONS`: the level that ONNX Runtime opens it with.
        threads: That ONNX Runtime computes with.
        crop: One of `CROPS`: which window of the clips figures, temperature and threshold are of.
    """

    name: str
    model_version: str
    spec: FeatureSpec
    standardization: Standardization
    labels: tuple[str, ...]
    quantization: str
    protocol: str
    split_hash: str
    test_accuracy: float
    test_macro_f1: float
    report_accuracy: float | None
    temperature: float
    confidence_threshold: float
    licence: str
    note: str
    input: str = "features"
    graph_optimization: str = "all"
    threads: int = 1
    crop: str = "start"

    @property
    def dynamic(self) -> bool:
        """Whether activations are quantized as they come, over all windows of a batch: a window's
        probabilities then depend on the others, unless each is a batch of its own."""
        return "dynamic" in self.quantization

    def to_properties(self) -> dict[str, str]:
        """Strings to keep in a model file: each field as JSON under `ser_edge.<field>`."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        fields["spec"] = self.spec.to_dict()
        fields["standardization"] = self.standardization.to_dict()
        version = _VERSION
        for name, default in _defaults().items():
            if fields[name] == default:
                del fields[name]
            else:
                version = _VERSION_WITH_OPTIONAL_FIELDS
        fields["format_version"] = version
        return {
            f"{PREFIX}{name}": json.dumps(value, sort_keys=True)
            for name, value in sorted(fields.items())
        }

    @classmethod
    def from_properties(cls, properties: Mapping[str, str]) -> ModelMetadata:
        """The metadata of `to_properties`.

        Raises:
            ModelFileError: If there is none, it is damaged, or of a later version.
            FeatureSpecError: If it needs features that this version cannot compute.
        """
        own = {k.removeprefix(PREFIX): v for k, v in properties.items() if k.startswith(PREFIX)}
        if not own:
            raise ModelFileError(
                "it carries no ser-edge metadata: not a model of this project, or exported "
                "without `ser-export`"
            )
        try:
            fields: dict[str, Any] = {name: json.loads(value) for name, value in own.items()}
            version = fields.pop("format_version")
        except (ValueError, KeyError, RecursionError) as error:
            raise ModelFileError(f"its metadata is damaged: {error}") from error
        if version not in (_VERSION, _VERSION_WITH_OPTIONAL_FIELDS):
            raise ModelFileError(
                f"it has metadata version {version}; this ser-edge reads up to "
                f"{_VERSION_WITH_OPTIONAL_FIELDS}: update ser-edge, or export the model again"
            )
        fields = _defaults() | fields
        names = {field.name for field in dataclasses.fields(cls)}
        if set(fields) != names:
            differing = ", ".join(sorted(set(fields) ^ names))
            raise ModelFileError(f"its metadata is damaged: {differing} missing or unknown")
        fields["spec"] = FeatureSpec.from_dict(fields["spec"])
        fields["standardization"] = Standardization.from_dict(fields["standardization"])
        if not isinstance(fields["labels"], list):
            raise ModelFileError("its metadata is damaged: labels must be a list")
        fields["labels"] = tuple(fields["labels"])
        metadata = cls(**fields)
        metadata._check()
        return metadata

    def _check(self) -> None:
        if self.input not in INPUTS:
            raise ModelFileError(
                f"its input is {self.input!r}, which this version cannot give: {', '.join(INPUTS)}"
            )
        if self.graph_optimization not in GRAPH_OPTIMIZATIONS:
            raise ModelFileError(
                f"its metadata is damaged: graph_optimization is {self.graph_optimization!r}"
            )
        if type(self.threads) is not int or not 1 <= self.threads <= _MOST_THREADS:
            raise ModelFileError(f"its metadata is damaged: threads is {self.threads!r}")
        if self.crop not in CROPS:
            raise ModelFileError(f"its metadata is damaged: crop is {self.crop!r}")
        coefficients, frames = self.spec.shape
        shape = self.standardization.mean.shape
        if shape not in ((coefficients, 1), (coefficients, frames)):
            raise ModelFileError(f"its standardization has shape {shape}, not that of its features")
        if not self.labels or not all(isinstance(label, str) for label in self.labels):
            raise ModelFileError("its metadata is damaged: labels must be names")
        for name in ("temperature", "confidence_threshold", "test_accuracy"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0 <= value < 1e6:
                raise ModelFileError(f"its metadata is damaged: {name} is {value!r}")
        if self.temperature < _LOWEST_TEMPERATURE:
            raise ModelFileError(f"its metadata is damaged: temperature is {self.temperature!r}")


def _defaults() -> dict[str, Any]:
    """Of the fields that have one, by name."""
    return {
        field.name: field.default
        for field in dataclasses.fields(ModelMetadata)
        if field.default is not dataclasses.MISSING
    }
