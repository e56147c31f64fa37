"""Opening model files, good and bad, and what an opened model computes."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from conftest import made_up_graph
from numpy.typing import NDArray
from onnx import TensorProto
from onnx import helper
from onnx import numpy_helper

from ser_runtime.errors import FeatureSpecError
from ser_runtime.errors import ModelFileError
from ser_runtime.feature_spec import MEL
from ser_runtime.feature_spec import MFCC
from ser_runtime.features import compute_features
from ser_runtime.model import Model
from ser_runtime.model import packaged_models
from ser_runtime.model_metadata import ModelMetadata
from ser_runtime.standardization import Standardization

Properties = dict[str, str]


@pytest.fixture
def features(speech_16k: NDArray[np.float32]) -> NDArray[np.float32]:
    """Two windows of speech: float32 [2, coefficients, frames]."""
    parts = (speech_16k[:48_000], speech_16k[48_000:90_000])
    return np.stack([compute_features(part, MFCC) for part in parts])


def save(graph: onnx.ModelProto, properties: Properties, folder: Path) -> Path:
    path = folder / "model.onnx"
    helper.set_model_props(graph, properties)
    onnx.save(graph, path)
    return path


def changed(metadata: ModelMetadata, field: str, value: Any) -> Properties:
    return metadata.to_properties() | {f"ser_edge.{field}": json.dumps(value)}


def test_predictions_are_standardized_and_tempered(
    model: Model, metadata: ModelMetadata, made_up_model: Path, features: NDArray[np.float32]
) -> None:
    weights = numpy_helper.to_array(onnx.load(made_up_model).graph.initializer[0])
    standardized = (features - metadata.standardization.mean) / metadata.standardization.deviation
    logits = standardized.reshape(2, -1).astype(np.float64) @ weights / metadata.temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    wanted = powers / powers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict(features), wanted, atol=1e-5)


def test_raw_probabilities_have_no_temperature(
    model: Model, metadata: ModelMetadata, features: NDArray[np.float32]
) -> None:
    powers = model.raw_probabilities(features).astype(np.float64) ** (1 / metadata.temperature)
    wanted = powers / powers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict(features), wanted, atol=1e-6)


def test_standardization_by_frame_is_applied(
    metadata: ModelMetadata, tmp_path: Path, features: NDArray[np.float32]
) -> None:
    rng = np.random.default_rng(1)
    mean = rng.normal(size=MFCC.shape).astype(np.float32)
    deviation = rng.uniform(20, 90, MFCC.shape).astype(np.float32)
    properties = changed(
        metadata, "standardization", Standardization(mean, deviation).to_dict()
    ) | {"ser_edge.temperature": "1.0"}
    path = save(made_up_graph(MFCC.shape), properties, tmp_path)
    weights = numpy_helper.to_array(onnx.load(path).graph.initializer[0])
    logits = ((features - mean) / deviation).reshape(2, -1).astype(np.float64) @ weights
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    wanted = powers / powers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(Model.open(path).predict(features), wanted, atol=1e-5)


@pytest.mark.parametrize("samples", [0, 1, 20_000, 48_000, 60_000])
def test_recognizing_is_predicting_from_the_features(
    model: Model, speech_16k: NDArray[np.float32], samples: int
) -> None:
    audio = speech_16k[:samples]
    wanted = model.predict(compute_features(audio, model.spec)[None])[0]
    np.testing.assert_array_equal(model.recognize(audio), wanted)


def test_threads_that_share_a_model_get_equal_answers(
    model: Model, speech_16k: NDArray[np.float32]
) -> None:
    clips = [speech_16k[start : start + 48_000] for start in range(0, 96_000, 3_000)]
    alone = [model.recognize(clip) for clip in clips]
    with ThreadPoolExecutor(max_workers=4) as threads:
        together = list(threads.map(model.recognize, clips))
    np.testing.assert_array_equal(together, alone)


def test_a_path_may_be_text_too(made_up_model: Path) -> None:
    model = Model.open(str(made_up_model))
    assert model.source == str(made_up_model)
    assert model.metadata.name == "made-up"


def test_every_packaged_model_can_be_opened_by_name() -> None:
    assert [Model.open(name).source for name in packaged_models()] == packaged_models()


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    known = ", ".join(packaged_models()) or "none"
    with pytest.raises(ModelFileError, match=rf"no model file nonesuch.*there: {known}"):
        Model.open("nonesuch")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=str(tmp_path)):
        Model.open(tmp_path)


def spoilt_bytes() -> dict[str, Callable[[bytes], bytes]]:
    return {
        "empty": lambda _: b"",
        "text": lambda _: b"# a model\n" * 100,
        "zeros": lambda content: bytes(len(content)),
        "half": lambda content: content[: len(content) // 2],
        "one byte less": lambda content: content[:-1],
        "json": lambda _: b'{"model": 1}',
    }


@pytest.mark.parametrize("kind", spoilt_bytes())
def test_content_that_is_no_model_is_refused_by_the_files_name(
    made_up_model: Path, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "spoilt.onnx"
    path.write_bytes(spoilt_bytes()[kind](made_up_model.read_bytes()))
    with pytest.raises(ModelFileError, match=r"spoilt\.onnx"):
        Model.open(path)


def test_a_model_of_others_is_refused(tmp_path: Path) -> None:
    path = save(made_up_graph(MFCC.shape), {"author": "somebody"}, tmp_path)
    with pytest.raises(ModelFileError, match=r"model\.onnx.*no ser-edge metadata"):
        Model.open(path)


def test_damaged_metadata_are_refused_by_the_files_name(
    metadata: ModelMetadata, tmp_path: Path
) -> None:
    properties = metadata.to_properties() | {"ser_edge.labels": "[not json"}
    path = save(made_up_graph(MFCC.shape), properties, tmp_path)
    with pytest.raises(ModelFileError, match=r"model\.onnx.*damaged"):
        Model.open(path)


@pytest.mark.parametrize(
    ("changes", "named"),
    [({"pre_emphasis": 0.97}, "pre_emphasis"), ({"window": "kaiser"}, "kaiser")],
)
def test_features_of_a_later_version_are_refused_by_the_files_name(
    metadata: ModelMetadata, tmp_path: Path, changes: dict[str, Any], named: str
) -> None:
    properties = changed(metadata, "spec", metadata.spec.to_dict() | changes)
    path = save(made_up_graph(MFCC.shape), properties, tmp_path)
    with pytest.raises(FeatureSpecError, match=rf"model\.onnx.*{named}"):
        Model.open(path)


def test_a_window_of_astronomical_length_is_refused(
    metadata: ModelMetadata, tmp_path: Path
) -> None:
    properties = changed(metadata, "spec", metadata.spec.to_dict() | {"window_samples": 10**17})
    path = save(made_up_graph(MFCC.shape), properties, tmp_path)
    with pytest.raises(ModelFileError, match=r"model\.onnx"):
        Model.open(path)


@pytest.mark.parametrize("shape", [MEL.shape, (94, 128), (1, 1)])
def test_a_graph_for_other_features_is_refused(
    metadata: ModelMetadata, tmp_path: Path, shape: tuple[int, int]
) -> None:
    path = save(made_up_graph(shape), metadata.to_properties(), tmp_path)
    with pytest.raises(ModelFileError, match=r"model\.onnx.*does not take its own features"):
        Model.open(path)


@pytest.mark.parametrize("classes", [1, 6, 8])
def test_a_graph_with_another_number_of_classes_is_refused(
    metadata: ModelMetadata, tmp_path: Path, classes: int
) -> None:
    path = save(made_up_graph(MFCC.shape, classes), metadata.to_properties(), tmp_path)
    with pytest.raises(ModelFileError, match=r"model\.onnx.*each of its labels"):
        Model.open(path)


def test_a_graph_that_returns_nan_is_refused(metadata: ModelMetadata, tmp_path: Path) -> None:
    graph = made_up_graph(MFCC.shape)
    weights = numpy_helper.to_array(graph.graph.initializer[0]) * np.nan
    graph.graph.initializer[0].CopyFrom(numpy_helper.from_array(weights, "weights"))
    path = save(graph, metadata.to_properties(), tmp_path)
    with pytest.raises(ModelFileError, match=r"model\.onnx"):
        Model.open(path)


def test_a_graph_that_returns_logits_is_refused(metadata: ModelMetadata, tmp_path: Path) -> None:
    graph = made_up_graph(MFCC.shape)
    softmax = graph.graph.node.pop()
    graph.graph.node[-1].output[0] = softmax.output[0]
    path = save(graph, metadata.to_properties(), tmp_path)
    with pytest.raises(ModelFileError, match=r"model\.onnx.*each of its labels"):
        Model.open(path)


def test_a_graph_with_two_inputs_is_refused(metadata: ModelMetadata, tmp_path: Path) -> None:
    graph = made_up_graph(MFCC.shape)
    graph.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, [1]))
    graph.graph.node.append(helper.make_node("Identity", ["more"], ["same"]))
    graph.graph.output.append(helper.make_tensor_value_info("same", TensorProto.FLOAT, [1]))
    path = save(graph, metadata.to_properties(), tmp_path)
    with pytest.raises(ModelFileError, match=r"model\.onnx"):
        Model.open(path)


@pytest.mark.parametrize("beside", [True, False], ids=["from its folder", "from elsewhere"])
def test_a_graph_that_names_another_file_is_refused(
    metadata: ModelMetadata, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, beside: bool
) -> None:
    graph = made_up_graph(MFCC.shape)
    weights = numpy_helper.to_array(graph.graph.initializer[0])
    graph.graph.initializer[0].CopyFrom(numpy_helper.from_array(weights, "weights"))
    helper.set_model_props(graph, metadata.to_properties())
    path = tmp_path / "model.onnx"
    onnx.save(graph, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert (tmp_path / "weights.bin").is_file()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path if beside else tmp_path / "elsewhere")
    with pytest.raises(ModelFileError, match=r"model\.onnx"):
        Model.open(path)


def test_an_opened_model_no_longer_needs_its_file(made_up_model: Path, tmp_path: Path) -> None:
    path = tmp_path / "copy.onnx"
    path.write_bytes(made_up_model.read_bytes())
    model = Model.open(path)
    before = model.recognize(np.zeros(100, np.float32))
    path.write_bytes(b"")
    np.testing.assert_array_equal(model.recognize(np.zeros(100, np.float32)), before)


@pytest.mark.parametrize("name", packaged_models())
def test_a_windows_probabilities_do_not_depend_on_the_others_of_a_batch(name: str) -> None:
    model = Model.open(name)
    scale = np.array([1.0, 100.0, 0.01], np.float32)[:, None, None]
    windows = scale * np.random.default_rng(0).standard_normal((3, *model.spec.shape), np.float32)
    alone = np.concatenate([model.raw_probabilities(window[None]) for window in windows])
    np.testing.assert_allclose(model.raw_probabilities(windows), alone, atol=1e-6)
