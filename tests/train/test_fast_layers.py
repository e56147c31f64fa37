"""The layers with PyTorch's own kernels, against Keras' own on the same backend."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

# Each compares a layer with Keras' layer of the same name and weights: outputs, gradients by the
# inputs and the weights, and what the weights are afterwards. Prints the largest difference of each
# as a share of the largest value.
_COMPARE = """
import sys
from ser_train.backend import use_backend
use_backend("torch", 1)
import json
import keras
import numpy as np
import torch
from ser_train import fast_layers

def seen(layer, values):
    inputs = torch.tensor(values, requires_grad=True)
    outputs = layer(inputs, training=True) if "Norm" in name else layer(inputs)
    (outputs * torch.linspace(-1, 2, outputs.numel()).reshape(outputs.shape)).sum().backward()
    gradients = [w.value.grad for w in layer.trainable_weights]
    after = [weight.value for weight in layer.weights]
    return [value.detach().numpy() for value in (outputs, inputs.grad, *gradients, *after)]

differences = []
for name, shape, arguments in json.loads(sys.argv[1]):
    rng = np.random.default_rng(0)
    values = rng.standard_normal(shape).astype(np.float32)
    ours = getattr(fast_layers, name)(**arguments)
    theirs = getattr(keras.layers, name)(**arguments)
    for layer in (ours, theirs):
        layer.build(shape)
    for mine, other in zip(ours.weights, theirs.weights):
        start = rng.uniform(0.5, 1.5, mine.shape).astype(np.float32)
        mine.assign(start)
        other.assign(start)
    pairs = list(zip(seen(ours, values), seen(theirs, values), strict=True))
    assert all(one.shape == two.shape for one, two in pairs)
    differences.append(max(float(abs(one - two).max() / abs(two).max()) for one, two in pairs))
print(json.dumps(differences))
"""

_LAYERS = [
    ("Conv2D", (2, 9, 12, 1), {"filters": 4, "kernel_size": 3, "padding": "same"}),
    ("Conv2D", (2, 9, 12, 3), {"filters": 4, "kernel_size": 3, "padding": "valid"}),
    ("Conv2D", (2, 8, 7, 3), {"filters": 4, "kernel_size": 5, "strides": 2, "padding": "same"}),
    (
        "Conv2D",
        (2, 8, 9, 3),
        {
            "filters": 4,
            "kernel_size": 3,
            "strides": [2, 1],
            "padding": "same",
            "use_bias": False,
            "activation": "relu",
        },
    ),
    ("MaxPooling2D", (2, 9, 12, 3), {"pool_size": 4}),
    ("AveragePooling2D", (2, 8, 9, 3), {"pool_size": 2, "padding": "same"}),
    ("AveragePooling2D", (2, 8, 9, 3), {"pool_size": [2, 1], "padding": "same"}),
    ("AveragePooling2D", (2, 9, 9, 3), {"pool_size": 2}),
    ("GlobalAveragePooling2D", (2, 9, 7, 3), {"keepdims": True}),
    ("BatchNormalization", (3, 6, 5, 4), {"axis": 1}),
    ("BatchNormalization", (3, 6, 5, 4), {"axis": -1, "momentum": 0.9, "epsilon": 1e-5}),
]


@pytest.fixture(scope="module")
def differences() -> list[float]:
    done = subprocess.run(
        [sys.executable, "-c", _COMPARE, json.dumps(_LAYERS)],
        env={**os.environ, "KERAS_BACKEND": "torch"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("number", range(len(_LAYERS)), ids=[layer[0] for layer in _LAYERS])
def test_a_layer_computes_and_learns_as_keras_does(differences: list[float], number: int) -> None:
    assert differences[number] < 2e-5


_DROPOUT = """
from ser_train.backend import use_backend
use_backend("torch", 1)
import numpy as np
import torch
from ser_train import fast_layers

layer = fast_layers.Dropout(0.3)
ones = torch.ones((200, 500))
print(bool((layer(ones) == ones).all()))
dropped = layer(ones, training=True).numpy()
print([round(float(value), 4) for value in np.unique(dropped)])
print(round(float((dropped == 0).mean()), 2))
print(bool((layer(ones, training=True).numpy() == dropped).all()))
layer.seed_generator.state.assign([7, 0])
first = layer(ones, training=True).numpy()
layer.seed_generator.state.assign([7, 0])
print(bool((layer(ones, training=True).numpy() == first).all()))
"""


def test_dropout_drops_its_share_from_its_seed() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _DROPOUT],
        env={**os.environ, "KERAS_BACKEND": "torch"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout.splitlines() == ["True", "[0.0, 1.4286]", "0.3", "False", "True"], (
        done.stderr
    )
