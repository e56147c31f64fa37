"""The state of a training in one file."""

from __future__ import annotations

import pickle
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from ser_runtime.errors import RunFolderError
from ser_runtime.errors import StorageError
from ser_train.checkpoint import TrainingState
from ser_train.checkpoint import load_checkpoint
from ser_train.checkpoint import save_checkpoint
from ser_train.experiments import EXPERIMENTS
from ser_train.experiments import Experiment

METRICS = {"loss": 2.0, "accuracy": 0.1, "val_loss": 1.9, "val_accuracy": 0.2, "seconds": 3.5}


@pytest.fixture(scope="module")
def model(training: ModuleType, small_experiment: Experiment) -> Any:
    """An untrained model whose optimizer's variables are all different."""
    made = training.build_model(small_experiment, 0)
    rng = np.random.default_rng(0)
    for variable in made.optimizer.variables[2:]:
        variable.assign(rng.standard_normal(variable.shape))
    made.optimizer.iterations.assign(77)
    return made


@pytest.fixture(scope="module")
def state(model: Any) -> TrainingState:
    """A search of two epochs, the first of them the best."""
    first = TrainingState("search").after_epoch(METRICS, model.get_weights())
    return first.after_epoch(METRICS | {"val_loss": 2.5}, None)


@pytest.fixture
def saved(model: Any, state: TrainingState, tmp_path: Path) -> Path:
    path = tmp_path / "checkpoint.npz"
    save_checkpoint(path, model, state)
    return path


@pytest.fixture(scope="module")
def other_model(training: ModuleType, small_experiment: Experiment) -> Any:
    """The same architecture from another seed."""
    return training.build_model(small_experiment, 1)


def test_weights_come_back(model: Any, other_model: Any, saved: Path) -> None:
    load_checkpoint(saved, other_model)
    for one, other in zip(model.get_weights(), other_model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_optimizer_comes_back(model: Any, other_model: Any, saved: Path) -> None:
    load_checkpoint(saved, other_model)
    pairs = zip(model.optimizer.variables, other_model.optimizer.variables, strict=True)
    for one, other in pairs:
        np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_the_state_comes_back(other_model: Any, state: TrainingState, saved: Path) -> None:
    loaded = load_checkpoint(saved, other_model)
    assert (loaded.phase, loaded.history, loaded.best_epoch) == ("search", state.history, 1)
    for one, other in zip(loaded.best_weights, state.best_weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_no_best_weights_come_back_as_none(model: Any, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "c.npz", model, TrainingState("retrain"))
    assert load_checkpoint(tmp_path / "c.npz", model).best_weights is None


@pytest.mark.parametrize("keep", [0, 100, 0.5, 0.99])
def test_a_truncated_checkpoint_is_refused(model: Any, saved: Path, keep: float) -> None:
    content = saved.read_bytes()
    saved.write_bytes(content[: int(keep if keep > 1 else keep * len(content))])
    with pytest.raises(RunFolderError, match=r"checkpoint\.npz is damaged .*--fresh"):
        load_checkpoint(saved, model)


@pytest.mark.parametrize("place", [0.1, 0.3, 0.7])
def test_a_checkpoint_with_a_changed_byte_is_refused(model: Any, saved: Path, place: float) -> None:
    content = bytearray(saved.read_bytes())
    content[int(place * len(content))] ^= 0xFF
    saved.write_bytes(content)
    with pytest.raises(RunFolderError, match="is damaged"):
        load_checkpoint(saved, model)


def test_a_file_that_is_no_checkpoint_is_refused(model: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "c.npz", np.zeros(3))
    (tmp_path / "c.npz.npy").rename(tmp_path / "c.npz")
    with pytest.raises(RunFolderError):
        load_checkpoint(tmp_path / "c.npz", model)


@pytest.mark.parametrize("content", ["[]", "{", '{"phase": "search"}'])
def test_a_state_that_is_none_is_refused(model: Any, tmp_path: Path, content: str) -> None:
    arrays = {f"weight{i}": value for i, value in enumerate(model.get_weights())}
    arrays |= {f"optimizer{i}": v.numpy() for i, v in enumerate(model.optimizer.variables)}
    np.savez(tmp_path / "c.npz", state=np.array(content), **arrays)
    with pytest.raises(RunFolderError):
        load_checkpoint(tmp_path / "c.npz", model)


def test_a_checkpoint_of_another_model_is_refused(
    training: ModuleType, model: Any, saved: Path
) -> None:
    larger = training.build_model(EXPERIMENTS["cnn"], 0)
    with pytest.raises(RunFolderError, match="of another model"):
        load_checkpoint(saved, larger)


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[Path]]:
        return Path.touch, (self.path,)


def test_a_checkpoint_is_never_unpickled(model: Any, tmp_path: Path) -> None:
    trap = np.empty((), object)
    trap[()] = Trap(tmp_path / "sprung")
    np.savez(tmp_path / "array.npz", state=trap)
    (tmp_path / "plain.npz").write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    for name in ("array.npz", "plain.npz"):
        with pytest.raises(RunFolderError):
            load_checkpoint(tmp_path / name, model)
    assert not (tmp_path / "sprung").exists()


def test_a_checkpoint_that_cannot_be_written_is_a_storage_error(
    model: Any, state: TrainingState
) -> None:
    with pytest.raises(StorageError, match=r"cannot write /sys/"):
        save_checkpoint(Path("/sys/checkpoint.npz"), model, state)


def test_an_epoch_joins_the_history_of_its_phase() -> None:
    state = TrainingState("search").after_epoch(METRICS, None).start_phase("retrain")
    state = state.after_epoch(METRICS, None).after_epoch(METRICS, None)
    assert {phase: len(values["loss"]) for phase, values in state.history.items()} == {
        "search": 1,
        "retrain": 2,
    }


@pytest.mark.parametrize(
    ("losses", "best"), [([3, 2, 1], 3), ([1, 2, 3], 1), ([2, 1, 1], 2), ([2, 1, 3, 0.5], 4)]
)
def test_the_best_epoch_is_the_first_of_lowest_validation_loss(
    losses: list[float], best: int
) -> None:
    state = TrainingState("search")
    for loss in losses:
        state = state.after_epoch({"val_loss": loss}, [np.array(loss)])
    assert state.best_epoch == best
    assert state.best_weights == [np.array(losses[best - 1])]


def test_epochs_of_retraining_do_not_move_the_best_epoch() -> None:
    state = TrainingState("search").after_epoch({"val_loss": 2.0}, None).start_phase("retrain")
    state = state.after_epoch({"val_loss": 3.0}, None).after_epoch({"val_loss": 0.1}, None)
    assert state.best_epoch == 1
