"""Keras' convolution, pooling and normalization, at the speed that PyTorch has on a CPU.

On TensorFlow and JAX these layers are Keras' own. On PyTorch Keras copies every image into
channels-first order before it convolves or pools, and composes BatchNormalization of a dozen passes
over memory; training is bound by memory, so here PyTorch's own kernels are called on the images as
they lie (`benchmarks/training_speed.py`). Names, weights and results are those of Keras' layers.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

# Keras' tensors are of the backend's own kind, which is known only when it is chosen.
Tensor = Any


def _on_torch() -> bool:
    return keras.backend.backend() == "torch"


class Conv2D(layers.Conv2D):
    """As `keras.layers.Conv2D`, for channels-last images without groups or dilation."""

    def call(self, inputs: Tensor) -> Tensor:
        """[batch, height, width, channels] -> [batch, height', width', filters]."""
        if not _on_torch():
            return super().call(inputs)
        import torch
        from torch.nn import functional

        images, padding = _channels_second(inputs), (0, 0)
        if self.padding == "same":
            images, padding = _padding(images, self.kernel_size, self.strides)
        kernel = _value(self.kernel).permute(3, 2, 0, 1)
        bias = _value(self.bias) if self.use_bias else None
        # Of images of one channel PyTorch could not tell the order.
        images, kernel = (x.contiguous(memory_format=torch.channels_last) for x in (images, kernel))
        outputs = functional.conv2d(images, kernel, bias, self.strides, padding)
        return self.activation(_channels_last(outputs))


class MaxPooling2D(layers.MaxPooling2D):
    """As `keras.layers.MaxPooling2D`, for channels-last images without padding."""

    def call(self, inputs: Tensor) -> Tensor:
        """[batch, height, width, channels] -> [batch, height', width', channels]."""
        if not _on_torch():
            return super().call(inputs)
        from torch.nn import functional

        images = _channels_second(inputs)
        return _channels_last(functional.max_pool2d(images, self.pool_size, self.strides))


class AveragePooling2D(layers.AveragePooling2D):
    """As `keras.layers.AveragePooling2D` with strides of the pool's size; nothing padded counts."""

    def call(self, inputs: Tensor) -> Tensor:
        """[batch, height, width, channels] -> [batch, height', width', channels]."""
        if not _on_torch():
            return super().call(inputs)
        from torch.nn import functional

        pooled = functional.avg_pool2d(
            _channels_second(inputs),
            self.pool_size,
            ceil_mode=self.padding == "same",
            count_include_pad=False,
        )
        return _channels_last(pooled)


class GlobalAveragePooling2D(layers.GlobalAveragePooling2D):
    """As `keras.layers.GlobalAveragePooling2D` with kept dimensions, for channels-last images."""

    def call(self, inputs: Tensor) -> Tensor:
        """[batch, height, width, channels] -> [batch, 1, 1, channels]."""
        if not _on_torch():
            return super().call(inputs)
        # PyTorch's mean divides a gradient as large as the images on its way back, not the sum.
        pixels = inputs.shape[1] * inputs.shape[2]
        return inputs.sum(dim=(1, 2), keepdim=True) * (1 / pixels)


class Dropout(layers.Dropout):
    """As `keras.layers.Dropout`, without a noise shape: uniform numbers, which are drawn faster."""

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        """Of any shape; the same shape is returned."""
        if not (_on_torch() and training and self.rate > 0):
            return super().call(inputs, training=training)
        drawn = keras.random.uniform(inputs.shape, seed=self.seed_generator)
        kept = (drawn >= self.rate).to(inputs.dtype)
        return inputs * (kept * (1 / (1 - self.rate)))


class BatchNormalization(layers.BatchNormalization):
    """As `keras.layers.BatchNormalization`, with scale and centre, without masks."""

    def call(self, inputs: Tensor, training: bool | None = None, mask: None = None) -> Tensor:
        """Of any shape; the same shape is returned."""
        if not (_on_torch() and training and self.trainable):
            return super().call(inputs, training=training, mask=mask)
        import torch

        x = inputs.movedim(self.axis, 1)
        # float32 whatever the inputs, as in Keras: the kernel computes in it.
        scale, offset = self.gamma.value.float(), self.beta.value.float()
        outputs, mean, inverse_deviation = torch.native_batch_norm(
            x, scale, offset, None, None, True, 0.0, self.epsilon
        )
        with torch.no_grad():
            # Keras keeps the variance of the batch as it is, PyTorch corrects it for its size.
            variance = inverse_deviation.pow(-2) - self.epsilon
            for moving, now in ((self.moving_mean, mean), (self.moving_variance, variance)):
                moving.assign(moving.value * self.momentum + now * (1 - self.momentum))
        return outputs.movedim(1, self.axis)


def quicken_dropout(model: keras.Model) -> None:
    """Make every dropout of a model this module's, also those that other layers made themselves."""
    for layer in model._flatten_layers():
        if type(layer) is layers.Dropout and layer.noise_shape is None:
            layer.__class__ = Dropout


def _value(variable: Tensor) -> Tensor:
    """A variable's tensor in the precision that the layer computes in."""
    return keras.ops.convert_to_tensor(variable)


def _channels_second(images: Tensor) -> Tensor:
    """A view, no copy."""
    return images.permute(0, 3, 1, 2)


def _channels_last(images: Tensor) -> Tensor:
    return images.permute(0, 2, 3, 1)


def _padding(
    images: Tensor, sizes: tuple[int, int], strides: tuple[int, int]
) -> tuple[Tensor, tuple[int, int]]:
    """Images and what to pad them with on both sides, for TensorFlow's padding of `same`.

    Where that pads one side more, the images are padded here.
    """
    from torch.nn import functional

    missing = [
        max((-(-length // stride) - 1) * stride + size - length, 0)
        for length, size, stride in zip(images.shape[2:], sizes, strides, strict=True)
    ]
    top, left = (number // 2 for number in missing)
    if missing == [2 * top, 2 * left]:
        return images, (top, left)
    around = (left, missing[1] - left, top, missing[0] - top)
    return functional.pad(images, around), (0, 0)
