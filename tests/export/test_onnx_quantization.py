"""int8 forms of a graph: what is quantized, how exactly, and what stays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import helper
from onnx import numpy_helper

from ser_export.canonical_graph import make_canonical
from ser_export.onnx_quantization import quantize_dynamic
from ser_export.onnx_quantization import quantize_static
from ser_export.onnx_quantization import quantize_weights

Quantize = Callable[[onnx.ModelProto, NDArray[np.float32]], onnx.ModelProto]

FORMS: dict[str, Quantize] = {
    "weights": lambda graph, _: quantize_weights(graph, ("Conv", "MatMul", "Gemm")),
    "dynamic": lambda graph, _: quantize_dynamic(graph, ("MatMul", "Gemm")),
    "static": lambda graph, inputs: quantize_static(graph, ("Conv", "MatMul"), inputs),
}


def answer(graph: onnx.ModelProto, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(["probabilities"], {"features": inputs})[0]


def kinds(graph: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in graph.graph.node)


def weights_in_int8(graph: onnx.ModelProto) -> int:
    whole = [t for t in graph.graph.initializer if t.data_type == onnx.TensorProto.INT8]
    return sum(int(np.prod(tensor.dims)) for tensor in whole)


def optimized(graph: onnx.ModelProto, path: Path) -> Counter[str]:
    """Kinds of the nodes that ONNX Runtime keeps, without those of its own layouts."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(path)
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    onnxruntime.InferenceSession(
        graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return kinds(onnx.load(path))


@pytest.mark.parametrize("form", FORMS)
def test_an_int8_form_answers_much_as_the_graph_does(
    form: str, small_graph: onnx.ModelProto, small_inputs: NDArray[np.float32]
) -> None:
    quantized = FORMS[form](small_graph, small_inputs)
    onnx.checker.check_model(quantized)
    difference = np.abs(answer(quantized, small_inputs) - answer(small_graph, small_inputs))
    assert 0 < difference.max() < 0.05


@pytest.mark.parametrize("form", FORMS)
def test_the_graph_stays_as_it_is_and_gives_the_same_bytes_again(
    form: str, small_graph: onnx.ModelProto, small_inputs: NDArray[np.float32]
) -> None:
    before = small_graph.SerializeToString()
    once, again = (FORMS[form](small_graph, small_inputs) for _ in range(2))
    assert small_graph.SerializeToString() == before
    assert once.SerializeToString() == again.SerializeToString()


@pytest.mark.parametrize("form", FORMS)
def test_input_output_and_free_batch_stay(
    form: str, small_graph: onnx.ModelProto, small_inputs: NDArray[np.float32]
) -> None:
    quantized = FORMS[form](small_graph, small_inputs)
    assert answer(quantized, small_inputs[:5]).shape == (5, 7)
    assert [value.name for value in quantized.graph.input] == ["features"]
    assert [value.name for value in quantized.graph.output] == ["probabilities"]


@pytest.mark.parametrize("form", ["dynamic", "static"])
def test_weights_that_are_multiplied_as_integers_have_seven_bits(
    form: str, small_graph: onnx.ModelProto, small_inputs: NDArray[np.float32]
) -> None:
    quantized = FORMS[form](small_graph, small_inputs)
    whole = [
        numpy_helper.to_array(tensor)
        for tensor in quantized.graph.initializer
        if tensor.data_type == onnx.TensorProto.INT8 and len(tensor.dims) > 1
    ]
    assert whole
    assert max(int(np.abs(weights.astype(int)).max()) for weights in whole) == 64


def test_products_of_large_inputs_and_weights_are_not_cut_off() -> None:
    """With weights of 8 bits a processor without VNNI answers half as much."""
    tensor = numpy_helper.from_array(np.ones((256, 256), np.float32), "w")
    x, y = (
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["b", 256])
        for name in ("features", "probabilities")
    )
    nodes = [helper.make_node("MatMul", ["features", "w"], ["probabilities"], name="product")]
    graph = helper.make_model(
        helper.make_graph(nodes, "test", [x], [y], [tensor]),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=9,
    )
    inputs = np.ones((8, 256), np.float32)
    for form in ("dynamic", "static"):
        np.testing.assert_allclose(answer(FORMS[form](graph, inputs), inputs), 256.0, rtol=0.02)


def test_convolutions_are_never_quantized_dynamically(small_graph: onnx.ModelProto) -> None:
    quantized = kinds(quantize_dynamic(small_graph, ("MatMul", "Gemm")))
    assert quantized["ConvInteger"] == 0
    assert quantized["MatMulInteger"] == kinds(small_graph)["MatMul"] == 1
    assert quantized["Conv"] == kinds(small_graph)["Conv"] == 3


