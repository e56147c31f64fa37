"""Keras to ONNX."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from ser_runtime.feature_spec import FeatureSpec


@pytest.fixture(scope="module")
def model(tensorflow: None) -> Any:
    """The single CNN on small features, untrained."""
    import keras

    from ser_train.architectures import cnn

    keras.utils.set_random_seed(0)
    return cnn(FeatureSpec(window_samples=31 * 512, n_mels=32).shape)


@pytest.fixture
def graph(model: Any) -> onnx.ModelProto:
    from ser_export.onnx_conversion import convert_to_onnx

    return convert_to_onnx(model)


def run(graph: onnx.ModelProto, inputs: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(graph.SerializeToString())
    return session.run(["probabilities"], {"features": inputs})[0]


def test_the_graph_is_a_valid_onnx_model(graph: onnx.ModelProto) -> None:
    onnx.checker.check_model(graph, full_check=True)


@pytest.mark.parametrize("batch", [1, 3])
def test_the_graph_computes_what_keras_does_at_any_batch_size(
    model: Any, graph: onnx.ModelProto, batch: int
) -> None:
    inputs = np.random.default_rng(0).standard_normal((batch, 32, 32), np.float32)
    np.testing.assert_allclose(run(graph, inputs), model.predict(inputs, verbose=0), atol=1e-5)


def test_dropout_is_gone(graph: onnx.ModelProto) -> None:
    assert not [node for node in graph.graph.node if "Dropout" in node.op_type]


def test_input_and_output_have_their_names_and_a_free_batch(graph: onnx.ModelProto) -> None:
    for value, name in ((graph.graph.input, "features"), (graph.graph.output, "probabilities")):
        assert [item.name for item in value] == [name]
        assert value[0].type.tensor_type.shape.dim[0].dim_param == "batch"


def test_the_graph_carries_no_training_framework_operators(graph: onnx.ModelProto) -> None:
    assert {entry.domain for entry in graph.opset_import} <= {"", "ai.onnx.ml"}
    assert next(entry.version for entry in graph.opset_import if not entry.domain) == 17
