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
from ser_train.architectures import make_architecture
from ser_train.weights import load_weights
inputs = np.load(sys.argv[4])
model = make_architecture(sys.argv[2], inputs.shape[1:])
from pathlib import Path
load_weights(Path(sys.argv[3]), model)
np.save(sys.argv[5], model.predict(inputs, verbose=0))
"""

HALF_PRECISION = """
import numpy as np
from ser_train.backend import use_backend
use_backend("tensorflow", 1, "mixed_bfloat16")
from ser_train.architectures import make_architecture
model = make_architecture("parallel", (32, 32))
inputs = np.random.default_rng(0).standard_normal((2, 32, 32), np.float32)
print(model.get_layer("block1_conv1").compute_dtype, model(inputs).dtype.name)
"""

OF_FEATURES = {name: row for name, row in EXPERIMENTS.items() if row.family == "features"}


@pytest.fixture(scope="module")
def cnn(tensorflow: None) -> Any:
    """The report's single CNN, untrained."""
    from ser_train.architectures import cnn

    return cnn((128, 94))


@pytest.fixture(scope="module")
def inputs() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((4, 128, 94), np.float32)


@pytest.mark.parametrize("experiment", OF_FEATURES.values(), ids=OF_FEATURES)
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
    outputs = predicted_elsewhere(tmp_path, backend, "cnn", weights, inputs)
    np.testing.assert_allclose(outputs, cnn.predict(inputs, verbose=0), atol=1e-5)


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_the_same_weights_are_the_same_parallel_model_on_every_backend(
    parallel: Any, tmp_path: Path, small_inputs: np.ndarray, backend: str
) -> None:
    from ser_train.weights import save_weights

    save_weights(tmp_path / "weights.npz", parallel)
    outputs = predicted_elsewhere(
        tmp_path, backend, "parallel", tmp_path / "weights.npz", small_inputs
    )
    np.testing.assert_allclose(outputs, parallel.predict(small_inputs, verbose=0), atol=1e-5)


def predicted_elsewhere(
    folder: Path, backend: str, architecture: str, weights: Path, inputs: np.ndarray
) -> np.ndarray:
    """What a process of its own predicts on another backend."""
    np.save(folder / "inputs.npy", inputs)
    command = [sys.executable, "-c", PREDICT, backend, architecture, weights, "inputs.npy", "out"]
    done = subprocess.run(command, cwd=folder, env=os.environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return np.load(folder / "out.npy")


@pytest.fixture(scope="module")
def small_inputs() -> np.ndarray:
    """32 clips of 32 x 32: clips and frames can change places."""
    return np.random.default_rng(1).standard_normal((32, 32, 32), np.float32)


@pytest.fixture(scope="module")
def parallel(tensorflow: None) -> Any:
    """The parallel model at 32 x 32, with weights that no initialization gives."""
    return with_random_weights("parallel")


def with_random_weights(architecture: str, **options: str) -> Any:
    from ser_train.architectures import make_architecture

    model = make_architecture(architecture, (32, 32), options)
    rng = np.random.default_rng(0)
    # Their order differs between options.
    for weight in sorted(model.weights, key=lambda weight: weight.path):
        values = rng.normal(0, 0.2, weight.shape)
        scales = "gamma" in weight.path or "variance" in weight.path
        weight.assign(1 + np.abs(values) if scales else values)
    return model


@pytest.mark.parametrize(
    ("architecture", "parameters"), [("cnn", 27_335), ("two_cnn", 54_663), ("parallel", 848_647)]
)
def test_batch_normalization_over_channels_has_four_values_a_filter(
    tensorflow: None, architecture: str, parameters: int
) -> None:
    from ser_train.architectures import make_architecture

    model = make_architecture(architecture, (128, 94), {"norm": "channels"})
    assert model.count_params() == parameters
    norms = [layer for layer in model.layers if layer.name.startswith("block1_norm")]
    assert [layer.count_params() for layer in norms] == [64, 128, 256]


@pytest.mark.parametrize(("architecture", "values"), [("two_cnn", 1024), ("parallel", 1152)])
def test_the_classifier_sees_all_blocks_side_by_side(
    tensorflow: None, architecture: str, values: int
) -> None:
    from ser_train.architectures import make_architecture

    model = make_architecture(architecture, (128, 94))
    assert model.get_layer("concatenated").output.shape == (None, values)


def test_the_two_blocks_have_weights_of_their_own(tensorflow: None, inputs: np.ndarray) -> None:
    from ser_train.architectures import make_architecture

    model = make_architecture("two_cnn", (128, 94))
    joined = features_of(model, "concatenated", inputs)
    assert not np.allclose(joined[:, :512], joined[:, 512:])


def features_of(model: Any, layer: str, inputs: np.ndarray) -> np.ndarray:
    import keras

    return np.asarray(keras.Model(model.input, model.get_layer(layer).output)(inputs))


def test_attention_over_time_does_not_see_the_other_clips(
    parallel: Any, small_inputs: np.ndarray
) -> None:
    together = features_of(parallel, "over_time", small_inputs)
    alone = features_of(parallel, "over_time", small_inputs[:1])
    np.testing.assert_allclose(alone, together[:1], atol=1e-5)


@pytest.fixture(scope="module")
def across_clips(tensorflow: None) -> Any:
    """The parallel model with the report's attention, with the weights of `parallel`."""
    return with_random_weights("parallel", attention="batch")


def test_attention_over_the_batch_sees_the_other_clips(
    across_clips: Any, small_inputs: np.ndarray
) -> None:
    together = features_of(across_clips, "over_time", small_inputs)
    fewer = features_of(across_clips, "over_time", small_inputs[:2])
    assert np.abs(fewer - together[:2]).max() > 0.1


def test_attention_over_the_batch_is_attention_over_time_with_clips_and_frames_exchanged(
    parallel: Any, across_clips: Any, small_inputs: np.ndarray
) -> None:
    exchanged = small_inputs.transpose(2, 1, 0)
    np.testing.assert_allclose(
        features_of(across_clips, "encoder4", small_inputs),
        features_of(parallel, "encoder4", exchanged),
        atol=1e-4,
    )


@pytest.mark.parametrize(("pooling", "pool"), [("mean", np.mean), ("max", np.max)])
def test_the_encoders_output_is_pooled_over_the_frames(
    tensorflow: None, small_inputs: np.ndarray, pooling: str, pool: Any
) -> None:
    model = with_random_weights("parallel", pooling=pooling)
    encoded = features_of(model, "encoder4", small_inputs)
    pooled = features_of(model, "over_time", small_inputs)
    np.testing.assert_allclose(pooled, pool(encoded, axis=1), atol=1e-5)


def test_options_do_not_change_the_number_of_parameters(parallel: Any, across_clips: Any) -> None:
    assert across_clips.count_params() == parallel.count_params()


def test_with_mixed_precision_probabilities_are_float32_still(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", HALF_PRECISION], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout.split() == ["bfloat16", "float32"], done.stderr
