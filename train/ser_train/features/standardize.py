"""Measuring the standardization of a split on its clean training clips."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ser_runtime.standardization import Standardization
from ser_train.features.cache import ClipFeatures

SCALES: dict[str, tuple[int, ...]] = {
    "coefficient": (2,),
    "element": (),
    "all": (1, 2),
    "none": (1, 2),
}
"""What shares one mean and deviation, as axes of [clips, coefficients, frames] beside the clips:
the frames of a coefficient, nothing (each coefficient and frame has its own, as in the
architecture that the report copies), or everything. With `none` the features stay as they are."""

_CLIPS_AT_ONCE = 256


def measure_standardization(
    features: ClipFeatures, rows: NDArray[np.int64], scale: str = "coefficient"
) -> Standardization:
    """Mean and deviation over clean training clips.

    Args:
        features: Of all clips.
        rows: The training clips.
        scale: Key of `SCALES`.
    """
    coefficients, frames = features.values.shape[-2:]
    if scale == "none":
        shape = (coefficients, 1)
        return Standardization(np.zeros(shape, np.float32), np.ones(shape, np.float32))
    total = np.zeros((coefficients, frames))
    squares = np.zeros((coefficients, frames))
    for start in range(0, len(rows), _CLIPS_AT_ONCE):
        block = features.values[rows[start : start + _CLIPS_AT_ONCE], 0].astype(np.float64)
        total += block.sum(axis=0)
        squares += np.square(block).sum(axis=0)
    # Axis 0 of a clip's matrix is axis 1 of SCALES' arrays.
    shared = tuple(axis - 1 for axis in SCALES[scale])
    mean = total.mean(axis=shared, keepdims=True) / len(rows)
    variance = squares.mean(axis=shared, keepdims=True) / len(rows) - mean**2
    deviation = np.sqrt(np.maximum(variance, 0.0))
    deviation[deviation == 0] = 1.0
    if scale == "all":
        mean, deviation = (np.repeat(a, coefficients, axis=0) for a in (mean, deviation))
    return Standardization(mean.astype(np.float32), deviation.astype(np.float32))
