"""Fewer nodes for the same function: what converters write, and what only looks like it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper
from onnx import numpy_helper

from ser_export.canonical_graph import make_canonical
from ser_export.graph_simplification import add_before_splitting
from ser_export.graph_simplification import make_shapes_constant
from ser_export.graph_simplification import merge_layer_normalizations
from ser_export.graph_simplification import merge_products
from ser_export.graph_simplification import simplify

FRAMES, WIDTH, HEADS = 5, 6, 3


def model_of(*nodes: onnx.NodeProto, **constants: Any) -> onnx.ModelProto:
    """From `x`, float32 [batch, FRAMES, WIDTH], to `y`."""
    x, y = (
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name, shape in (("x", ["batch", FRAMES, WIDTH]), ("y", None))
    )
    tensors = [numpy_helper.from_array(np.asarray(v), name) for name, v in constants.items()]
    graph = helper.make_graph(list(nodes), "test", [x], [y], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def answer(model: onnx.ModelProto, clips: int = 2) -> np.ndarray:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"x": numbers(clips, FRAMES, WIDTH, seed=1)})[0]


def kinds(model: onnx.ModelProto) -> list[str]:
    """Of the nodes that the output needs."""
    make_canonical(model)
    return [node.op_type for node in model.graph.node]


def flattened(*sizes: str) -> onnx.ModelProto:
    """x in as many dimensions as there are sizes: of x's own, or constants such as `-1`."""
    nodes = [helper.make_node("Shape", ["x"], ["shape"])]
    constants = {}
    for size in sizes:
        constants[size] = np.array([int(size.removeprefix("of_"))], np.int64)
        if size.startswith("of_"):
            nodes.append(helper.make_node("Gather", ["shape", size], [f"{size}/value"]))
    values = [f"{size}/value" if size.startswith("of_") else size for size in sizes]
    nodes.append(helper.make_node("Concat", values, ["sizes"], axis=0))
    nodes.append(helper.make_node("Reshape", ["x", "sizes"], ["y"]))
    return model_of(*nodes, **constants)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        (("of_0", str(FRAMES * WIDTH)), [-1, FRAMES * WIDTH]),
        (("of_0", "of_2", "of_1"), [-1, WIDTH, FRAMES]),
        (("of_2", "of_0", "of_1"), [WIDTH, -1, FRAMES]),
    ],
)
def test_sizes_that_follow_from_the_batch_become_constant(
    sizes: tuple[str, ...], expected: list[int]
) -> None:
    model = flattened(*sizes)
    before = answer(model, clips=4)
    assert make_shapes_constant(model) == 1
    assert kinds(model) == ["Reshape"]
    assert numpy_helper.to_array(model.graph.initializer[0]).tolist() == expected
    np.testing.assert_array_equal(answer(model, clips=4), before)


def test_sizes_of_which_two_follow_from_the_batch_stay_computed() -> None:
    model = model_of(
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "first"], ["batch"]),
        helper.make_node("Tile", ["x", "repeats"], ["squared"]),
        helper.make_node("Concat", ["batch", "one", "one"], ["repeats"], axis=0),
        helper.make_node("Concat", ["batch", "batch", "rest"], ["sizes"], axis=0),
        helper.make_node("Reshape", ["squared", "sizes"], ["y"]),
        first=np.array([0], np.int64),
        one=np.array([1], np.int64),
        rest=np.array([FRAMES * WIDTH], np.int64),
    )
    make_canonical(model)
    before = model.SerializeToString()
    assert make_shapes_constant(model) == 0
    assert model.SerializeToString() == before


