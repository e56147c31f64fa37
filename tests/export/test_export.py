"""One model file from one run."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from ser_runtime.errors import RunFolderError
from ser_runtime.errors import VerificationError
from ser_runtime.labels import EMOTIONS
from ser_runtime.model import Model
from ser_train.run_folder import RunFolder


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Model:
    return Model.open(tiny_model)


@pytest.fixture(scope="module")
def run(tiny_run: Path) -> RunFolder:
    return RunFolder(tiny_run)


def rewrite_weights(run: RunFolder, change: Any) -> None:
    """Change the arrays of a run's weights."""
    with np.load(run.weights) as stored:
        arrays = {name: change(stored[name]) for name in stored.files}
    with run.weights.open("wb") as file:
        np.savez(file, **arrays)


def test_the_file_takes_the_features_of_the_run(model: Model, run: RunFolder) -> None:
    assert model.spec == run.spec()


def test_the_file_standardizes_as_the_run_did(model: Model, run: RunFolder) -> None:
    wanted = run.standardization()
    np.testing.assert_array_equal(model.metadata.standardization.mean, wanted.mean)
    np.testing.assert_array_equal(model.metadata.standardization.deviation, wanted.deviation)


def test_the_file_names_the_emotions_in_their_order(model: Model) -> None:
    assert model.labels == EMOTIONS


@pytest.mark.parametrize(
    ("field", "metric"),
    [
        ("name", "experiment"),
        ("protocol", "protocol"),
        ("split_hash", "split_hash"),
        ("temperature", "temperature"),
        ("confidence_threshold", "confidence_threshold"),
        ("test_accuracy", "accuracy"),
        ("test_macro_f1", "macro_f1"),
    ],
)
def test_the_file_says_what_the_metrics_of_the_run_say(
    model: Model, run: RunFolder, field: str, metric: str
) -> None:
    assert getattr(model.metadata, field) == pytest.approx(run.read_json("metrics")[metric])


def test_the_file_says_the_reports_accuracy(model: Model) -> None:
    assert model.metadata.report_accuracy == 0.67


def test_the_file_says_that_it_is_for_research(model: Model) -> None:
    assert "research and non-commercial use only" in model.metadata.licence


def test_the_file_says_that_its_training_was_cut_short(model: Model) -> None:
    assert "stopped by hand" in model.metadata.note


def test_the_file_gives_the_predictions_of_the_run(model: Model, run: RunFolder) -> None:
    test = run.read_set("test")
    recognized = model.raw_probabilities(test.features).argmax(axis=1)
    accuracy = run.read_json("metrics")["accuracy"]
    assert (recognized == test.classes).mean() == pytest.approx(accuracy)


def test_the_record_beside_the_file_has_its_hash_and_size(tiny_model: Path) -> None:
    record = json.loads(tiny_model.with_suffix(".export.json").read_text(encoding="utf-8"))
    content = tiny_model.read_bytes()
    assert record["sha256"] == hashlib.sha256(content).hexdigest()
    assert record["bytes"] == len(content)
    assert (record["path"], record["format"]) == ("cnn.onnx", "onnx-fp32")


def test_the_same_run_gives_the_same_bytes(
    export: ModuleType, run: RunFolder, tiny_model: Path, tmp_path: Path
) -> None:
    exported = export.export_onnx(run, tmp_path / "again.onnx")
    assert exported.path.read_bytes() == tiny_model.read_bytes()


def test_another_fold_is_named_in_the_file(
    export: ModuleType, run_copy: RunFolder, tmp_path: Path
) -> None:
    metrics = run_copy.read_json("metrics")
    run_copy.write_json("metrics", metrics | {"protocol": "speaker-independent", "fold": "3"})
    export.export_onnx(run_copy, tmp_path / "fold.onnx")
    assert Model.open(tmp_path / "fold.onnx").metadata.protocol == "speaker-independent-3"


