"""Fixtures of the export tests: Keras set up once, and runs of one's own to damage."""

from __future__ import annotations

import importlib
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import onnx
import pytest

from ser_runtime.feature_spec import FeatureSpec
from ser_train.run_folder import RunFolder

ROOT = Path(__file__).resolve().parent.parent.parent

Command = Callable[..., subprocess.CompletedProcess[str]]
Export = Callable[..., Any]


@pytest.fixture(scope="session")
def tensorflow() -> None:
    """Keras on TensorFlow with one thread: it can be set up only once in a process."""
    from ser_train.backend import use_backend

    use_backend("tensorflow", 1)


@pytest.fixture(scope="session")
def export(tensorflow: None) -> ModuleType:
    """`ser_export.export`, which imports Keras."""
    return importlib.import_module("ser_export.export")


@pytest.fixture(scope="session")
def export_to(export: ModuleType) -> Export:
    """Exports a run into a folder under the name `model`; further arguments are the request's."""
    from ser_export.export_clips import ExportClips
    from ser_export.progress import Progress

    def run_export(run: RunFolder, out: Path, *formats: str, **request: Any) -> Any:
        if formats:
            request["formats"] = formats
        wanted = export.Request(**request)
        return export.export(run, ExportClips(run), wanted, out, "model", Progress())

    return run_export


@pytest.fixture
def run_copy(tiny_run: Path, tmp_path: Path) -> RunFolder:
    """A copy of `tiny_run` that a test may change."""
    shutil.copytree(tiny_run, tmp_path / "runs" / tiny_run.name)
    return RunFolder(tmp_path / "runs" / tiny_run.name)


@pytest.fixture(scope="session")
def small_cnn(tensorflow: None) -> Any:
    """The single CNN on small features, untrained, its normalization no identity."""
    import keras
    import numpy as np

    from ser_train.architectures import cnn

    keras.utils.set_random_seed(0)
    model = cnn(FeatureSpec(window_samples=31 * 512, n_mels=32).shape)
    rng = np.random.default_rng(0)
    for variable in model.weights:
        if variable.path.split("/")[-1] in ("gamma", "beta", "moving_mean", "moving_variance"):
            shift = rng.uniform(0.1, 0.5, variable.shape)
            variable.assign(np.asarray(variable.numpy()) + shift)
    return model


@pytest.fixture(scope="session")
def small_graph(small_cnn: Any) -> onnx.ModelProto:
    """`small_cnn` in ONNX; tests do not change it."""
    from ser_export.onnx_conversion import convert_to_onnx

    return convert_to_onnx(small_cnn)


@pytest.fixture(scope="session")
def small_inputs() -> Any:
    """float32 [24, 32, 32], as `small_cnn` takes them."""
    import numpy as np

    return np.random.default_rng(1).standard_normal((24, 32, 32), np.float32)
