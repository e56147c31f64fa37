"""The newest window of a stream, and its features.

Every window is computed anew here. Windows start at multiples of the feature hop, so that frames
can be carried over from one to the next behind this same interface.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ser_runtime.feature_spec import FeatureSpec
from ser_runtime.features import FeatureExtractor


class WindowBuffer:
    """Keeps the last `window_samples` samples that were appended.

    Attributes:
        total: Samples appended so far.
    """

    def __init__(self, spec: FeatureSpec) -> None:
        self._size = spec.window_samples
        # Twice the window: samples are moved once per window, not at every append.
        self._samples = np.zeros(2 * self._size, np.float32)
        self._end = 0
        self._extractor = FeatureExtractor(spec)
        self._window = np.zeros(self._size, np.float32)
        self.total = 0

    def append(self, samples: NDArray[np.float32]) -> None:
        """Take samples in: float32 [samples], any number up to one window."""
        if self._end + len(samples) > len(self._samples):
            kept = self._samples[self._end - self._size : self._end].copy()
            self._samples[: self._size] = kept
            self._end = self._size
        self._samples[self._end : self._end + len(samples)] = samples
        self._end += len(samples)
        self.total += len(samples)

    def features(self, start: int) -> NDArray[np.float32]:
        """Features of the audio from sample `start` to the newest, zeros after it.

        Args:
            start: Position in the stream; at most one window back.

        Returns:
            float32 [coefficients, frames].
        """
        audio = self.newest(self.total - start)
        self._window[: len(audio)] = audio
        self._window[len(audio) :] = 0
        return self._extractor(self._window)

    def newest(self, count: int) -> NDArray[np.float32]:
        """The last `count` samples, at most one window: a view that later appends overwrite."""
        return self._samples[self._end - count : self._end]