def test_weights_that_are_not_those_of_the_metrics_are_refused(
    export: ModuleType, run_copy: RunFolder, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    rewrite_weights(run_copy, lambda array: array + rng.normal(0, 1, array.shape).astype("f4") ** 2)
    with pytest.raises((VerificationError, RunFolderError)):
        export.export_onnx(run_copy, tmp_path / "out" / "cnn.onnx")
    assert not list(tmp_path.glob("out/*"))


def test_weights_that_are_not_numbers_are_refused(
    export: ModuleType, run_copy: RunFolder, tmp_path: Path
) -> None:
    rewrite_weights(run_copy, lambda array: np.full_like(array, np.nan))
    with pytest.raises((VerificationError, RunFolderError)):
        export.export_onnx(run_copy, tmp_path / "out" / "cnn.onnx")
    assert not list(tmp_path.glob("out/*"))


def test_a_graph_that_was_tampered_with_does_not_verify(export: ModuleType, run: RunFolder) -> None:
    import onnx.numpy_helper

    model, test = export.load_model(run), run.read_set("test")
    inputs = run.standardization()(test.features)
    graph = export.convert_to_onnx(model)
    largest = max(graph.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    weights = onnx.numpy_helper.to_array(largest)
    largest.CopyFrom(onnx.numpy_helper.from_array(weights + np.float32(0.05), largest.name))
    original = model.predict(inputs, verbose=0)
    with pytest.raises(VerificationError, match="nothing published"):
        export.compare(test.classes, original, original, export._run_graph(graph, inputs)).require()


def test_a_file_that_the_runtime_computes_otherwise_is_refused(
    export: ModuleType, run: RunFolder, model: Model
) -> None:
    test = run.read_set("test")
    original = model.raw_probabilities(test.features)
    other = dataclasses.replace(test, features=test.features[::-1])
    with pytest.raises(VerificationError, match="in the runtime itself"):
        export._require_same_in_runtime(model, other, original)


@pytest.mark.parametrize(
    "name", ["weights.npz", "test.npz", "metrics.json", "standardization.json"]
)
def test_a_missing_file_of_the_run_is_named(
    export: ModuleType, run_copy: RunFolder, tmp_path: Path, name: str
) -> None:
    (run_copy.path / name).unlink()
    with pytest.raises(RunFolderError, match=name):
        export.export_onnx(run_copy, tmp_path / "cnn.onnx")


@pytest.mark.parametrize("name", ["weights.npz", "test.npz", "metrics.json", "config.json"])
def test_a_damaged_file_of_the_run_is_named(
    export: ModuleType, run_copy: RunFolder, tmp_path: Path, name: str
) -> None:
    content = (run_copy.path / name).read_bytes()
    (run_copy.path / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(RunFolderError, match=name):
        export.export_onnx(run_copy, tmp_path / "cnn.onnx")


@pytest.mark.parametrize("name", ["metrics.json", "config.json"])
def test_a_file_of_the_run_that_lacks_its_content_is_refused(
    export: ModuleType, run_copy: RunFolder, tmp_path: Path, name: str
) -> None:
    (run_copy.path / name).write_text('{"version": 1}')
    with pytest.raises(RunFolderError):
        export.export_onnx(run_copy, tmp_path / "cnn.onnx")


def test_weights_of_another_architecture_are_refused(
    export: ModuleType, run_copy: RunFolder, tmp_path: Path
) -> None:
    rewrite_weights(run_copy, lambda array: array[..., :-1] if array.ndim > 1 else array)
    with pytest.raises(RunFolderError, match="another architecture"):
        export.export_onnx(run_copy, tmp_path / "cnn.onnx")


def test_an_unknown_architecture_is_refused(
    export: ModuleType, run_copy: RunFolder, tmp_path: Path
) -> None:
    config = run_copy.config()
    config["experiment"]["architecture"] = "of-tomorrow"
    run_copy.write_json("config", config)
    with pytest.raises(RunFolderError, match="'of-tomorrow', unknown to this version"):
        export.export_onnx(run_copy, tmp_path / "cnn.onnx")
