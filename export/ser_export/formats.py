"""The formats: one row each, which the command line, the documents and the tests read.

Adding a format is adding a row, and a function in `conversions.py`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ser_export import conversions
from ser_runtime.errors import UsageError

if TYPE_CHECKING:
    from ser_export.source import Source

_FEATURES = ("features", "compact")
_KERAS = (*_FEATURES, "vgg16")
_ALL = (*_KERAS, "wav2vec2")


@dataclass(frozen=True)
class Format:
    """A kind of file that a model can be exported to.

    Attributes:
        id: Name on the command line.
        title: A few words for tables.
        purpose: What it is for, in one line.
        suffix: Of the file: `.onnx` or `.tflite`.
        precision: `fp32`, `fp16` or `int8`: which floors hold, and what `--fp16`, `--int8` mean.
        families: Names in `ser_train.families` whose models have it.
        convert: Makes the content of the file, without metadata.
        from_waveform: Whether it takes audio where the model takes features.
        extra: Of `ser-edge`, that a device needs to run it; empty for none.
    """

    id: str
    title: str
    purpose: str
    suffix: str
    precision: str
    families: tuple[str, ...]
    convert: Callable[[Source], bytes]
    from_waveform: bool = False
    extra: str = ""

    @property
    def runtime(self) -> str:
        """`onnx` or `litert`."""
        return "onnx" if self.suffix == ".onnx" else "litert"

    def file_name(self, model: str) -> str:
        """`cnn.onnx` for the plain one, `cnn-int8-weights.onnx` or `cnn-litert-fp16.tflite`."""
        kind = "" if self.id == BASELINE else f"-{self.id.removeprefix('onnx-')}"
        return f"{model}{kind}{self.suffix}"


BASELINE = "onnx-fp32"
"""What the others are measured against."""

FORMATS: dict[str, Format] = {
    row.id: row
    for row in (
        Format(
            id=BASELINE,
            title="ONNX fp32",
            purpose="exact, and the measure of the others; runs with the base install",
            suffix=".onnx",
            precision="fp32",
            families=_ALL,
            convert=conversions.onnx_fp32,
        ),
        Format(
            id="onnx-int8-weights",
            title="ONNX int8 weights",
            purpose="a quarter of the size at the speed of fp32: weights become float when loaded",
            suffix=".onnx",
            precision="int8",
            families=_KERAS,
            convert=conversions.onnx_int8_weights,
        ),
        Format(
            id="onnx-int8-dynamic",
            title="ONNX int8 dynamic",
            purpose="matrix products in int8, convolutions in float: for Transformers",
            suffix=".onnx",
            precision="int8",
            families=_ALL,
            convert=conversions.onnx_int8_dynamic,
        ),
        Format(
            id="onnx-int8-weights-dynamic",
            title="ONNX int8 dynamic + weights",
            purpose="as onnx-int8-dynamic, with the weights that it leaves in float kept as int8",
            suffix=".onnx",
            precision="int8",
            families=_KERAS,
            convert=conversions.onnx_int8_weights_dynamic,
        ),
        Format(
            id="onnx-int8-static",
            title="ONNX int8 static",
            purpose="convolutions and matrix products in int8 (QDQ, per channel): for large CNNs",
            suffix=".onnx",
            precision="int8",
            families=_KERAS,
            convert=conversions.onnx_int8_static,
        ),
        Format(
            id="onnx-int8-static-dynamic",
            title="ONNX int8 static + dynamic",
            purpose="convolutions static, matrix products dynamic: for CNNs with Transformers",
            suffix=".onnx",
            precision="int8",
            families=_KERAS,
            convert=conversions.onnx_int8_static_dynamic,
        ),
        Format(
            id="onnx-waveform",
            title="ONNX fp32, waveform in",
            purpose="audio in, probabilities out: for browsers, C and phones without our code",
            suffix=".onnx",
            precision="fp32",
            families=_FEATURES,
            convert=conversions.onnx_waveform,
            from_waveform=True,
        ),
        Format(
            id="litert-fp32",
            title="LiteRT fp32",
            purpose="exact, for devices that have LiteRT (TensorFlow Lite)",
            suffix=".tflite",
            precision="fp32",
            families=_KERAS,
            convert=conversions.litert_fp32,
            extra="litert",
        ),
        Format(
            id="litert-fp16",
            title="LiteRT fp16",
            purpose="half the size at the speed of fp32; computes in fp16 on GPUs that do",
            suffix=".tflite",
            precision="fp16",
            families=_KERAS,
            convert=conversions.litert_fp16,
            extra="litert",
        ),
        Format(
            id="litert-dynamic",
            title="LiteRT int8 dynamic",
            purpose="int8 weights, activations quantized as they come: fastest on most CPUs",
            suffix=".tflite",
            precision="int8",
            families=_KERAS,
            convert=conversions.litert_dynamic,
            extra="litert",
        ),
        Format(
            id="litert-int8",
            title="LiteRT int8 full",
            purpose="integers throughout, calibrated: for microcontrollers and accelerators",
            suffix=".tflite",
            precision="int8",
            families=_KERAS,
            convert=conversions.litert_int8,
            extra="litert",
        ),
    )
}


def find_format(name: str) -> Format:
    """The row of a name.

    Raises:
        UsageError: If there is none; it names the nearest ones.
    """
    if name in FORMATS:
        return FORMATS[name]
    near = difflib.get_close_matches(name, FORMATS, n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(FORMATS)}"
    raise UsageError(f"no format {name!r}; {hint}")


def formats_of(family: str) -> list[Format]:
    """The formats that a family's models have, in the table's order."""
    return [row for row in FORMATS.values() if family in row.families]


def formats_table() -> str:
    """The table as Markdown."""
    lines = ["| format | file | what it is for | models |", "| --- | --- | --- | --- |"]
    for row in FORMATS.values():
        models = "all" if row.families == _ALL else ", ".join(row.families)
        lines.append(f"| `{row.id}` | `{row.file_name('MODEL')}` | {row.purpose} | {models} |")
    return "\n".join(lines) + "\n"
