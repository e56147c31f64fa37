"""The memory that recognizing with a file takes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import onnx
import pytest
from conftest import made_up_graph
from onnx import helper

from ser_export.peak_memory import peak_memory
from ser_runtime.errors import VerificationError
from ser_runtime.feature_spec import MFCC
from ser_runtime.model_metadata import ModelMetadata


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_a_file_with_40_mb_of_weights_takes_as_much_more(
    made_up_model: Path, metadata: ModelMetadata, tmp_path: Path
) -> None:
    classes = 40_000_000 // (4 * MFCC.shape[0] * MFCC.shape[1])
    graph = made_up_graph(MFCC.shape, classes)
    labels = tuple(f"label {number}" for number in range(classes))
    properties = dataclasses.replace(metadata, labels=labels).to_properties()
    helper.set_model_props(graph, properties)
    onnx.save(graph, tmp_path / "large.onnx")
    small, large = peak_memory(made_up_model), peak_memory(tmp_path / "large.onnx")
    assert 20 < small < 150
    assert large - small > 35


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_a_file_that_another_process_cannot_use_is_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"broken")
    with pytest.raises(VerificationError, match=r"cannot use it: .*ModelFileError: .*broken\.onnx"):
        peak_memory(tmp_path / "broken.onnx")
