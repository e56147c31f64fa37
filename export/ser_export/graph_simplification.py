"""What a converter writes in many nodes, and ONNX Runtime computes in one or in none.

A small network is done in a millisecond, of which each node takes some microseconds, however
little it computes; after half a second of sleep, several times as many. Keras' layers for any shape
come out of tf2onnx with the sizes of their Reshapes computed at every inference, with two Reshapes
around each product over the last axis and one between a product and its bias, and with eleven nodes
for a LayerNormalization, which ONNX has as one since opset 17.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import helper
from onnx import numpy_helper

from ser_export.graph_shapes import inferred_shapes


def simplify(model: onnx.ModelProto) -> None:
    """Put fewer nodes for the same function; what no output needs any more stays.

    Args:
        model: Changed in place. Of its inputs the first dimension alone is free.
    """
    make_shapes_constant(model)
    merge_products(model)
    add_before_splitting(model)
    merge_layer_normalizations(model)


def make_shapes_constant(model: onnx.ModelProto) -> int:
    """Give a Reshape whose sizes are computed from its batch a constant for them.

    The sizes are computed for two batches. A single one that differs is left to the Reshape (-1),
    which finds it from the number of values: with the others constant there is no other solution.

    Args:
        model: Changed in place.

    Returns:
        How many Reshapes have constant sizes now that had not.
    """
    graph = model.graph
    constants = {tensor.name for tensor in graph.initializer}
    computed = [
        node for node in graph.node if node.op_type == "Reshape" and node.input[1] not in constants
    ]
    if not computed:
        return 0
    sizes = _values_for_batches(model, list(dict.fromkeys(node.input[1] for node in computed)))
    changed = 0
    for node in computed:
        of_two, of_three = sizes[node.input[1]]
        free = of_two != of_three
        if free.sum() > 1 or (of_two < 1).any():
            continue
        name = f"{node.output[0]}/sizes"
        graph.initializer.append(numpy_helper.from_array(np.where(free, -1, of_two), name))
        node.input[1] = name
        changed += 1
    return changed


def merge_products(model: onnx.ModelProto) -> int:
    """Put MatMul alone for Reshape, MatMul with a constant, Reshape where it is over the last axis.

    Args:
        model: Changed in place.

    Returns:
        How many were merged.
    """
    graph = _Graph(model)
    merged = 0
    for node in model.graph.node:
        product = graph.only_feeding(node, "Reshape", "MatMul")
        rows = product and graph.only_feeding(product, "MatMul", "Reshape")
        if not product or not rows or product.input[1] not in graph.constants:
            continue
        before, after = graph.shapes.get(rows.input[0]), graph.shapes.get(node.output[0])
        if not before or not after or before[1:-1] != after[1:-1]:
            continue
        if len(before) < 3 or before[-1] != graph.constants[product.input[1]].dims[0]:
            continue
        product.input[0], product.output[0] = rows.input[0], node.output[0]
        node.output[0] = f"{node.output[0]}/merged"  # no one asks for it
        node.input[0] = product.output[0]
        merged += 1
    return merged


def add_before_splitting(model: onnx.ModelProto) -> int:
    """Add the bias of attention's heads where a product ends, not after its last axis is split.

    ONNX Runtime computes a product and its bias in one then.

    Args:
        model: Changed in place.

    Returns:
        How many additions changed places with a Reshape.
    """
    graph = _Graph(model)
    changed = 0
    for node in model.graph.node:
        split = graph.only_feeding(node, "Add", "Reshape")
        bias = graph.constant(node.input[1]) if split else None
        if bias is None:
            continue
        whole, parts = graph.shapes.get(split.input[0]), graph.shapes.get(node.output[0])
        if not whole or not parts or bias.size != whole[-1]:
            continue
        if list(bias.shape) != parts[-bias.ndim :] or whole[1:-1] != parts[1 : -bias.ndim]:
            continue
        sizes, end = split.input[1], node.output[0]
        flat, added = f"{end}/bias", f"{end}/added"
        model.graph.initializer.append(numpy_helper.from_array(bias.reshape(-1), flat))
        split.CopyFrom(helper.make_node("Add", [split.input[0], flat], [added]))
        node.CopyFrom(helper.make_node("Reshape", [added, sizes], [end]))
        changed += 1
    return changed


def merge_layer_normalizations(model: onnx.ModelProto) -> int:
    """Put LayerNormalization for what tf2onnx writes for Keras' layer of that name.

    Args:
        model: Changed in place; opset 17 or later.

    Returns:
        How many were merged.
    """
    graph = _Graph(model)
    found = [layer for node in model.graph.node if (layer := _layer_normalization(graph, node))]
    for layer in found:
        names = [f"{layer.end.output[0]}/{name}" for name in ("scale", "bias")]
        for name, value in zip(names, (layer.scale, layer.bias), strict=True):
            model.graph.initializer.append(numpy_helper.from_array(value, name))
        node = helper.make_node(
            "LayerNormalization",
            [layer.source, *names],
            [layer.end.output[0]],
            axis=-1,
            epsilon=layer.epsilon,
        )
        layer.end.CopyFrom(node)
    return len(found)


class _Graph:
    """Lookup in a model's graph, as it was when this was made."""

    def __init__(self, model: onnx.ModelProto) -> None:
        graph = model.graph
        self.constants = {tensor.name: tensor for tensor in graph.initializer}
        self._maker = {output: node for node in graph.node for output in node.output}
        self._uses = [name for node in graph.node for name in node.input]
        self.shapes = inferred_shapes(model)

    def made_by(self, name: str, kind: str) -> onnx.NodeProto | None:
        """The node that makes a value, if it is of a kind."""
        node = self._maker.get(name)
        return node if node is not None and node.op_type == kind else None

    def only_feeding(self, node: onnx.NodeProto, kind: str, feeding: str) -> onnx.NodeProto | None:
        """The node of kind `feeding` that feeds one of `kind` its first input, and no other."""
        if node.op_type != kind or self._uses.count(node.input[0]) != 1:
            return None
        return self.made_by(node.input[0], feeding)

    def fed_by(self, node: onnx.NodeProto, kind: str) -> Iterator[tuple[onnx.NodeProto, str]]:
        """Nodes of a kind that make one of a node's two inputs, each with the name of the other."""
        for name, other in zip(node.input, reversed(node.input), strict=True):
            if maker := self.made_by(name, kind):
                yield maker, other

    def constant(self, name: str) -> NDArray[np.float32] | None:
        """The value of a constant."""
        tensor = self.constants.get(name)
        return None if tensor is None else numpy_helper.to_array(tensor)