def product(rows: int = WIDTH, out: tuple[int, ...] = (FRAMES, 2), use: str = "y") -> Any:
    """What Keras' Dense over the last axis becomes."""
    return model_of(
        helper.make_node("Relu", ["x"], ["source"]),
        helper.make_node("Reshape", ["source", "rows"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["product"]),
        helper.make_node("Reshape", ["product", "out"], ["shaped" if use != "y" else "y"]),
        *([] if use == "y" else [helper.make_node("Add", ["shaped", use], ["y"])]),
        rows=np.array([-1, rows]),
        weights=numbers(rows, 2 * rows // WIDTH),
        out=np.array([-1, *out]),
    )


def test_a_product_over_the_last_axis_is_one_node() -> None:
    model = product()
    before = answer(model)
    assert merge_products(model) == 1
    assert kinds(model) == ["Relu", "MatMul"]
    np.testing.assert_allclose(answer(model), before, atol=1e-6)


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(product(out=(2, FRAMES)), id="other rows after it"),
        pytest.param(product(rows=WIDTH * FRAMES, out=(FRAMES, 2)), id="over two axes"),
    ],
)
def test_other_products_stay(model: onnx.ModelProto) -> None:
    before = model.SerializeToString()
    assert merge_products(model) == 0
    assert model.SerializeToString() == before


def split(bias: np.ndarray, parts: tuple[int, ...] = (FRAMES, HEADS, 2)) -> onnx.ModelProto:
    """A product, its last axis split into heads, and then a bias."""
    return model_of(
        helper.make_node("MatMul", ["x", "weights"], ["product"]),
        helper.make_node("Reshape", ["product", "sizes"], ["heads"]),
        helper.make_node("Add", ["heads", "bias"], ["y"]),
        weights=numbers(WIDTH, WIDTH),
        sizes=np.array([-1, *parts]),
        bias=bias,
    )


def test_a_bias_is_added_before_the_last_axis_is_split() -> None:
    model = split(numbers(HEADS, 2))
    before = answer(model)
    assert add_before_splitting(model) == 1
    assert kinds(model) == ["MatMul", "Add", "Reshape"]
    np.testing.assert_array_equal(answer(model), before)


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(split(numbers(2)), id="of a part"),
        pytest.param(split(numbers(FRAMES, HEADS, 2)), id="of each frame"),
        pytest.param(split(numbers(FRAMES, 1), (HEADS, FRAMES, 2)), id="of another axis"),
    ],
)
def test_other_biases_stay(model: onnx.ModelProto) -> None:
    before = model.SerializeToString()
    assert add_before_splitting(model) == 0
    assert model.SerializeToString() == before


def normalization(**changed: tuple[str, list[str]]) -> onnx.ModelProto:
    """What tf2onnx writes for Keras' LayerNormalization; `value=(kind, inputs)` changes a node."""
    steps = {
        "mean": ("GlobalAveragePool", ["source"]),
        "apart": ("Sub", ["source", "mean"]),
        "square": ("Mul", ["apart", "apart"]),
        "variance": ("GlobalAveragePool", ["square"]),
        "above": ("Add", ["variance", "epsilon"]),
        "deviation": ("Sqrt", ["above"]),
        "inverse": ("Reciprocal", ["deviation"]),
        "factor": ("Mul", ["inverse", "scale"]),
        "scaled": ("Mul", ["source", "factor"]),
        "negative": ("Neg", ["mean"]),
        "moved": ("Mul", ["negative", "factor"]),
        "offset": ("Add", ["moved", "bias"]),
        "y": ("Add", ["scaled", "offset"]),
    } | changed
    return model_of(
        helper.make_node("Sigmoid", ["x"], ["source"]),
        helper.make_node("Sigmoid", ["source"], ["other"]),
        *(helper.make_node(kind, names, [value]) for value, (kind, names) in steps.items()),
        epsilon=np.float32(0.01),
        scale=numbers(1, 1, WIDTH),
        bias=numbers(1, 1, WIDTH, seed=2),
    )


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"y": ("Add", ["offset", "scaled"]), "scaled": ("Mul", ["factor", "source"])},
        {"above": ("Add", ["epsilon", "variance"]), "factor": ("Mul", ["scale", "inverse"])},
        {"offset": ("Add", ["bias", "moved"]), "moved": ("Mul", ["factor", "negative"])},
    ],
)
def test_a_layer_normalization_is_one_node(changed: dict[str, tuple[str, list[str]]]) -> None:
    model = normalization(**changed)
    before = answer(model)
    assert merge_layer_normalizations(model) == 1
    assert kinds(model) == ["Sigmoid", "LayerNormalization"]
    np.testing.assert_allclose(answer(model), before, atol=1e-5)


