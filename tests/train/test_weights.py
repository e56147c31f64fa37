"""Trained weights in one file."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from ser_runtime.errors import RunFolderError
from ser_runtime.errors import StorageError
from ser_train.experiments import EXPERIMENTS
from ser_train.experiments import Experiment
from ser_train.weights import load_weights
from ser_train.weights import save_weights


@pytest.fixture(scope="module")
def model(training: ModuleType, small_experiment: Experiment) -> Any:
    return training.build_model(small_experiment, 0)


@pytest.fixture
def other(training: ModuleType, small_experiment: Experiment) -> Any:
    """The same architecture from another seed."""
    return training.build_model(small_experiment, 1)


@pytest.fixture
def saved(model: Any, tmp_path: Path) -> Path:
    save_weights(tmp_path / "weights.npz", model)
    return tmp_path / "weights.npz"


def test_weights_come_back(model: Any, other: Any, saved: Path) -> None:
    load_weights(saved, other)
    for one, two in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_arrays_have_the_names_of_the_variables(model: Any, saved: Path) -> None:
    with np.load(saved) as arrays:
        assert arrays.files[0] == "000 block1_conv1/kernel"
        assert len(arrays.files) == len(model.weights)


def test_the_same_weights_give_the_same_bytes(model: Any, saved: Path, tmp_path: Path) -> None:
    save_weights(tmp_path / "again.npz", model)
    assert (tmp_path / "again.npz").read_bytes() == saved.read_bytes()


def test_a_missing_file_is_refused(model: Any, tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"cannot read the weights .*none\.npz"):
        load_weights(tmp_path / "none.npz", model)


@pytest.mark.parametrize("keep", [0, 0.2, 0.99])
def test_a_truncated_file_is_refused(model: Any, saved: Path, keep: float) -> None:
    saved.write_bytes(saved.read_bytes()[: int(keep * saved.stat().st_size)])
    with pytest.raises(RunFolderError, match="cannot read the weights"):
        load_weights(saved, model)


def test_a_file_with_a_changed_byte_is_refused(model: Any, saved: Path) -> None:
    content = bytearray(saved.read_bytes())
    content[len(content) // 3] ^= 0xFF
    saved.write_bytes(content)
    with pytest.raises(RunFolderError, match="cannot read the weights"):
        load_weights(saved, model)


def test_a_plain_array_is_refused(model: Any, tmp_path: Path) -> None:
    with (tmp_path / "weights.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(RunFolderError):
        load_weights(tmp_path / "weights.npz", model)


def test_weights_of_another_architecture_are_refused(training: ModuleType, saved: Path) -> None:
    larger = training.build_model(EXPERIMENTS["cnn"], 0)
    with pytest.raises(RunFolderError, match="another architecture"):
        load_weights(saved, larger)


def test_weights_that_cannot_be_written_are_a_storage_error(model: Any) -> None:
    with pytest.raises(StorageError):
        save_weights(Path("/sys/weights.npz"), model)
