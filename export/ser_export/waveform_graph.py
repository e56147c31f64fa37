"""Features inside the graph: from a body that takes features to a file that takes the waveform.

For hosts that have ONNX Runtime and none of our code: browsers, C, phones. On the device features
stay in numpy (`ser_runtime.features`), which reuses them from window to window.

The Fourier transform is ONNX's own `DFT`, which ONNX Runtime, onnxruntime-web and onnxruntime-node
all have; opset 17 is the first one with it, and that of the bodies. At `n_fft` 2048 a product with
a matrix of sines takes half as long again, and 17 MB. Where the length is no power of two that is
taken after all: ONNX Runtime transforms those ten times slower, and is off by a tenth of a dB
(`benchmarks/waveform_graph.py`).

All is float32, where `ser_runtime.feature_kernels` takes float64 for the transform and the DCT. As
there, the DCT sees values measured from the clip threshold: coefficient 0 of quiet windows keeps
more of its digits so.
"""

from __future__ import annotations

import math

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import compose
from onnx import helper
from onnx import numpy_helper

from ser_export.canonical_graph import make_canonical
from ser_runtime.feature_kernels import mel_filters_of
from ser_runtime.feature_spec import FeatureSpec
from ser_runtime.filterbank import analysis_window
from ser_runtime.filterbank import dct_matrix
from ser_runtime.standardization import Standardization

INPUT, OUTPUT = "waveform", "probabilities"
LEAST_OPSET = 17
"""The first one with `DFT`."""

_MEL_GROUPS = 8
_REDUCE_MAX_AXES_AS_INPUT, _DFT_AXIS_AS_INPUT = 18, 20


def add_features(
    graph: onnx.ModelProto, spec: FeatureSpec, standardization: Standardization
) -> onnx.ModelProto:
    """A model that computes its features itself.

    The metadata's temperature stays with the host, as in a file that takes features.

    Args:
        graph: Takes float32 [batch, coefficients, frames], standardized; one output.
        spec: Of the features.
        standardization: Of the features.

    Returns:
        A graph with the input `waveform`, float32 [batch, window_samples] in [-1, 1], and the
        output `probabilities`, without metadata. The same arguments give the same bytes.

    Raises:
        ValueError: If `graph` takes another input, or its opset is older than `LEAST_OPSET`.
    """
    opset = next(entry.version for entry in graph.opset_import if not entry.domain)
    if opset < LEAST_OPSET:
        raise ValueError(f"graph has opset {opset}; features in a graph need {LEAST_OPSET}")
    if len(graph.graph.input) != 1 or _shape(graph.graph.input[0])[1:] != spec.shape:
        shapes = [_shape(value) for value in graph.graph.input]
        raise ValueError(f"graph takes {shapes}, not the features {spec.shape} of its spec")
    features = _Nodes(opset)
    result = _add_standardization(features, _add_spectrogram(features, spec), standardization)
    return _merged(features, result, graph, spec.window_samples)


class _Nodes:
    """Nodes in a row, and their constants; values are named by what makes them."""

    def __init__(self, opset: int) -> None:
        self.opset = opset
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, kind: str, *inputs: str | NDArray[np.generic], **attributes: int) -> str:
        """Add a node; arrays among its inputs become constants. Returns the name of its output."""
        names = [self._constant(value) if not isinstance(value, str) else value for value in inputs]
        output = f"features/{kind}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, names, [output], **attributes))
        return output

    def _constant(self, value: NDArray[np.generic]) -> str:
        name = f"features/constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.array(value, order="C"), name))
        return name


def _add_spectrogram(nodes: _Nodes, spec: FeatureSpec) -> str:
    """From `waveform` to features that are not standardized: [batch, coefficients, frames]."""
    power = _add_power(nodes, _add_frames(nodes, spec), spec)
    log_mel = _add_log(nodes, _add_mel(nodes, power, spec), spec)
    threshold = None
    if spec.top_db is not None:
        threshold = nodes.add("Sub", _add_window_maximum(nodes, log_mel), _float(spec.top_db))
    if spec.n_mfcc is None:
        clipped = log_mel if threshold is None else nodes.add("Max", log_mel, threshold)
        return nodes.add("Transpose", clipped, perm=[0, 2, 1])
    if threshold is None:
        return _add_dct(nodes, log_mel, spec)
    above = nodes.add("Relu", nodes.add("Sub", log_mel, threshold))
    # A constant has no coefficient but the first: this one.
    first = np.zeros((spec.n_mfcc, 1), np.float32)
    first[0] = math.sqrt(spec.n_mels)
    return nodes.add("Add", _add_dct(nodes, above, spec), nodes.add("Mul", threshold, first))


