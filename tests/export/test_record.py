"""Decisions of an earlier export, read again."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from ser_export.record import Decisions
from ser_export.record import read_decisions
from ser_export.record import record_path
from ser_runtime.errors import UsageError

ONE = Decisions("onnx-int8-weights", "cnn-int8.onnx", "basic", 2)
OTHER = Decisions("litert-fp16", "cnn-litert-fp16.tflite")


def write(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_decisions_of_a_file_are_read_from_its_record(tmp_path: Path) -> None:
    record = write(tmp_path / "a.json", {"path": "a", "decisions": asdict(ONE)})
    assert read_decisions(record) == [ONE]


def test_decisions_of_several_files_are_read_from_results(tmp_path: Path) -> None:
    files = [{"decisions": asdict(decided)} for decided in (ONE, OTHER)]
    assert read_decisions(write(tmp_path / "export.json", {"files": files})) == [ONE, OTHER]


@pytest.mark.parametrize(
    "content",
    [
        [],
        {},
        {"decisions": {"format": "onnx-fp32"}},
        {"decisions": {"format": "onnx-fp32", "name": "a.onnx", "more": 1}},
        {"decisions": {"format": "onnx-fp64", "name": "a.onnx"}},
        {"decisions": {"format": "onnx-fp32", "name": "../a.onnx"}},
        {"files": 3},
    ],
)
def test_a_damaged_record_is_refused(tmp_path: Path, content: object) -> None:
    with pytest.raises(UsageError):
        read_decisions(write(tmp_path / "a.json", content))


def test_a_file_that_is_not_there_or_no_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no such file"):
        read_decisions(tmp_path / "a.json")
    (tmp_path / "a.json").write_bytes(b"\xff")
    with pytest.raises(UsageError, match="holds no decisions"):
        read_decisions(tmp_path / "a.json")


def test_the_record_lies_beside_the_file() -> None:
    assert record_path(Path("exports/cnn-int8.onnx")) == Path("exports/cnn-int8.export.json")
