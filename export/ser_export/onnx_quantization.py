"""int8 forms of an ONNX graph.

Dynamic quantization of convolutions (ConvInteger) is 2 to 5 times slower than float32, so that
none of the forms has it.

Weights that are multiplied as integers have 7 bits. Without VNNI an x86 processor adds two products
of 8 bits in 16, and what is more than that is cut off without a word: with 8 bits the answers would
depend on the processor (`parallel` lost two points of accuracy on such a one). 2 * 255 * 64 fits.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Iterator
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto
from onnx import helper
from onnx import numpy_helper
from onnxruntime import quantization
from onnxruntime.quantization import CalibrationDataReader
from onnxruntime.quantization import QuantFormat
from onnxruntime.quantization import QuantType

from ser_export.canonical_graph import make_canonical
from ser_export.graph_shapes import inferred_shapes

_FEWEST_WEIGHTS = 256
"""Below it, the scales and nodes of a tensor take more than its weights in int8 save."""

_FEWEST_MULTIPLICATIONS = 100_000
"""Below it, quantizing what a matrix product takes and gives costs more time than int8 saves: the
last layers, and the squeezed channels of `compact`."""


class _Windows(CalibrationDataReader):
    """Calibration inputs, one window at a time."""

    def __init__(self, name: str, inputs: NDArray[np.float32]) -> None:
        self._feeds: Iterator[dict[str, NDArray[np.float32]]] = (
            {name: window[None]} for window in inputs
        )

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """The next window; None after the last."""
        return next(self._feeds, None)


def quantize_static(
    graph: onnx.ModelProto, operators: Sequence[str], calibration: NDArray[np.float32]
) -> onnx.ModelProto:
    """Operators in int8, weights per channel, ranges of activations as calibration shows them.

    A convolution of one or two channels, the first, stays in float: it has little to multiply, and
    its input, features, the widest range of all (`cnn` in int8 takes 0.87 of the time of fp32 so,
    and took 1.6 with that convolution in int8: `export/results/`, now and before). So do small
    matrix products, and pooling by the average, which in int8 takes ONNX Runtime several times as
    long.

    Args:
        graph: Stays as it is.
        operators: Such as `Conv`; a product of two activations stays in float.
        calibration: Inputs of the graph: float32 [windows, ...].
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        quantization.quantize_static(
            copy.deepcopy(graph),
            path,
            _Windows(graph.graph.input[0].name, calibration),
            quant_format=QuantFormat.QDQ,
            # After one of them, ReLU is the zero point of its range, and needs no node.
            op_types_to_quantize=[*operators, "Relu"],
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=_convolutions_of_features(graph) + _small_products(graph),
            extra_options={"MatMulConstBOnly": True},
        )
        quantized = onnx.load(path)
        _average_in_float(quantized.graph)
        return _canonical(quantized)


