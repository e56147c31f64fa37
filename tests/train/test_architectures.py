"""The report's networks: parameter counts, axes, and the same function on every backend."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ser_train.experiments import EXPERIMENTS
from ser_train.experiments import Experiment
from ser_train.run_folder import RunFolder

PREDICT = """
import sys
import numpy as np
from ser_train.backend import use_backend
use_backend(sys.argv[1], 1)
from ser_train.architectures import cnn
from ser_train.weights import load_weights
inputs = np.load(sys.argv[3])
model = cnn(inputs.shape[1:])
from pathlib import Path
load_weights(Path(sys.argv[2]), model)
np.save(sys.argv[4], model.predict(inputs, verbose=0))
"""


@pytest.fixture(scope="module")
def cnn(tensorflow: None) -> Any:
    """The report's single CNN, untrained."""
    from ser_train.architectures import cnn

    return cnn((128, 94))


@pytest.fixture(scope="module")
def inputs() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((4, 128, 94), np.float32)


@pytest.mark.parametrize("experiment", EXPERIMENTS.values(), ids=EXPERIMENTS)
def test_an_experiments_model_has_its_parameters(tensorflow: None, experiment: Experiment) -> None:
    from ser_train.architectures import ARCHITECTURES

    model = ARCHITECTURES[experiment.architecture](experiment.spec.shape)
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    assert (model.count_params(), trainable) == (
        experiment.parameters,
        experiment.trainable_parameters,
    )


def test_batch_normalization_is_over_time(cnn: Any) -> None:
    norms = [layer for layer in cnn.layers if "norm" in layer.name]
    assert [layer.count_params() for layer in norms] == [376, 188, 44]


def test_the_classifier_sees_512_values(cnn: Any) -> None:
    assert cnn.get_layer("block1_flatten").output.shape == (None, 512)


def test_probabilities_sum_to_one(cnn: Any, inputs: np.ndarray) -> None:
    probabilities = cnn.predict(inputs, verbose=0)
    assert probabilities.shape == (4, 7)
    assert (probabilities >= 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)


def test_an_answer_does_not_depend_on_the_other_clips(cnn: Any, inputs: np.ndarray) -> None:
    together = cnn.predict(inputs, verbose=0)
    np.testing.assert_allclose(cnn.predict(inputs[:1], verbose=0), together[:1], atol=1e-6)


def test_time_and_coefficients_are_not_mistaken(tensorflow: None) -> None:
    import keras

    from ser_train.architectures import to_image

    features = keras.Input((3, 5))
    image = keras.Model(features, to_image(features))
    values = np.arange(15, dtype=np.float32).reshape(1, 3, 5)
    np.testing.assert_array_equal(image(values)[0, :, :, 0], values[0].T)


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_the_same_weights_are_the_same_function_on_every_backend(
    cnn: Any, tiny_run: Path, tmp_path: Path, inputs: np.ndarray, backend: str
) -> None:
    from ser_train.weights import load_weights

    weights = RunFolder(tiny_run).weights
    load_weights(weights, cnn)
    np.save(tmp_path / "inputs.npy", inputs)
    command = [sys.executable, "-c", PREDICT, backend, weights, "inputs.npy", "outputs.npy"]
    done = subprocess.run(command, cwd=tmp_path, env=os.environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    outputs = np.load(tmp_path / "outputs.npy")
    np.testing.assert_allclose(outputs, cnn.predict(inputs, verbose=0), atol=1e-5)
