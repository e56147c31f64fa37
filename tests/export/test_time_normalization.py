"""Normalization over time in ONNX Runtime's own form: the same function, other chains untouched."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper
from onnx import numpy_helper

from ser_export.time_normalization import speed_up_time_normalization

CHANNELS, TIME, COEFFICIENTS = 3, 4, 6
SHAPE = ["batch", CHANNELS, TIME, COEFFICIENTS]


def graph_of(*nodes: onnx.NodeProto, over: int = TIME) -> onnx.ModelProto:
    """A model with a scale and a bias over an axis of [clips, time, coefficients, channels]."""
    rng = np.random.default_rng(0)
    shape = (over, 1, 1) if over == TIME else (over,)
    constants = [
        numpy_helper.from_array(rng.standard_normal(shape).astype(np.float32), name)
        for name in ("scale", "bias")
    ]
    values = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name, shape in (("x", SHAPE), ("y", ["batch", CHANNELS, TIME // 2, COEFFICIENTS // 2]))
    ]
    graph = helper.make_graph(list(nodes), "test", values[:1], values[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return model


def chain(relu: str = "Relu") -> list[onnx.NodeProto]:
    return [
        helper.make_node("Identity", ["x"], ["source"]),
        helper.make_node("Transpose", ["source"], ["a"], perm=[0, 2, 3, 1]),
        helper.make_node("Mul", ["a", "scale"], ["b"]),
        helper.make_node("Add", ["b", "bias"], ["c"]),
        helper.make_node(relu, ["c"], ["d"]),
        helper.make_node("Transpose", ["d"], ["e"], perm=[0, 3, 1, 2]),
        helper.make_node("MaxPool", ["e"], ["y"], kernel_shape=[2, 2], strides=[2, 2]),
    ]


def answer(model: onnx.ModelProto, clips: int = 2) -> np.ndarray:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    inputs = np.random.default_rng(1).standard_normal((clips, *SHAPE[1:]), np.float32)
    return session.run(None, {"x": inputs})[0]


@pytest.mark.parametrize("clips", [1, 5])
def test_the_function_stays_the_same(clips: int) -> None:
    model = graph_of(*chain())
    before = answer(model, clips)
    assert speed_up_time_normalization(model) == 1
    onnx.checker.check_model(model)
    np.testing.assert_allclose(answer(model, clips), before, atol=1e-6)


def test_the_new_form_has_no_transposition_and_a_small_relu() -> None:
    model = graph_of(*chain())
    speed_up_time_normalization(model)
    kinds = [node.op_type for node in model.graph.node]
    assert kinds == ["Identity", "Reshape", "BatchNormalization", "Reshape", "MaxPool", "Relu"]


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(graph_of(*chain("Sigmoid")), id="another activation"),
        pytest.param(graph_of(*chain(), over=CHANNELS), id="over channels"),
        pytest.param(
            graph_of(*chain(), helper.make_node("Identity", ["d"], ["other"])), id="used elsewhere"
        ),
    ],
)
def test_other_chains_stay_as_they_are(model: onnx.ModelProto) -> None:
    before = model.SerializeToString()
    assert speed_up_time_normalization(model) == 0
    assert model.SerializeToString() == before


def test_a_network_without_one_stays_as_it_is() -> None:
    pool = helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], strides=[2, 2])
    assert speed_up_time_normalization(graph_of(pool)) == 0
