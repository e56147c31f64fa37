"""One form for equal graphs: the same model gives the same bytes.

Converters name values from process-wide counters and order nodes by sets; neither means anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnx


def make_canonical(model: onnx.ModelProto) -> None:
    """Order nodes depth-first from the outputs, and name everything by that order.

    Inputs, outputs and metadata keep their names. What no output needs is dropped.

    Args:
        model: Changed in place; its graph holds no subgraphs that name outer values.
    """
    graph = model.graph
    nodes = _depth_first(graph)
    kept = {value.name for value in (*graph.input, *graph.output)}
    names: dict[str, str] = {}

    def renamed(name: str) -> str:
        if not name or name in kept:
            return name
        return names.setdefault(name, f"value{len(names)}")

    for number, node in enumerate(nodes):
        node.name = f"{node.op_type}{number}"
        for values in (node.input, node.output):
            for i, name in enumerate(values):
                values[i] = renamed(name)
        attributes = sorted(node.attribute, key=lambda attribute: attribute.name)
        _replace(node.attribute, attributes)
    number_of = {name: number for number, name in enumerate(names)}
    used = [tensor for tensor in graph.initializer if tensor.name in names]
    used.sort(key=lambda tensor: number_of[tensor.name])
    for tensor in used:
        tensor.name = names[tensor.name]
    _replace(graph.initializer, used)
    _replace(graph.node, nodes)
    del graph.value_info[:]
    graph.name, graph.doc_string = "ser-edge", ""


def _depth_first(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Nodes that the outputs need, each after what it needs; the order is that of the inputs."""
    maker = {output: node for node in graph.node for output in node.output}
    ordered: list[onnx.NodeProto] = []
    done: set[int] = set()
    stack = [(maker[value.name], False) for value in reversed(graph.output)]
    while stack:
        node, inputs_done = stack.pop()
        if id(node) in done:
            continue
        if inputs_done:
            done.add(id(node))
            ordered.append(node)
            continue
        stack.append((node, True))
        stack.extend((maker[name], False) for name in reversed(node.input) if name in maker)
    return ordered


def _replace(field: Any, values: Sequence[Any]) -> None:
    """Put other messages into a repeated field; copies, since the old ones go with it."""
    copies = [type(value).FromString(value.SerializeToString()) for value in values]
    del field[:]
    field.extend(copies)
