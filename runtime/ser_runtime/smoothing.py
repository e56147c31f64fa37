"""Exponential smoothing of probabilities over the windows of a stream."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

_LEAST_PROBABILITY = 1e-6


class LogSmoother:
    """Averages log-probabilities with exponentially falling weights.

    The average is over time, not over windows: a window weighs `1 - exp(-elapsed / seconds)`
    against all before it, so that the same time constant means the same whatever the step, and
    after a window that was left out. In log-probabilities a window that rules an emotion out
    counts for more than one that finds it somewhat likely (a product of experts, Hinton 2002).
    """

    def __init__(self, seconds: float) -> None:
        """Prepare.

        Args:
            seconds: Time constant; 0 for no smoothing.
        """
        self._seconds = seconds
        self._average: NDArray[np.float64] | None = None
        self._time = 0.0

    def reset(self) -> None:
        """Forget: the next window is the first."""
        self._average = None

    def __call__(self, probabilities: NDArray[np.float32], time: float) -> NDArray[np.floating]:
        """Take the next window in.

        Args:
            probabilities: float [classes], of sum 1.
            time: Of the window, in seconds; later than the one before.

        Returns:
            float [classes], of sum 1; of the first window, its own probabilities.
        """
        logs = np.log(np.maximum(probabilities.astype(np.float64), _LEAST_PROBABILITY))
        elapsed, self._time = time - self._time, time
        if self._average is None or not self._seconds:
            self._average = logs
            return probabilities
        weight = -math.expm1(-elapsed / self._seconds)
        self._average = self._average + weight * (logs - self._average)
        powers = np.exp(self._average)
        return powers / powers.sum()