def test_static_quantization_leaves_the_convolution_of_one_channel_alone_in_float(
    small_graph: onnx.ModelProto, small_inputs: NDArray[np.float32]
) -> None:
    quantized = quantize_static(small_graph, ("Conv",), small_inputs)
    maker = {output: node for node in quantized.graph.node for output in node.output}
    convolutions = [node for node in quantized.graph.node if node.op_type == "Conv"]
    assert len(convolutions) == 3
    first, *others = convolutions
    assert first.input[1] in {tensor.name for tensor in quantized.graph.initializer}
    for node in others:
        assert [maker[name].op_type for name in node.input[:2]] == ["DequantizeLinear"] * 2


@pytest.mark.parametrize(("channels", "in_float"), [(1, True), (2, True), (3, False)])
def test_only_a_convolution_of_features_and_their_levels_stays_in_float(
    channels: int, in_float: bool
) -> None:
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((4, channels, 3, 3)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["features", "weights"], ["probabilities"], name="only")],
        "one convolution",
        [helper.make_tensor_value_info("features", onnx.TensorProto.FLOAT, (1, channels, 8, 8))],
        [helper.make_tensor_value_info("probabilities", onnx.TensorProto.FLOAT, (1, 4, 6, 6))],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    inputs = rng.standard_normal((4, channels, 8, 8)).astype(np.float32)
    quantized = quantize_static(model, ("Conv",), inputs)
    (convolution,) = (node for node in quantized.graph.node if node.op_type == "Conv")
    kept = {tensor.name for tensor in quantized.graph.initializer}
    assert (convolution.input[1] in kept) == in_float


def test_static_scales_are_those_of_channels(
    small_graph: onnx.ModelProto, small_inputs: NDArray[np.float32]
) -> None:
    quantized = quantize_static(small_graph, ("Conv",), small_inputs)
    shapes = {t.name: tuple(t.dims) for t in quantized.graph.initializer}
    scales = {
        shapes[node.input[1]]
        for node in quantized.graph.node
        if node.op_type == "DequantizeLinear" and len(shapes.get(node.input[0], ())) == 4
    }
    assert scales == {(32,), (64,)}


def test_static_ranges_come_from_the_calibration_inputs(
    small_graph: onnx.ModelProto, small_inputs: NDArray[np.float32]
) -> None:
    narrow, wide = (
        quantize_static(small_graph, ("Conv",), inputs)
        for inputs in (0.1 * small_inputs, small_inputs)
    )
    right = answer(small_graph, small_inputs)
    worse, better = (np.abs(answer(g, small_inputs) - right).mean() for g in (narrow, wide))
    assert worse > 2 * better


def test_weights_become_int8_with_their_scales_beside_them(small_graph: onnx.ModelProto) -> None:
    quantized = quantize_weights(small_graph, ("Conv", "MatMul"))
    large = [
        tensor
        for tensor in small_graph.graph.initializer
        if tensor.data_type == onnx.TensorProto.FLOAT and np.prod(tensor.dims) >= 256
    ]
    assert weights_in_int8(quantized) == sum(int(np.prod(tensor.dims)) for tensor in large)
    assert quantized.ByteSize() < 0.35 * small_graph.ByteSize()


def test_a_weight_moves_by_half_a_step_of_its_channel_at_most(small_graph: onnx.ModelProto) -> None:
    quantized = quantize_weights(small_graph, ("Conv",))
    stored = {t.name: numpy_helper.to_array(t) for t in quantized.graph.initializer}
    maker = {output: node for node in quantized.graph.node for output in node.output}
    before = {t.name: numpy_helper.to_array(t) for t in small_graph.graph.initializer}
    old = [before[n.input[1]] for n in small_graph.graph.node if n.op_type == "Conv"]
    new = [maker.get(n.input[1]) for n in quantized.graph.node if n.op_type == "Conv"]
    compared = 0
    for weights, product in zip(old, new, strict=True):
        if product is None:
            continue
        whole = stored[maker[product.input[0]].input[0]]
        scale = stored[product.input[1]]
        assert scale.shape == (len(weights), 1, 1, 1)
        assert (np.abs(whole * scale - weights) <= 0.5001 * scale).all()
        compared += 1
    assert compared == 2, "the first convolution has too few weights to be worth it"


