"""Model files at hand, side by side."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest

from ser_export.comparison import COLUMNS
from ser_export.comparison import compare_files
from ser_export.comparison import rows
from ser_export.progress import Progress
from ser_export.record import record_path
from ser_runtime.errors import RunFolderError
from ser_runtime.errors import UsageError
from ser_runtime.model import Model
from ser_runtime.model_metadata import ModelMetadata
from ser_train.run_folder import RunFolder


def with_metadata(path: Path, target: Path, **changes: object) -> Path:
    """A copy of a file that says something else of itself."""
    graph = onnx.load(path)
    metadata = dataclasses.replace(Model.open(path).metadata, **changes)
    onnx.helper.set_model_props(graph, metadata.to_properties())
    onnx.save(graph, target)
    return target


def copy_with_record(path: Path, folder: Path, **changes: object) -> Path:
    """A copy of a published file, whose record says something else."""
    folder.mkdir()
    copy = folder / path.name
    shutil.copy(path, copy)
    record = json.loads(record_path(path).read_text(encoding="utf-8")) | changes
    record_path(copy).write_text(json.dumps(record), encoding="utf-8")
    return copy


@pytest.fixture
def other_file(tiny_model: Path, made_up_model: Path, tmp_path: Path) -> Path:
    """A file with other answers, on the same split."""
    of_tiny = Model.open(tiny_model).metadata
    return with_metadata(
        made_up_model,
        tmp_path / "other.onnx",
        protocol=of_tiny.protocol,
        split_hash=of_tiny.split_hash,
    )


def test_files_are_set_beside_the_first(
    tiny_model: Path, other_file: Path, tiny_run: Path, tmp_path: Path
) -> None:
    compared = compare_files(
        [tiny_model, other_file, tiny_model], tiny_run, None, tmp_path, Progress()
    )
    first, other, again = (item.verification for item in compared)
    assert first.largest_difference == again.largest_difference == 0.0
    assert first.accuracy == pytest.approx(Model.open(tiny_model).metadata.test_accuracy)
    test = RunFolder(tiny_run).read_set("test")
    recognized = Model.open(other_file).raw_probabilities(test.features).argmax(axis=1)
    assert other.accuracy == pytest.approx((recognized == test.classes).mean())
    assert other.largest_difference > 0.01
    assert compared[0].latency.relative == 1.0
    assert compared[0].bytes == tiny_model.stat().st_size
    assert (compared[0].parameters, compared[1].parameters) == (27_495, None)


def test_parameters_are_those_that_the_record_of_this_very_file_gives(
    tiny_model: Path, tiny_run: Path, tmp_path: Path
) -> None:
    # Not those of today's experiment of that name, which may have another recipe.
    mine = copy_with_record(tiny_model, tmp_path / "mine", parameters=123)
    anothers = copy_with_record(tiny_model, tmp_path / "anothers", sha256="0" * 64)
    compared = compare_files([mine, anothers], tiny_run, None, tmp_path, Progress())
    assert [item.parameters for item in compared] == [123, None]


def test_a_damaged_record_is_named(tiny_model: Path, tiny_run: Path, tmp_path: Path) -> None:
    copy = copy_with_record(tiny_model, tmp_path / "copy", parameters="many")
    with pytest.raises(UsageError, match=r"export\.json is damaged"):
        compare_files([copy], tiny_run, None, tmp_path, Progress())


def test_a_row_has_a_cell_for_each_column(tiny_model: Path, tiny_run: Path, tmp_path: Path) -> None:
    compared = compare_files([tiny_model], tiny_run, None, tmp_path, Progress())
    (row,) = rows(compared)
    assert len(row) == len(COLUMNS)
    assert row[0] == "cnn.onnx"
    assert row[COLUMNS.index("parameters")] == "27,495"


def test_the_corpora_give_the_clips_of_the_files_own_split(
    tiny_model: Path, tiny_run: Path, tiny_corpora: Path, cache: Path
) -> None:
    (of_run,) = compare_files([tiny_model], tiny_run, None, cache, Progress())
    (of_corpora,) = compare_files([tiny_model], None, tiny_corpora, cache, Progress())
    assert of_corpora.verification == of_run.verification


def test_files_of_different_splits_are_refused(
    tiny_model: Path, made_up_model: Path, tiny_run: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="only files of one split can be compared"):
        compare_files([tiny_model, made_up_model], tiny_run, None, tmp_path, Progress())


def test_a_run_of_another_split_is_refused(
    tiny_model: Path, run_copy: RunFolder, tmp_path: Path
) -> None:
    run_copy.write_json("config", run_copy.config() | {"split_hash": "0" * 16})
    with pytest.raises(UsageError, match="only files of one split can be compared"):
        compare_files([tiny_model], run_copy.path, None, tmp_path, Progress())


def test_a_file_that_takes_other_features_than_the_run_holds_is_refused(
    tiny_model: Path, metadata: ModelMetadata, run_copy: RunFolder, tmp_path: Path
) -> None:
    config = run_copy.config()
    config["experiment"]["spec"]["fmax"] = 7000.0
    run_copy.write_json("config", config)
    with pytest.raises(UsageError, match=r"takes other features, .*compare with --corpora DIR"):
        compare_files([tiny_model], run_copy.path, None, tmp_path, Progress())


def test_other_corpora_than_those_of_the_files_are_refused(
    tiny_model: Path, tiny_corpora: Path, cache: Path, tmp_path: Path
) -> None:
    changed = with_metadata(tiny_model, tmp_path / "changed.onnx", split_hash="0" * 16)
    with pytest.raises(RunFolderError, match="trained on other clips: the hash of its split is 0"):
        compare_files([changed], None, tiny_corpora, cache, Progress())


def test_a_protocol_of_tomorrow_is_refused(
    tiny_model: Path, tiny_corpora: Path, cache: Path, tmp_path: Path
) -> None:
    changed = with_metadata(tiny_model, tmp_path / "changed.onnx", protocol="other")
    with pytest.raises(UsageError, match="protocol 'other', unknown to this version"):
        compare_files([changed], None, tiny_corpora, cache, Progress())


def test_differences_are_of_probabilities_without_temperature(
    tiny_model: Path, tiny_run: Path, tmp_path: Path
) -> None:
    hot = with_metadata(tiny_model, tmp_path / "hot.onnx", temperature=7.0)
    compared = compare_files([tiny_model, hot], tiny_run, None, tmp_path, Progress())
    assert np.float32(compared[1].verification.largest_difference) == 0.0
