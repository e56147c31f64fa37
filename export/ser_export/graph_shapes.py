"""Shapes of the values of an ONNX graph."""

from __future__ import annotations

import onnx


def inferred_shapes(model: onnx.ModelProto) -> dict[str, list[int]]:
    """Of every value that has a known number of dimensions; 0 for those that are free."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    return {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.value_info, *graph.output)
    }
