"""ONNX Runtime, as this package loads it and sets it up for a file."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import pytest

from ser_runtime import onnx_backend
from ser_runtime.errors import ModelFileError
from ser_runtime.model_metadata import ModelMetadata

OPEN_AND_LIST = """
import os
import sys
from ser_runtime.model import Model
Model.open(sys.argv[1])
print(*(os.readlink(entry.path) for entry in os.scandir("/proc/self/fd") if entry.is_symlink()))
"""
# ONNX Runtime is silent where one of these is set.
SILENCING = ("ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS", "CI")


@pytest.mark.skipif(sys.platform != "linux", reason="open files are listed by Linux's /proc")
def test_onnx_runtime_reports_nothing_to_its_maker(made_up_model: Path, tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if k not in SILENCING}
    environment |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    command = [sys.executable, "-c", OPEN_AND_LIST, str(made_up_model)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=True, env=environment
    )
    assert "onnxruntime.db" not in done.stdout
    assert list(tmp_path.iterdir()) == []


def content_with(path: Path, metadata: ModelMetadata) -> bytes:
    graph = onnx.load(path)
    onnx.helper.set_model_props(graph, metadata.to_properties())
    return graph.SerializeToString()


def options_of(content: bytes) -> onnxruntime.SessionOptions:
    backend, _ = onnx_backend.open_onnx(content)
    session: Any = backend._session
    return session.get_session_options()


def test_a_file_is_opened_at_every_level_of_optimization_and_one_thread(
    made_up_model: Path,
) -> None:
    options = options_of(made_up_model.read_bytes())
    assert options.graph_optimization_level == onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    assert options.intra_op_num_threads == 1


def test_a_file_is_opened_as_its_metadata_asks(
    made_up_model: Path, metadata: ModelMetadata
) -> None:
    asking = dataclasses.replace(metadata, graph_optimization="basic", threads=2)
    options = options_of(content_with(made_up_model, asking))
    assert options.graph_optimization_level == onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    assert options.intra_op_num_threads == 2


def test_settings_that_cannot_be_are_refused(made_up_model: Path, metadata: ModelMetadata) -> None:
    asking = dataclasses.replace(metadata, threads=1000)
    with pytest.raises(ModelFileError, match="threads is 1000"):
        onnx_backend.open_onnx(content_with(made_up_model, asking))
