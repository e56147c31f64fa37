"""The training loop: reproducible, resumable to the bit, and able to learn."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from ser_runtime.errors import RunFolderError
from ser_runtime.errors import TrainingError
from ser_train.checkpoint import TrainingState
from ser_train.dataset import Dataset
from ser_train.experiments import Experiment

EPOCHS = 2


class Stopped(Exception):  # noqa: N818
    """Ends a training from within, as a signal would."""


def weights(model: Any) -> list[np.ndarray]:
    return [np.array(value) for value in model.get_weights()]


def figures(state: TrainingState) -> dict[str, dict[str, list[float]]]:
    """The history without the seconds that it took."""
    return {
        phase: {name: values for name, values in metrics.items() if name != "seconds"}
        for phase, metrics in state.history.items()
    }


def assert_same(one: list[np.ndarray], other: list[np.ndarray]) -> None:
    for left, right in zip(one, other, strict=True):
        np.testing.assert_array_equal(left, right)


def stop_after_epoch(phase: str, epoch: int) -> dict[str, Callable[..., None]]:
    def on_epoch(now: str, done: int, metrics: dict[str, float]) -> None:
        if (now, done) == (phase, epoch):
            raise Stopped

    return {"on_epoch": on_epoch}


def stop_within_epoch(phase: str, epoch: int) -> dict[str, Callable[..., None]]:
    def progress(now: str, during: int, batch: int, batches: int, metrics: dict) -> None:
        if (now, during, batch) == (phase, epoch, 2):
            raise Stopped

    return {"progress": progress}


@pytest.fixture(scope="module")
def unbroken(
    training: ModuleType,
    small_data: Dataset,
    small_experiment: Experiment,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[list[np.ndarray], TrainingState]:
    """Final weights and history of a training from seed 0."""
    recipe = training.Recipe(small_experiment, 0, EPOCHS)
    checkpoint = tmp_path_factory.mktemp("unbroken") / "checkpoint.npz"
    model, state = training.train(recipe, small_data, checkpoint)
    assert state.best_epoch == EPOCHS, "resuming within the retraining needs two epochs of it"
    return weights(model), state


@pytest.fixture(scope="module")
def searched(
    training: ModuleType,
    small_data: Dataset,
    small_experiment: Experiment,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Any, TrainingState]:
    """Model and history of a search of at most 40 epochs, without retraining."""
    experiment = dataclasses.replace(
        small_experiment, learning_rate=0.02, batch_size=4, patience=2, retrain=False
    )
    checkpoint = tmp_path_factory.mktemp("searched") / "checkpoint.npz"
    return training.train(training.Recipe(experiment, 0, 40), small_data, checkpoint)


def test_the_same_seed_gives_the_same_weights(
    training: ModuleType,
    small_data: Dataset,
    small_experiment: Experiment,
    unbroken: tuple[list[np.ndarray], TrainingState],
    tmp_path: Path,
) -> None:
    recipe = training.Recipe(small_experiment, 0, EPOCHS)
    model, state = training.train(recipe, small_data, tmp_path / "checkpoint.npz")
    assert_same(weights(model), unbroken[0])
    assert figures(state) == figures(unbroken[1])


def test_another_seed_gives_other_weights(
    training: ModuleType,
    small_data: Dataset,
    small_experiment: Experiment,
    unbroken: tuple[list[np.ndarray], TrainingState],
    tmp_path: Path,
) -> None:
    recipe = training.Recipe(small_experiment, 1, EPOCHS)
    model, _ = training.train(recipe, small_data, tmp_path / "checkpoint.npz")
    assert not np.array_equal(weights(model)[0], unbroken[0][0])


@pytest.mark.parametrize(
    "stop",
    [
        stop_within_epoch("search", 2),
        stop_after_epoch("search", EPOCHS),
        stop_within_epoch("retrain", 1),
        stop_after_epoch("retrain", 1),
    ],
    ids=["within search 2", "after search 2", "within retrain 1", "after retrain 1"],
)
def test_a_training_that_was_stopped_ends_as_the_unbroken_one(
    training: ModuleType,
    small_data: Dataset,
    small_experiment: Experiment,
    unbroken: tuple[list[np.ndarray], TrainingState],
    tmp_path: Path,
    stop: dict[str, Callable[..., None]],
) -> None:
    recipe = training.Recipe(small_experiment, 0, EPOCHS)
    checkpoint = tmp_path / "checkpoint.npz"
    with pytest.raises(Stopped):
        training.train(recipe, small_data, checkpoint, **stop)
    model, state = training.train(recipe, small_data, checkpoint)
    assert_same(weights(model), unbroken[0])
    assert figures(state) == figures(unbroken[1])


@pytest.fixture(scope="module")
def parallel_experiment(small_experiment: Experiment) -> Experiment:
    """`parallel` on features of 32 x 32."""
    return dataclasses.replace(
        small_experiment,
        architecture="parallel",
        learning_rate=1e-3,
        retrain=False,
    )


def test_a_parallel_training_that_was_stopped_ends_as_the_unbroken_one(
    training: ModuleType,
    small_data: Dataset,
    parallel_experiment: Experiment,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # One encoder layer draws as four do, and TensorFlow is through with it sooner.
    monkeypatch.setattr("ser_train.architectures._ENCODER_LAYERS", 1)
    recipe = training.Recipe(parallel_experiment, 0, EPOCHS)
    whole, _ = training.train(recipe, small_data, tmp_path / "unbroken.npz")
    checkpoint = tmp_path / "checkpoint.npz"
    with pytest.raises(Stopped):
        training.train(recipe, small_data, checkpoint, **stop_within_epoch("search", 2))
    model, _ = training.train(recipe, small_data, checkpoint)
    assert_same(weights(model), weights(whole))


def random_states(model: Any) -> list[tuple[int, ...]]:
    """The state of every source of random numbers in a model."""
    states = [variable for variable in model.variables if "seed_generator" in variable.path]
    return [tuple(np.asarray(variable.numpy()).tolist()) for variable in states]


def test_every_random_layer_of_a_parallel_model_is_seeded_by_the_epoch(
    training: ModuleType, parallel_experiment: Experiment
) -> None:
    model = training.build_model(parallel_experiment, 0)
    training._seed_dropout(model, (0, 1))
    first = random_states(model)
    training._seed_dropout(model, (0, 2))
    second = random_states(model)
    # Three dropouts of each CNN block, three of each of four encoders.
    assert len(first) >= 2 * 3 + 4 * 3
    assert not set(first) & set(second)


def test_every_dropout_of_a_parallel_model_is_the_fast_one(
    training: ModuleType, parallel_experiment: Experiment
) -> None:
    import keras

    from ser_train.fast_layers import Dropout

    layers = training.build_model(parallel_experiment, 0)._flatten_layers()
    dropouts = [layer for layer in layers if isinstance(layer, keras.layers.Dropout)]
    assert len(dropouts) == 2 * 3 + 4 * 3
    assert all(isinstance(layer, Dropout) for layer in dropouts)


def test_no_two_random_layers_share_a_seed(
    training: ModuleType, parallel_experiment: Experiment
) -> None:
    model = training.build_model(parallel_experiment, 0)
    training._seed_dropout(model, (0, 1))
    states = random_states(model)
    assert len(set(states)) == len(states)


def test_the_same_epoch_gets_the_same_seeds_in_another_model(
    training: ModuleType, parallel_experiment: Experiment
) -> None:
    states = []
    for seed in (0, 1):
        model = training.build_model(parallel_experiment, seed)
        training._seed_dropout(model, (0, 1))
        states.append(random_states(model))
    assert states[0] == states[1]


def test_a_finished_training_is_not_trained_further(
    training: ModuleType, small_data: Dataset, small_experiment: Experiment, tmp_path: Path
) -> None:
    recipe = training.Recipe(dataclasses.replace(small_experiment, retrain=False), 0, 1)
    checkpoint = tmp_path / "checkpoint.npz"
    model, _ = training.train(recipe, small_data, checkpoint)
    before = checkpoint.read_bytes()
    again, _ = training.train(recipe, small_data, checkpoint, **stop_after_epoch("search", 2))
    assert checkpoint.read_bytes() == before
    assert_same(weights(again), weights(model))


def test_callbacks_hear_of_every_batch_and_epoch(
    training: ModuleType, small_data: Dataset, small_experiment: Experiment, tmp_path: Path
) -> None:
    batches, epochs = [], []
    training.train(
        training.Recipe(small_experiment, 0, 1),
        small_data,
        tmp_path / "checkpoint.npz",
        lambda *call: batches.append(call[:4]),
        lambda *call: epochs.append(call[:2]),
    )
    phases = ("search", "retrain")
    assert batches == [(phase, 1, done, 3) for phase in phases for done in (1, 2, 3)]
    assert epochs == [("search", 1), ("retrain", 1)]


def test_retraining_takes_the_best_number_of_epochs(
    unbroken: tuple[list[np.ndarray], TrainingState],
) -> None:
    _, state = unbroken
    assert len(state.val_losses("retrain")) == state.best_epoch


def test_the_best_epoch_has_the_lowest_validation_loss(
    unbroken: tuple[list[np.ndarray], TrainingState],
) -> None:
    _, state = unbroken
    assert state.best_epoch == 1 + int(np.argmin(state.val_losses("search")))


def test_the_search_ends_when_patience_does(searched: tuple[Any, TrainingState]) -> None:
    _, state = searched
    assert len(state.val_losses("search")) == state.best_epoch + 2


def test_without_retraining_the_weights_of_the_best_epoch_are_kept(
    training: ModuleType, small_data: Dataset, searched: tuple[Any, TrainingState]
) -> None:
    model, state = searched
    probabilities = training.predict(model, small_data.validation)
    right = probabilities[np.arange(28), small_data.validation.classes]
    loss = -np.log(np.maximum(right, 1e-7)).mean()
    assert loss == pytest.approx(min(state.val_losses("search")), rel=1e-4)


def test_without_retraining_there_is_one_phase(searched: tuple[Any, TrainingState]) -> None:
    assert list(searched[1].history) == ["search"]


def test_a_learnable_problem_is_learnt(
    training: ModuleType, small_data: Dataset, searched: tuple[Any, TrainingState]
) -> None:
    recognized = training.predict(searched[0], small_data.test).argmax(axis=1)
    assert (recognized == small_data.test.classes).mean() > 0.9


def test_a_loss_that_is_not_a_number_names_batch_and_epoch(
    training: ModuleType, small_data: Dataset, small_experiment: Experiment, tmp_path: Path
) -> None:
    experiment = dataclasses.replace(small_experiment, learning_rate=float("nan"))
    with pytest.raises(TrainingError, match=r"batch 2 of epoch 1 \(search\)"):
        training.train(training.Recipe(experiment, 0, 1), small_data, tmp_path / "checkpoint.npz")


def test_weights_that_fail_in_the_last_batch_of_an_epoch_are_not_kept(
    training: ModuleType, small_data: Dataset, small_experiment: Experiment, tmp_path: Path
) -> None:
    # The one batch's loss is a number still; the weights after it are not.
    experiment = dataclasses.replace(small_experiment, learning_rate=float("nan"), batch_size=84)
    with pytest.raises(TrainingError):
        training.train(training.Recipe(experiment, 0, 1), small_data, tmp_path / "checkpoint.npz")
    assert not list(tmp_path.iterdir())


def test_a_damaged_checkpoint_is_refused(
    training: ModuleType, small_data: Dataset, small_experiment: Experiment, tmp_path: Path
) -> None:
    checkpoint = tmp_path / "checkpoint.npz"
    checkpoint.write_bytes(b"damaged")
    with pytest.raises(RunFolderError, match="checkpoint"):
        training.train(training.Recipe(small_experiment, 0, EPOCHS), small_data, checkpoint)


def test_predictions_do_not_depend_on_the_other_clips_of_a_batch(
    training: ModuleType, small_data: Dataset, small_experiment: Experiment
) -> None:
    model = training.build_model(small_experiment, 0)
    test = small_data.test
    single = dataclasses.replace(
        test, ids=test.ids[:1], rows=test.rows[:1], copies=test.copies[:1], classes=test.classes[:1]
    )
    together = training.predict(model, test)
    np.testing.assert_allclose(training.predict(model, single)[0], together[0], atol=1e-6)


def test_the_experiments_learning_rate_is_used(
    training: ModuleType, small_experiment: Experiment
) -> None:
    model = training.build_model(small_experiment, 0)
    assert float(model.optimizer.learning_rate) == pytest.approx(small_experiment.learning_rate)
