"""Equal graphs get equal bytes, and compute what they did."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
from conftest import made_up_graph
from onnx import TensorProto
from onnx import helper

from ser_export.canonical_graph import make_canonical


def disguised() -> onnx.ModelProto:
    """`made_up_graph((4, 3))` with other names, an unused node and an unused weight."""
    model = made_up_graph((4, 3))
    for node in list(model.graph.node):
        node.name = f"counter_{node.op_type}"
        for values in (node.input, node.output):
            for i, name in enumerate(values):
                if name not in ("features", "probabilities"):
                    values[i] = f"other_{name}"
    model.graph.initializer[0].name = "other_weights"
    model.graph.node.append(helper.make_node("Relu", ["features"], ["unused"]))
    model.graph.initializer.append(helper.make_tensor("spare", TensorProto.FLOAT, [1], [0.0]))
    model.graph.doc_string = "made at noon"
    return model


def outputs(model: onnx.ModelProto) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString())
    features = np.random.default_rng(0).standard_normal((5, 4, 3), np.float32)
    return session.run(None, {"features": features})[0]


def test_names_and_leftovers_make_no_difference() -> None:
    plain, other = made_up_graph((4, 3)), disguised()
    for model in (plain, other):
        make_canonical(model)
    assert plain.SerializeToString() == other.SerializeToString()


def test_the_graph_stays_valid_and_computes_the_same() -> None:
    model = disguised()
    before = outputs(model)
    make_canonical(model)
    onnx.checker.check_model(model)
    np.testing.assert_array_equal(outputs(model), before)


def test_a_second_time_changes_nothing() -> None:
    model = disguised()
    make_canonical(model)
    once = model.SerializeToString()
    make_canonical(model)
    assert model.SerializeToString() == once