class _LayerNormalization(NamedTuple):
    """Of `source`, over its last axis; its result is that of the node `end`."""

    source: str
    end: onnx.NodeProto
    scale: NDArray[np.float32]
    bias: NDArray[np.float32]
    epsilon: float


def _layer_normalization(graph: _Graph, end: onnx.NodeProto) -> _LayerNormalization | None:
    """The one that ends in a node: x s + (bias - m s), s = scale / sqrt(variance + epsilon)."""
    if end.op_type != "Add":
        return None
    for scaled, moved_name in graph.fed_by(end, "Mul"):
        moved = graph.made_by(moved_name, "Add")
        for product, bias_name in graph.fed_by(moved, "Mul") if moved else ():
            for negative, factor in graph.fed_by(product, "Neg"):
                mean = negative.input[0]
                source = _mean_of(graph, mean)
                if source is None or sorted(scaled.input) != sorted([source, factor]):
                    continue
                scale, epsilon = _scale_and_epsilon(graph, factor, source, mean)
                bias = graph.constant(bias_name)
                width = graph.shapes[source][-1]
                if scale is None or bias is None or not scale.size == bias.size == width:
                    continue
                return _LayerNormalization(
                    source, end, scale.reshape(-1), bias.reshape(-1), epsilon
                )
    return None


def _scale_and_epsilon(
    graph: _Graph, factor: str, source: str, mean: str
) -> tuple[NDArray[np.float32] | None, float]:
    """Of scale / sqrt(variance + epsilon); no scale if the value is anything else."""
    multiply = graph.made_by(factor, "Mul")
    for inverse, scale in graph.fed_by(multiply, "Reciprocal") if multiply else ():
        root = graph.made_by(inverse.input[0], "Sqrt")
        add = root and graph.made_by(root.input[0], "Add")
        for name, other in zip(add.input, reversed(add.input), strict=True) if add else ():
            epsilon = graph.constant(other)
            squares = _mean_of(graph, name)
            square = squares and graph.made_by(squares, "Mul")
            if epsilon is None or epsilon.size != 1 or not square:
                continue
            apart = graph.made_by(square.input[0], "Sub")
            if square.input[0] == square.input[1] and apart and [*apart.input] == [source, mean]:
                return graph.constant(scale), float(epsilon.reshape(()))
    return None, 0.0


def _mean_of(graph: _Graph, name: str) -> str | None:
    """What a value is the mean of, over the last of three axes."""
    pool = graph.made_by(name, "GlobalAveragePool")
    return pool.input[0] if pool and len(graph.shapes.get(pool.input[0], ())) == 3 else None


def _values_for_batches(
    model: onnx.ModelProto, names: list[str]
) -> dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Values of a graph for batches of two and three zeros."""
    asked = copy.deepcopy(model)
    del asked.graph.output[:]
    asked.graph.output.extend(
        helper.make_tensor_value_info(name, onnx.TensorProto.INT64, None) for name in names
    )
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        asked.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    results = []
    for batch in (2, 3):
        zeros = {
            value.name: np.zeros((batch, *value.shape[1:]), np.float32)
            for value in session.get_inputs()
        }
        results.append(session.run(names, zeros))
    return dict(zip(names, zip(*results, strict=True), strict=True))
