"""Time of one inference, as the runtime runs it: one thread, one window."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from ser_runtime.model import Model

_WARM_UP, _REPEATS = 20, 200


def measure_latency(model: Model, features: NDArray[np.float32]) -> tuple[float, float]:
    """Median and 95th percentile of the milliseconds that one window takes.

    Args:
        model: Opened.
        features: float32 [windows, coefficients, frames]; taken in turn.
    """
    times = []
    for i in range(_WARM_UP + _REPEATS):
        window = features[i % len(features)][None]
        started = time.perf_counter()
        model.predict(window)
        times.append(1000 * (time.perf_counter() - started))
    median, high = np.percentile(times[_WARM_UP:], (50, 95))
    return float(median), float(high)