@pytest.mark.parametrize(
    "changed",
    [
        {"mean": ("GlobalAveragePool", ["other"])},
        {"apart": ("Sub", ["mean", "source"])},
        {"square": ("Mul", ["apart", "source"])},
        {"variance": ("GlobalAveragePool", ["apart"])},
        {"scaled": ("Mul", ["other", "factor"])},
        {"moved": ("Mul", ["negative", "inverse"])},
        {"inverse": ("Identity", ["deviation"])},
        {"factor": ("Mul", ["inverse", "epsilon"])},
    ],
)
def test_what_only_looks_like_one_stays(changed: dict[str, tuple[str, list[str]]]) -> None:
    model = normalization(**changed)
    before = model.SerializeToString()
    assert merge_layer_normalizations(model) == 0
    assert model.SerializeToString() == before


@pytest.fixture(scope="module")
def converted(tensorflow: None) -> Callable[[str], tuple[onnx.ModelProto, onnx.ModelProto, Any]]:
    """Graphs of an architecture as converted, and simplified; and the network itself."""
    import keras

    from ser_export import onnx_conversion
    from ser_train.architectures import make_architecture

    def convert(name: str, shape: tuple[int, int]) -> Any:
        keras.utils.set_random_seed(0)
        network = make_architecture(name, shape)
        rng = np.random.default_rng(0)
        for variable in network.weights:
            if variable.path.split("/")[-1] in ("gamma", "beta"):  # 1 and 0 would be left out
                variable.assign(np.asarray(variable) + rng.uniform(0.1, 0.5, variable.shape))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(onnx_conversion, "simplify", lambda graph: None)
            long = onnx_conversion.convert_to_onnx(network)
        return long, onnx_conversion.convert_to_onnx(network), network

    return convert


@pytest.mark.parametrize(
    ("name", "shape", "gone", "new"),
    [
        ("cnn", (64, 94), {"Shape", "Gather", "Cast", "Concat"}, {}),
        ("compact", (64, 64), {"Shape", "Gather", "Cast", "ReduceProd"}, {}),
        ("parallel", (64, 48), {"Shape", "Sqrt", "Neg", "Sub"}, {"LayerNormalization": 8}),
    ],
)
def test_networks_lose_nodes_and_nothing_else(
    name: str, shape: tuple[int, int], gone: set[str], new: dict[str, int], converted: Any
) -> None:
    long, short, network = converted(name, shape)
    of_long, of_short = (Counter(n.op_type for n in graph.graph.node) for graph in (long, short))
    left = {"Concat", "Sub"} & set(of_short)  # those of the architecture itself
    assert not (gone - left) & set(of_short)
    assert {kind: of_short[kind] for kind in new} == new
    assert of_short.total() < of_long.total()
    onnx.checker.check_model(short, full_check=True)
    for clips in (1, 3):
        inputs = numbers(clips, *shape)
        session = onnxruntime.InferenceSession(short.SerializeToString())
        result = session.run(None, {"features": inputs})[0]
        np.testing.assert_allclose(result, network.predict(inputs, verbose=0), atol=1e-5)


def test_a_graph_without_such_nodes_stays_as_it_is() -> None:
    model = model_of(helper.make_node("Relu", ["x"], ["y"]))
    before = model.SerializeToString()
    simplify(model)
    assert model.SerializeToString() == before
