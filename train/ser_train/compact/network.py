"""The network of `compact`: residual convolutions on a log-mel spectrogram, pooled with attention.

Residual blocks with squeeze-and-excitation (Hu et al. 2018, arXiv:1709.01507), then attentive
statistics pooling over time (Okabe et al. 2018, arXiv:1803.10963): mean and deviation of every
channel, weighted by a learnt attention. BatchNormalization is over channels, so that an exporter
can fold it into the convolutions.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import layers
from keras import ops

from ser_runtime.labels import EMOTIONS
from ser_train import fast_layers

WIDTHS = (16, 32, 64, 96)
"""Channels of the stem and of the three residual stages."""

_SQUEEZE = 4
_ATTENTION = 64
_SMALLEST_VARIANCE = 1e-5
_MOMENTUM = 0.9


def compact(
    shape: tuple[int, int],
    widths: Sequence[int] = WIDTHS,
    dropout: float = 0.3,
    relative: bool = False,
) -> keras.Model:
    """The network for features of a shape.

    Args:
        shape: (bands, frames).
        widths: Channels of the stem and of each residual stage.
        dropout: Before the last layer.
        relative: Also show the features below the loudest frame, which no gain changes.
    """
    features = layers.Input(shape, name="features")
    x = layers.Reshape((*shape, 1), name="image")(features)
    if relative:
        loudest = ops.max(ops.mean(x, axis=1, keepdims=True), axis=2, keepdims=True)
        x = layers.Concatenate(name="levels")([x, ops.subtract(x, loudest)])
    x = fast_layers.Conv2D(
        widths[0], 5, strides=2, padding="same", use_bias=False, name="stem_conv"
    )(x)
    x = fast_layers.BatchNormalization(momentum=_MOMENTUM, name="stem_norm")(x)
    x = layers.ReLU(name="stem_relu")(x)
    for number, width in enumerate(widths[1:], 1):
        # The last stage keeps its frames: time is what the pooling looks at.
        strides = (2, 1) if number == len(widths) - 1 else (2, 2)
        x = _residual_block(x, width, strides, f"stage{number}")
    x = layers.Concatenate(name="over_bands")([ops.mean(x, axis=1), ops.max(x, axis=1)])
    x = _attentive_statistics(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    # float32 whatever the policy: with mixed precision a softmax in half precision loses digits.
    x = layers.Dense(len(EMOTIONS), activation="softmax", dtype="float32", name="probabilities")(x)
    return keras.Model(features, x, name="compact")


def _residual_block(
    x: keras.KerasTensor, width: int, strides: tuple[int, int], name: str
) -> keras.KerasTensor:
    y = _conv(x, width, 3, strides, f"{name}_1")
    y = layers.ReLU(name=f"{name}_relu1")(y)
    y = _conv(y, width, 3, (1, 1), f"{name}_2")
    weights = fast_layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_squeeze")(y)
    weights = layers.Dense(width // _SQUEEZE, activation="relu", name=f"{name}_narrow")(weights)
    weights = layers.Dense(width, activation="sigmoid", name=f"{name}_excite")(weights)
    y = layers.Multiply(name=f"{name}_scaled")([y, weights])
    x = fast_layers.AveragePooling2D(strides, padding="same", name=f"{name}_pool")(x)
    x = _conv(x, width, 1, (1, 1), f"{name}_skip")
    return layers.ReLU(name=f"{name}_relu2")(layers.Add(name=f"{name}_sum")([x, y]))


def _conv(
    x: keras.KerasTensor, width: int, size: int, strides: tuple[int, int], name: str
) -> keras.KerasTensor:
    x = fast_layers.Conv2D(
        width, size, strides=strides, padding="same", use_bias=False, name=f"{name}_conv"
    )(x)
    return fast_layers.BatchNormalization(momentum=_MOMENTUM, name=f"{name}_norm")(x)


def _attentive_statistics(x: keras.KerasTensor) -> keras.KerasTensor:
    """Weighted mean and deviation over time: [frames, channels] -> [2 * channels]."""
    width = x.shape[-1]
    scores = layers.Dense(_ATTENTION, activation="tanh", name="attention_hidden")(x)
    scores = layers.Dense(width, name="attention_scores")(scores)
    weights = layers.Softmax(axis=1, dtype="float32", name="attention")(scores)
    x = layers.Activation("linear", dtype="float32", name="pooled")(x)
    mean = ops.sum(weights * x, axis=1)
    variance = ops.sum(weights * x * x, axis=1) - mean * mean
    deviation = ops.sqrt(ops.maximum(variance, _SMALLEST_VARIANCE))
    return layers.Concatenate(dtype="float32", name="statistics")([mean, deviation])
