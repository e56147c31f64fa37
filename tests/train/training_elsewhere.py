"""Run by `test_backend.py` in a process of its own: Keras knows one backend."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from ser_train.backend import use_backend
from ser_train.dataset import Dataset
from ser_train.experiments import Experiment


class Stopped(Exception):  # noqa: N818
    """Ends a training from within, as a signal would."""


def stop(phase: str, epoch: int, batch: int, batches: int, metrics: dict[str, float]) -> None:
    if (epoch, batch) == (2, 2):
        raise Stopped


@pytest.mark.parametrize("architecture", ["two_cnn", "parallel"])
@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_a_training_that_was_stopped_ends_as_the_unbroken_one(
    small_data: Dataset,
    small_experiment: Experiment,
    tmp_path: Path,
    architecture: str,
    precision: str,
) -> None:
    use_backend(None, 1, precision)
    from ser_train.training import Recipe
    from ser_train.training import train

    experiment = dataclasses.replace(small_experiment, architecture=architecture, retrain=False)
    recipe = Recipe(experiment, 0, 3)
    whole, state = train(recipe, small_data, tmp_path / "unbroken.npz")
    assert state.history["search"]["loss"][2] < state.history["search"]["loss"][0]
    with pytest.raises(Stopped):
        train(recipe, small_data, tmp_path / "checkpoint.npz", progress=stop)
    resumed, _ = train(recipe, small_data, tmp_path / "checkpoint.npz")
    for one, other in zip(resumed.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
