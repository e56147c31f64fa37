"""Measuring the standardization of a split: one mean and deviation per coefficient."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ser_runtime.standardization import Standardization
from ser_train.features.cache import ClipFeatures

_CLIPS_AT_ONCE = 256


def measure_standardization(features: ClipFeatures, rows: NDArray[np.int64]) -> Standardization:
    """Mean and deviation of each coefficient over the frames of clean training clips.

    Args:
        features: Of all clips.
        rows: The training clips.
    """
    coefficients, frames = features.values.shape[-2:]
    total = np.zeros(coefficients)
    squares = np.zeros(coefficients)
    for start in range(0, len(rows), _CLIPS_AT_ONCE):
        block = features.values[rows[start : start + _CLIPS_AT_ONCE], 0].astype(np.float64)
        total += block.sum(axis=(0, 2))
        squares += np.square(block).sum(axis=(0, 2))
    count = len(rows) * frames
    mean = total / count
    deviation = np.sqrt(np.maximum(squares / count - mean**2, 0.0))
    deviation[deviation == 0] = 1.0
    return Standardization(mean.astype(np.float32)[:, None], deviation.astype(np.float32)[:, None])
