"""The models in the runtime's package: small, exported by this command, from committed weights."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from ser_export.export_clips import ExportClips
from ser_export.formats import find_format
from ser_export.record import Decisions
from ser_runtime.model import Model
from ser_runtime.model import packaged_models
from ser_train.run_folder import RunFolder
from ser_train.splits import PROTOCOLS

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "runtime" / "ser_runtime" / "models"
MOST_BYTES = {"compact": 600_000, "cnn": 100_000, "parallel": 1_200_000}


@pytest.fixture(params=packaged_models())
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def record(name: str) -> dict[str, Any]:
    return json.loads((MODELS / f"{name}.export.json").read_text(encoding="utf-8"))


def answer(content: bytes, inputs: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(None, {"features": inputs})[0]


def test_the_record_is_that_of_the_file(name: str, record: dict[str, Any]) -> None:
    content = (MODELS / f"{name}.onnx").read_bytes()
    assert record["sha256"] == hashlib.sha256(content).hexdigest()
    assert record["path"] == record["decisions"]["name"] == f"{name}.onnx"
    assert record["verification"]["accuracy"] == Model.open(name).metadata.test_accuracy


def test_the_file_is_small(name: str) -> None:
    assert (MODELS / f"{name}.onnx").stat().st_size <= MOST_BYTES[name]


def test_no_shipped_model_learnt_the_reports_faulty_labels(name: str) -> None:
    metadata = Model.open(name).metadata
    (protocol,) = (row for row in PROTOCOLS.values() if row.id == metadata.protocol)
    assert not protocol.report_labels


def test_no_shipped_model_depends_on_how_a_processor_adds_bytes(name: str) -> None:
    """Weights that are multiplied as integers have 7 bits: without VNNI sums of 8 are cut off."""
    graph = onnx.load(MODELS / f"{name}.onnx").graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    cast = {node.input[0] for node in graph.node if node.op_type == "Cast"}
    multiplied = [
        numpy_helper.to_array(tensor)
        for tensor in constants.values()
        if tensor.data_type == onnx.TensorProto.INT8
        and len(tensor.dims) > 1
        and tensor.name not in cast
    ]
    assert multiplied
    assert max(int(np.abs(weights.astype(int)).max()) for weights in multiplied) <= 64


def stored_weights(graph: onnx.ModelProto) -> list[tuple[np.ndarray, np.ndarray | None]]:
    """Weights of convolutions and products in order, and their scales where these stand beside."""
    constants = {t.name: numpy_helper.to_array(t) for t in graph.graph.initializer}
    made_by = {node.output[0]: node for node in graph.graph.node}
    found: list[tuple[np.ndarray, np.ndarray | None]] = []
    for node in graph.graph.node:
        if node.op_type not in ("Conv", "MatMul", "Gemm", "MatMulInteger"):
            continue
        name, scale = node.input[1], None
        maker = made_by.get(name)
        if maker is not None and maker.op_type in ("DequantizeLinear", "Mul"):
            name, scale = maker.input[0], constants.get(maker.input[1])
            if (cast := made_by.get(name)) is not None and cast.op_type == "Cast":
                name = cast.input[0]
        if name in constants:
            weights = constants[name]
            if scale is not None and scale.size > 1:
                # Output channels: first of a convolution, last of a product.
                scale = scale.reshape((-1, 1, 1, 1) if weights.ndim == 4 else (1, -1))
            if node.op_type == "MatMulInteger":
                weights = weights.astype(np.int32) - constants[node.input[3]]
            found.append((weights, scale))
    return found


def assert_rounded(stored: np.ndarray, scale: np.ndarray | None, right: np.ndarray) -> None:
    """Stored weights are the right ones, but for rounding to steps of the scale."""
    if stored.dtype == np.float32:
        np.testing.assert_array_equal(stored, right)
        return
    stored, off = stored.astype(np.float64), 0.501
    if scale is None:  # it stands with that of the activations: estimated here, of 127 steps
        scale = (right * stored).sum(0, keepdims=True) / (stored**2).sum(0, keepdims=True)
        off = 0.7
    assert (np.abs(stored * scale - right) <= off * scale + 1e-6).all()


def test_the_committed_weights_give_the_file(
    tensorflow: None, name: str, record: dict[str, Any]
) -> None:
    from ser_export.source import Source

    run = RunFolder(ROOT / "train" / "results" / record["run"])
    decided = Decisions(**record["decisions"])
    source = Source(run, ExportClips(run))
    shipped = (MODELS / f"{name}.onnx").read_bytes()
    if "static" in decided.format:
        # The ranges of activations come from training clips; the weights are these.
        made = find_format("onnx-fp32").convert(source)
        right, stored = (stored_weights(onnx.load_from_string(graph)) for graph in (made, shipped))
        assert len(right) == len(stored) > 0
        for (weights, scale), (float_weights, _) in zip(stored, right, strict=True):
            assert_rounded(weights, scale, float_weights)
    else:
        made = find_format(decided.format).convert(source)
        shape = (4, *source.spec.shape)
        inputs = np.random.default_rng(0).standard_normal(shape, np.float32)
        np.testing.assert_allclose(answer(made, inputs), answer(shipped, inputs), atol=1e-4)
    metadata = Model.open(name).metadata
    np.testing.assert_array_equal(metadata.standardization.mean, run.standardization().mean)
    assert metadata.split_hash == run.metrics()["split_hash"]
