"""Normalization over time, in the form that ONNX Runtime computes fastest.

BatchNormalization over time cannot be folded into the convolution before it. Converters make it a
multiplication and an addition in the other memory layout, with the transpositions to it and back.
ONNX Runtime is a quarter faster with its own BatchNormalization, over time as the channel, and with
the ReLU after the pooling, where there is a quarter, or a sixteenth, of the values:
`benchmarks/README.md`. Maximum and ReLU change places without a difference in any bit.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper
from onnx import numpy_helper

from ser_export.graph_shapes import inferred_shapes

_TO_CHANNELS_LAST, _TO_CHANNELS_FIRST = [0, 2, 3, 1], [0, 3, 1, 2]


class _Chain(NamedTuple):
    """Transpose, Mul, Add, Relu, Transpose, MaxPool, each fed by the one before alone."""

    nodes: list[onnx.NodeProto]
    source: str
    scale: NDArray[np.float32]
    bias: NDArray[np.float32]


def speed_up_time_normalization(model: onnx.ModelProto) -> int:
    """Rewrite every normalization over time that is followed by ReLU and max-pooling.

    Args:
        model: Changed in place; shapes are inferred where they are missing.

    Returns:
        How many were rewritten.
    """
    graph = model.graph
    shapes = inferred_shapes(model)
    chains = [chain for node in graph.node if (chain := _chain(graph, node)) is not None]
    for chain in chains:
        nodes, tensors = _rewritten(chain, shapes[chain.source][1:])
        place = list(graph.node).index(chain.nodes[-1])
        for offset, node in enumerate(nodes):
            graph.node.insert(place + offset, node)
        for node in chain.nodes:
            graph.node.remove(node)
        graph.initializer.extend(tensors)
    return len(chains)


def _chain(graph: onnx.GraphProto, pool: onnx.NodeProto) -> _Chain | None:
    """The chain that ends in a node; None if there is none."""
    maker = {output: node for node in graph.node for output in node.output}
    uses = [name for node in graph.node for name in node.input]
    constants = {tensor.name: tensor for tensor in graph.initializer}
    nodes, node = [pool], pool
    for kind in ("Transpose", "Relu", "Add", "Mul", "Transpose"):
        feeding = [maker[name] for name in node.input if name in maker]
        if len(feeding) != 1 or feeding[0].op_type != kind or uses.count(feeding[0].output[0]) > 1:
            return None
        node = feeding[0]
        nodes.append(node)
    nodes.reverse()
    to_last, multiply, add, _, to_first, _ = nodes
    if pool.op_type != "MaxPool" or len(pool.output) != 1:
        return None
    if (_order(to_last), _order(to_first)) != (_TO_CHANNELS_LAST, _TO_CHANNELS_FIRST):
        return None
    values = [
        numpy_helper.to_array(constants[name])
        for part in (multiply, add)
        for name in part.input
        if name in constants
    ]
    if len(values) != 2 or any(not _over_time(value) for value in values):
        return None
    scale, bias = (value.reshape(-1).astype(np.float32) for value in values)
    return _Chain(nodes, to_last.input[0], scale, bias)


def _over_time(value: NDArray[np.float32]) -> bool:
    """Whether a constant is one value for each time of [clips, time, coefficients, channels]."""
    return value.ndim >= 3 and value.shape[-3] == value.size > 1


def _order(transpose: onnx.NodeProto) -> list[int]:
    return list(transpose.attribute[0].ints)


def _rewritten(
    chain: _Chain, shape: list[int]
) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """New nodes and constants for a chain whose source is [clips, channels, time, coefficients]."""
    channels, time, coefficients = shape
    pool, name = chain.nodes[-1], chain.source
    constants = {
        "rows": np.array([-1, time, coefficients], np.int64),
        "image": np.array([-1, channels, time, coefficients], np.int64),
        "scale": chain.scale,
        "bias": chain.bias,
        "mean": np.zeros(time, np.float32),
        "variance": np.ones(time, np.float32),
    }
    tensors = [numpy_helper.from_array(value, f"{name}/{key}") for key, value in constants.items()]
    pooled = onnx.NodeProto()
    pooled.CopyFrom(pool)
    pooled.input[0], pooled.output[0] = f"{name}/normal", f"{name}/pooled"
    nodes = [
        helper.make_node("Reshape", [name, f"{name}/rows"], [f"{name}/by_time"]),
        helper.make_node(
            "BatchNormalization",
            [
                f"{name}/by_time",
                *(f"{name}/{key}" for key in ("scale", "bias", "mean", "variance")),
            ],
            [f"{name}/normalized"],
            epsilon=0.0,
        ),
        helper.make_node("Reshape", [f"{name}/normalized", f"{name}/image"], [f"{name}/normal"]),
        pooled,
        helper.make_node("Relu", [f"{name}/pooled"], [pool.output[0]]),
    ]
    return nodes, tensors