def _add_frames(nodes: _Nodes, spec: FeatureSpec) -> str:
    """Frames that overlap, times the analysis window: [batch, frames, win_length, 1].

    They are gathered from blocks as long as possible, so that few indices are in the file. The
    zeros that fill a frame up to `n_fft` come last: where they are changes the phase alone.
    """
    before = (spec.n_fft - spec.win_length) // 2
    reach = spec.n_fft // 2 - before
    block = math.gcd(spec.hop, spec.win_length)
    last_end = (spec.frames - 1) * spec.hop + spec.win_length
    total = -(-max(last_end, reach + spec.window_samples) // block) * block
    pads = np.array([0, reach, 0, total - reach - spec.window_samples])
    padded = nodes.add("Pad", INPUT, pads)
    blocks = nodes.add("Reshape", padded, np.array([0, total // block, block]))
    first = np.arange(spec.frames)[:, None] * (spec.hop // block)
    overlapping = nodes.add("Gather", blocks, first + np.arange(spec.win_length // block), axis=1)
    frames = nodes.add("Reshape", overlapping, np.array([0, spec.frames, spec.win_length, 1]))
    window = analysis_window(spec.window, spec.win_length, spec.win_length)
    return nodes.add("Mul", frames, window.astype(np.float32)[:, None])


def _add_power(nodes: _Nodes, frames: str, spec: FeatureSpec) -> str:
    """Squared magnitudes: [batch, frames, bins]."""
    by = _add_transform if _is_power_of_two(spec.n_fft) else _add_sines
    spectrum = by(nodes, frames, spec)
    squares = nodes.add("Mul", spectrum, spectrum)
    return nodes.add("ReduceSum", squares, np.array([3]), keepdims=0)


def _is_power_of_two(count: int) -> bool:
    return count & (count - 1) == 0


def _add_transform(nodes: _Nodes, frames: str, spec: FeatureSpec) -> str:
    """Real and imaginary parts by ONNX's own transform: [batch, frames, bins, 2]."""
    length = np.array(spec.n_fft)
    if nodes.opset >= _DFT_AXIS_AS_INPUT:
        return nodes.add("DFT", frames, length, np.array(2), onesided=1)
    return nodes.add("DFT", frames, length, axis=2, onesided=1)


def _add_sines(nodes: _Nodes, frames: str, spec: FeatureSpec) -> str:
    """As `_add_transform`, by a product with cosines and sines."""
    bins = spec.n_fft // 2 + 1
    angles = 2 * np.pi / spec.n_fft * np.outer(np.arange(spec.win_length), np.arange(bins))
    waves = np.stack([np.cos(angles), np.sin(angles)], axis=2).astype(np.float32)
    rows = nodes.add("Reshape", frames, np.array([0, spec.frames, spec.win_length]))
    product = nodes.add("MatMul", rows, waves.reshape(spec.win_length, 2 * bins))
    return nodes.add("Reshape", product, np.array([0, spec.frames, bins, 2]))


def _add_mel(nodes: _Nodes, power: str, spec: FeatureSpec) -> str:
    """Mel bands: [batch, frames, n_mels]; in groups that skip most of the filters' zeros."""
    filters = mel_filters_of(spec)
    groups = []
    for bands in np.array_split(filters, min(_MEL_GROUPS, spec.n_mels)):
        used = np.flatnonzero(bands.any(axis=0))
        low, high = (int(used[0]), int(used[-1]) + 1) if len(used) else (0, 1)
        part = nodes.add("Slice", power, np.array([low]), np.array([high]), np.array([2]))
        groups.append(nodes.add("MatMul", part, bands[:, low:high].T))
    return nodes.add("Concat", *groups, axis=2)


def _add_log(nodes: _Nodes, mel: str, spec: FeatureSpec) -> str:
    floor = _float(spec.floor)
    if spec.log == "ln":
        return nodes.add("Log", nodes.add("Add", mel, floor))
    decibels = _float(10 / math.log(10))
    return nodes.add("Mul", nodes.add("Log", nodes.add("Max", mel, floor)), decibels)


def _add_window_maximum(nodes: _Nodes, log_mel: str) -> str:
    """[batch, 1, 1]."""
    if nodes.opset >= _REDUCE_MAX_AXES_AS_INPUT:
        return nodes.add("ReduceMax", log_mel, np.array([1, 2]), keepdims=1)
    return nodes.add("ReduceMax", log_mel, axes=[1, 2], keepdims=1)


def _add_dct(nodes: _Nodes, values: str, spec: FeatureSpec) -> str:
    """From [batch, frames, n_mels] to [batch, n_mfcc, frames]."""
    assert spec.n_mfcc is not None
    matrix = dct_matrix(spec.n_mfcc, spec.n_mels).T.astype(np.float32)
    return nodes.add("Transpose", nodes.add("MatMul", values, matrix), perm=[0, 2, 1])


def _add_standardization(nodes: _Nodes, features: str, standardization: Standardization) -> str:
    """Nothing where there is nothing to do, as for networks that take features as they are."""
    mean, deviation = standardization.mean, standardization.deviation
    if mean.any():
        features = nodes.add("Sub", features, mean)
    if (deviation != 1).any():
        features = nodes.add("Div", features, deviation)
    return features


def _merged(features: _Nodes, result: str, body: onnx.ModelProto, samples: int) -> onnx.ModelProto:
    """One graph of both; the value `result` is the body's input."""
    model = compose.add_prefix(body, "body/")
    graph = model.graph
    renamed = {graph.input[0].name: result, graph.output[0].name: OUTPUT}
    for node in graph.node:
        for values in (node.input, node.output):
            for i, name in enumerate(values):
                values[i] = renamed.get(name, name)
    own = list(graph.node)
    del graph.node[:], graph.input[:], model.metadata_props[:]
    graph.node.extend(features.nodes + own)
    graph.initializer.extend(features.constants)
    kind = onnx.TensorProto.FLOAT
    graph.input.append(helper.make_tensor_value_info(INPUT, kind, ["batch", samples]))
    graph.output[0].name = OUTPUT
    make_canonical(model)
    return model


def _shape(value: onnx.ValueInfoProto) -> tuple[int | None, ...]:
    """None where a dimension is free."""
    return tuple(dim.dim_value or None for dim in value.type.tensor_type.shape.dim)


def _float(value: float) -> NDArray[np.float32]:
    return np.array(value, np.float32)
