"""Fixtures for all tests: real corpora where they are, made-up ones, and a small trained run."""

from __future__ import annotations

import os
import site
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from onnx import helper

from ser_runtime.feature_spec import MFCC
from ser_runtime.labels import EMOTIONS
from ser_runtime.model_metadata import ModelMetadata
from ser_runtime.standardization import Standardization

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from synthetic_corpora import write_corpora  # noqa: E402

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def corpora() -> Path:
    """The real corpora: `$SER_EDGE_CORPORA`, or `../shared/corpora` beside the repository."""
    folder = Path(os.environ.get("SER_EDGE_CORPORA") or ROOT.parent / "shared" / "corpora")
    if not folder.is_dir():
        pytest.skip(f"needs the corpora: {folder} is not there (set SER_EDGE_CORPORA)")
    return folder


@pytest.fixture(scope="session")
def speech() -> Path:
    """The synthesized speech of the examples."""
    return ROOT / "examples" / "speech.flac"


@pytest.fixture(scope="session")
def run_module() -> Command:
    """Runs `python -m module ...` as a user would; returns exit code, stdout and stderr."""

    def run(module: str, *arguments: object, **options: object) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", module, *map(str, arguments)]
        defaults = {"capture_output": True, "text": True, "timeout": 300}
        return subprocess.run(command, **(defaults | options))

    return run


@pytest.fixture
def run_without(tmp_path: Path) -> Command:
    """Runs `python -m module` where a package is truly absent: the others are linked to."""

    def run(package: str, module: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        installed = tmp_path / "installed"
        installed.mkdir()
        for folder in site.getsitepackages():
            for entry in Path(folder).iterdir():
                if entry.name.split("-")[0].split(".")[0] != package:
                    (installed / entry.name).symlink_to(entry)
        rooms = [str(ROOT / room) for room in ("runtime", "train", "export")]
        # -S: without the environment's own site-packages.
        return subprocess.run(
            [sys.executable, "-S", "-m", module, *map(str, arguments)],
            env=os.environ | {"PYTHONPATH": os.pathsep.join([*rooms, str(installed)])},
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run


@pytest.fixture(scope="session")
def tiny_corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """226 made-up clips in the official layouts; tests do not change them."""
    folder = tmp_path_factory.mktemp("corpora")
    write_corpora(folder, per_emotion=2)
    return folder


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder for the session."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def tiny_run(
    tiny_corpora: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory, run_module: Command
) -> Path:
    """A complete run folder of `cnn` on the made-up corpora; tests do not change it."""
    runs = tmp_path_factory.mktemp("runs")
    done = run_module(
        "ser_train", "cnn", "--corpora", tiny_corpora, "--cache", cache, "--out", runs,
        "--max-epochs", 3, "--threads", 1,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return runs / "cnn-report-seed0"


@pytest.fixture(scope="session")
def tiny_model(
    tiny_run: Path, tmp_path_factory: pytest.TempPathFactory, run_module: Command
) -> Path:
    """The model file exported from `tiny_run`."""
    folder = tmp_path_factory.mktemp("exports")
    done = run_module("ser_export", "--model", tiny_run, "--out", folder)
    assert done.returncode == 0, done.stderr
    return folder / "cnn.onnx"


@pytest.fixture(scope="session")
def metadata() -> ModelMetadata:
    """Metadata of a made-up model."""
    coefficients = MFCC.coefficients
    return ModelMetadata(
        name="made-up",
        model_version="1",
        spec=MFCC,
        standardization=Standardization(
            np.zeros((coefficients, 1), np.float32), np.full((coefficients, 1), 50, np.float32)
        ),
        labels=EMOTIONS,
        quantization="none",
        protocol="report",
        split_hash="0" * 16,
        test_accuracy=0.5,
        test_macro_f1=0.5,
        report_accuracy=0.67,
        temperature=1.5,
        confidence_threshold=0.6,
        licence="none",
        note="made up",
    )


@pytest.fixture(scope="session")
def made_up_model(metadata: ModelMetadata, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file with a known function: softmax of one dense layer with fixed random weights."""
    path = tmp_path_factory.mktemp("models") / "made_up.onnx"
    graph = made_up_graph(MFCC.shape)
    helper.set_model_props(graph, metadata.to_properties())
    onnx.save(graph, path)
    return path


def made_up_graph(shape: tuple[int, int], classes: int = len(EMOTIONS)) -> onnx.ModelProto:
    """[batch, *shape] -> probabilities [batch, classes], without metadata."""
    size = shape[0] * shape[1]
    weights = np.random.default_rng(0).normal(0, 0.3 / size**0.5, (size, classes))
    nodes = [
        helper.make_node("Flatten", ["features"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "made-up",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", *shape])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", classes])],
        [helper.make_tensor("weights", TensorProto.FLOAT, weights.shape, weights.ravel())],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