def quantize_dynamic(
    graph: onnx.ModelProto, operators: Sequence[str], small: bool = True
) -> onnx.ModelProto:
    """Operators in int8, weights per channel, activations by the range of each input.

    Args:
        graph: Stays as it is.
        operators: `MatMul`, `Gemm`; a product of two activations stays in float.
        small: Whether those that take few multiplications, too: they are faster in float.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        quantization.quantize_dynamic(
            copy.deepcopy(graph),
            path,
            op_types_to_quantize=list(operators),
            per_channel=True,
            reduce_range=True,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=[] if small else _small_products(graph),
            extra_options={"MatMulConstBOnly": True},
        )
        return _canonical(onnx.load(path))


def quantize_weights(graph: onnx.ModelProto, operators: Sequence[str]) -> onnx.ModelProto:
    """Weights of operators kept as int8 with a scale for each output channel; all else in float.

    Each becomes `Cast(int8 -> float32) * scale`, which ONNX Runtime computes once, when it loads
    the file. It does not do so with DequantizeLinear, which costs a third more time a window.

    Args:
        graph: Stays as it is.
        operators: `Conv`, `MatMul`, `Gemm`.
    """
    model = copy.deepcopy(graph)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes: list[onnx.NodeProto] = []
    done: set[str] = set()
    for node in model.graph.node:
        tensor = constants.get(node.input[1]) if node.op_type in operators else None
        if tensor is None or tensor.name in done or not _worth_it(tensor):
            continue
        done.add(tensor.name)
        weights = numpy_helper.to_array(tensor)
        whole, scale = _symmetric_int8(weights, _channel_axis(node, weights.ndim))
        name = tensor.name
        model.graph.initializer.remove(tensor)
        model.graph.initializer.extend(
            [
                numpy_helper.from_array(whole, f"{name}/int8"),
                numpy_helper.from_array(scale, f"{name}/scale"),
            ]
        )
        nodes.append(
            helper.make_node("Cast", [f"{name}/int8"], [f"{name}/float"], to=TensorProto.FLOAT)
        )
        nodes.append(helper.make_node("Mul", [f"{name}/float", f"{name}/scale"], [name]))
    for node in reversed(nodes):
        model.graph.node.insert(0, node)
    return _canonical(model)


def _convolutions_of_features(graph: onnx.ModelProto) -> list[str]:
    """Names of the nodes; features have a channel, or two: as they are, and below the loudest."""
    channels = {tensor.name: tensor.dims[1:2] for tensor in graph.graph.initializer}
    return [
        node.name
        for node in graph.graph.node
        if node.op_type == "Conv" and channels.get(node.input[1]) in ([1], [2])
    ]


def _small_products(graph: onnx.ModelProto) -> list[str]:
    """Names of products that take few multiplications a window; none of unknown shape."""
    weights = {tensor.name: int(np.prod(tensor.dims)) for tensor in graph.graph.initializer}
    shapes = inferred_shapes(graph)
    small = []
    for node in graph.graph.node:
        if node.op_type in ("MatMul", "Gemm") and node.input[1] in weights:
            rows = int(np.prod(shapes.get(node.input[0], [0, 0])[1:-1]))
            if 0 < rows * weights[node.input[1]] < _FEWEST_MULTIPLICATIONS:
                small.append(node.name)
    return small


def _average_in_float(graph: onnx.GraphProto) -> None:
    """Let AveragePool have the values that were quantized for others, not what came out of that."""
    maker = {output: node for node in graph.node for output in node.output}
    for node in graph.node:
        if node.op_type != "AveragePool":
            continue
        back = maker.get(node.input[0])
        if back is not None and back.op_type == "DequantizeLinear":
            node.input[0] = maker[back.input[0]].input[0]


def _worth_it(tensor: onnx.TensorProto) -> bool:
    return tensor.data_type == TensorProto.FLOAT and np.prod(tensor.dims) >= _FEWEST_WEIGHTS


def _channel_axis(node: onnx.NodeProto, dimensions: int) -> int:
    """Axis of a node's weights that has an output channel each."""
    if node.op_type == "Conv":
        return 0
    transposed = any(item.name == "transB" and item.i for item in node.attribute)
    return dimensions - 2 if transposed else dimensions - 1


def _symmetric_int8(
    weights: NDArray[np.float32], axis: int
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Weights as int8 in -127 to 127, and the scale that each is to be multiplied by."""
    others = tuple(other for other in range(weights.ndim) if other != axis)
    scale = (np.abs(weights).max(axis=others, keepdims=True) / 127).astype(np.float32)
    scale[scale == 0] = 1.0
    return np.clip(np.rint(weights / scale), -127, 127).astype(np.int8), scale


def _canonical(model: onnx.ModelProto) -> onnx.ModelProto:
    """One form, whichever version of the quantizer made it."""
    make_canonical(model)
    model.producer_name, model.producer_version = "ser-edge", ""
    return model
