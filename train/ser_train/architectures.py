"""The report's networks in Keras 3, neutral to the backend.

Inputs are (coefficients, frames), turned at once into (frames, coefficients, channels). The
report's tensors are channels-first, (channels, coefficients, frames), with BatchNormalization
over the last axis, which is time: its parameter counts (376, 188, 44) prove it. Here time is
axis 1: the same function up to the order of flattened values, and the layout in which
TensorFlow trains fastest on a CPU (2.2 times as fast as with time on axis 2: benchmarks/README.md).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import layers
from keras import ops

from ser_runtime.labels import EMOTIONS
from ser_train import fast_layers
from ser_train.backend import quiet_start
from ser_train.compact.network import compact

_NORM_AXES = {"time": 1, "channels": -1}
_ENCODER_LAYERS = 4


def to_image(features: keras.KerasTensor) -> keras.KerasTensor:
    """(coefficients, frames) -> (frames, coefficients, 1)."""
    x = layers.Permute((2, 1), name="time_first")(features)
    return layers.Reshape((*x.shape[1:], 1), name="image")(x)


def cnn_block(x: keras.KerasTensor, name: str, norm: str = "time") -> keras.KerasTensor:
    """Three convolutions with pooling (report, section 4.3.1), flattened.

    Args:
        x: (frames, coefficients, 1).
        name: Prefix of the layers' names.
        norm: What BatchNormalization keeps apart: `time`, as the report's counts prove, or
            `channels`, as is usual.
    """
    axis = _NORM_AXES[norm]
    for number, (filters, pool) in enumerate(((16, 2), (32, 4), (64, 4)), 1):
        x = fast_layers.Conv2D(filters, 3, padding="same", name=f"{name}_conv{number}")(x)
        x = fast_layers.BatchNormalization(axis=axis, name=f"{name}_norm{number}")(x)
        x = layers.ReLU(name=f"{name}_relu{number}")(x)
        x = fast_layers.MaxPooling2D(pool, name=f"{name}_pool{number}")(x)
        x = layers.Dropout(0.3, name=f"{name}_dropout{number}")(x)
    return layers.Flatten(name=f"{name}_flatten")(x)


def transformer_block(
    features: keras.KerasTensor, attention: str = "time", pooling: str = "mean"
) -> keras.KerasTensor:
    """Four Transformer encoder layers over the frames (report, section 4.5.1), then their mean.

    Args:
        features: (coefficients, frames).
        attention: `time`: each clip attends to its own frames. `batch`: each frame attends to the
            same frame of the other clips of the batch, which is what the report's layout, (time,
            batch, embedding), made of it; such a model is no function of one clip.
        pooling: Over the frames: `mean`, as the report says, or `max`.
    """
    with quiet_start():  # it loads TensorFlow, whatever the backend
        from keras_hub.layers import TransformerEncoder

    x = layers.Permute((2, 1), name="frames_first")(features)
    if attention == "batch":
        x = ops.transpose(x, (1, 0, 2))
    for number in range(1, _ENCODER_LAYERS + 1):
        x = TransformerEncoder(
            intermediate_dim=512,
            num_heads=4,
            dropout=0.4,
            activation="relu",
            name=f"encoder{number}",
        )(x)
    if attention == "batch":
        x = ops.transpose(x, (1, 0, 2))
    pool = {"mean": layers.GlobalAveragePooling1D, "max": layers.GlobalMaxPooling1D}[pooling]
    return pool(name="over_time")(x)


def cnn(shape: tuple[int, int], norm: str = "time") -> keras.Model:
    """One CNN block and a dense layer: 27,495 parameters at 128 x 94 (report, section 4.3)."""
    features = layers.Input(shape, name="features")
    return _classifier("cnn", features, [cnn_block(to_image(features), "block1", norm)])


def two_cnn(shape: tuple[int, int], norm: str = "time") -> keras.Model:
    """Two CNN blocks side by side: 54,983 parameters at 128 x 94 (report, section 4.4)."""
    features = layers.Input(shape, name="features")
    image = to_image(features)
    blocks = [cnn_block(image, name, norm) for name in ("block1", "block2")]
    return _classifier("two_cnn", features, blocks)


def parallel(
    shape: tuple[int, int], norm: str = "time", attention: str = "time", pooling: str = "mean"
) -> keras.Model:
    """Two CNN blocks and a Transformer encoder side by side (report, section 4.5).

    848,967 parameters at 128 x 94, 860,943 at 128 x 188.
    """
    features = layers.Input(shape, name="features")
    image = to_image(features)
    blocks = [cnn_block(image, name, norm) for name in ("block1", "block2")]
    blocks.append(transformer_block(features, attention, pooling))
    return _classifier("parallel", features, blocks)


def _classifier(
    name: str, features: keras.KerasTensor, blocks: list[keras.KerasTensor]
) -> keras.Model:
    x = layers.Concatenate(name="concatenated")(blocks) if len(blocks) > 1 else blocks[0]
    # float32 whatever the policy: with mixed precision a softmax in half precision loses digits.
    x = layers.Dense(len(EMOTIONS), activation="softmax", dtype="float32", name="probabilities")(x)
    return keras.Model(features, x, name=name)


ARCHITECTURES: dict[str, Callable[..., keras.Model]] = {
    "cnn": cnn,
    "two_cnn": two_cnn,
    "parallel": parallel,
    "compact": compact,
}


def make_architecture(
    name: str, shape: tuple[int, int], options: dict[str, Any] | None = None
) -> keras.Model:
    """An untrained model.

    Args:
        name: Key of `ARCHITECTURES`.
        shape: Of the features: (coefficients, frames).
        options: Keyword arguments of the architecture; none are the report's.
    """
    return ARCHITECTURES[name](shape, **(options or {}))
