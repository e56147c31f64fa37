"""The report's networks in Keras 3, neutral to the backend.

Inputs are (coefficients, frames), turned at once into (frames, coefficients, channels). The
report's tensors are channels-first, (channels, coefficients, frames), with BatchNormalization
over the last axis, which is time: its parameter counts (376, 188, 44) prove it. Here time is
axis 1: the same function up to the order of flattened values, and the layout in which
TensorFlow trains fastest on a CPU (2.2 times as fast as with time on axis 2: benchmarks/README.md).
"""

from __future__ import annotations

from collections.abc import Callable

import keras
from keras import layers

from ser_runtime.labels import EMOTIONS

_TIME_AXIS = 1


def to_image(features: keras.KerasTensor) -> keras.KerasTensor:
    """(coefficients, frames) -> (frames, coefficients, 1)."""
    x = layers.Permute((2, 1), name="time_first")(features)
    return layers.Reshape((*x.shape[1:], 1), name="image")(x)


def cnn_block(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Three convolutions with pooling (report, section 4.3.1), flattened to 512 values."""
    for number, (filters, pool) in enumerate(((16, 2), (32, 4), (64, 4)), 1):
        x = layers.Conv2D(filters, 3, padding="same", name=f"{name}_conv{number}")(x)
        x = layers.BatchNormalization(axis=_TIME_AXIS, name=f"{name}_norm{number}")(x)
        x = layers.ReLU(name=f"{name}_relu{number}")(x)
        x = layers.MaxPooling2D(pool, name=f"{name}_pool{number}")(x)
        x = layers.Dropout(0.3, name=f"{name}_dropout{number}")(x)
    return layers.Flatten(name=f"{name}_flatten")(x)


def cnn(shape: tuple[int, int]) -> keras.Model:
    """One CNN block and a dense layer: 27,495 parameters at 128 x 94 (report, section 4.3)."""
    features = layers.Input(shape, name="features")
    x = cnn_block(to_image(features), "block1")
    probabilities = layers.Dense(len(EMOTIONS), activation="softmax", name="probabilities")(x)
    return keras.Model(features, probabilities, name="cnn")


ARCHITECTURES: dict[str, Callable[[tuple[int, int]], keras.Model]] = {"cnn": cnn}