def test_onnx_runtime_makes_the_weights_float_when_it_loads_them(
    small_graph: onnx.ModelProto, tmp_path: Path
) -> None:
    quantized = quantize_weights(small_graph, ("Conv", "MatMul"))
    assert kinds(quantized)["Mul"] > kinds(small_graph)["Mul"]
    assert optimized(quantized, tmp_path / "a.onnx") == optimized(small_graph, tmp_path / "b.onnx")


def test_a_channel_of_zeros_stays_zero(small_graph: onnx.ModelProto) -> None:
    graph = onnx.ModelProto.FromString(small_graph.SerializeToString())
    largest = max(graph.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    weights = numpy_helper.to_array(largest).copy()
    weights[0] = 0
    largest.CopyFrom(numpy_helper.from_array(weights, largest.name))
    inputs = np.random.default_rng(2).standard_normal((2, 32, 32), np.float32)
    quantized = quantize_weights(graph, ("Conv", "MatMul"))
    np.testing.assert_allclose(answer(quantized, inputs), answer(graph, inputs), atol=0.02)


@pytest.fixture(scope="module")
def mixed_graph() -> onnx.ModelProto:
    """Convolution, ReLU, pooling by the average, convolution; a large and a small product; ReLU."""
    rng = np.random.default_rng(0)
    shapes = {"c1": (4, 3, 3, 3), "c2": (4, 4, 3, 3), "w1": (64, 256), "w2": (256, 7)}
    tensors = [
        numpy_helper.from_array((0.1 * rng.standard_normal(shape)).astype(np.float32), name)
        for name, shape in shapes.items()
    ]
    tensors.append(numpy_helper.from_array(np.array([-1, 16, 64]), "sizes"))
    nodes = [
        helper.make_node("Conv", ["features", "c1"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("AveragePool", ["b"], ["c"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["c", "c2"], ["d"], pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["b", "c2"], ["d2"], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["d", "d2"], ["e"]),
        helper.make_node("Reshape", ["e", "sizes"], ["f"]),
        helper.make_node("MatMul", ["f", "w1"], ["g"]),
        helper.make_node("Relu", ["g"], ["h"]),
        helper.make_node("ReduceMean", ["h"], ["i"], axes=[1], keepdims=0),
        helper.make_node("MatMul", ["i", "w2"], ["j"]),
        helper.make_node("Softmax", ["j"], ["probabilities"]),
    ]
    x, y = (
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name, shape in (("features", ["b", 3, 32, 32]), ("probabilities", ["b", 7]))
    )
    graph = helper.make_graph(nodes, "test", [x], [y], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    make_canonical(model)
    onnx.checker.check_model(model, full_check=True)
    return model


@pytest.fixture(scope="module")
def statically(mixed_graph: onnx.ModelProto) -> onnx.ModelProto:
    inputs = np.random.default_rng(1).standard_normal((4, 3, 32, 32), np.float32)
    quantized = quantize_static(mixed_graph, ("Conv", "MatMul"), inputs)
    assert np.abs(answer(quantized, inputs) - answer(mixed_graph, inputs)).max() < 0.01
    return quantized


def test_pooling_by_the_average_gets_what_was_not_quantized(statically: onnx.ModelProto) -> None:
    maker = {output: node for node in statically.graph.node for output in node.output}
    (pool,) = (node for node in statically.graph.node if node.op_type == "AveragePool")
    assert maker[pool.input[0]].op_type != "DequantizeLinear"


def test_static_quantization_leaves_small_products_in_float(statically: onnx.ModelProto) -> None:
    maker = {output: node.op_type for node in statically.graph.node for output in node.output}
    large, small = (node for node in statically.graph.node if node.op_type == "MatMul")
    assert [maker.get(name) for name in large.input] == ["DequantizeLinear"] * 2
    assert [maker.get(name) for name in small.input] == ["ReduceMean", None]


def test_a_relu_after_what_is_quantized_needs_no_node(
    mixed_graph: onnx.ModelProto, statically: onnx.ModelProto
) -> None:
    assert (kinds(mixed_graph)["Relu"], kinds(statically)["Relu"]) == (2, 0)


@pytest.mark.parametrize(("small", "products"), [(True, 2), (False, 1)])
def test_small_products_are_quantized_dynamically_where_that_is_asked_for(
    small: bool, products: int, mixed_graph: onnx.ModelProto
) -> None:
    quantized = quantize_dynamic(mixed_graph, ("MatMul", "Gemm"), small=small)
    assert kinds(quantized)["MatMulInteger"] == products
