"""The newest window of a stream, and its features."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ser_runtime.feature_spec import FeatureSpec
from ser_runtime.streaming_features import StreamingFeatures


class WindowBuffer:
    """Keeps the last `window_samples` samples that were appended.

    Attributes:
        total: Samples appended so far.
    """

    def __init__(self, spec: FeatureSpec) -> None:
        self._size = spec.window_samples
        self._capacity = 2 * self._size
        # Twice the window: samples are moved once per window, not at every append. The last frames
        # of a window reach beyond the newest sample, and find zeros there.
        self._zeros = spec.win_length
        self._samples = np.zeros(self._capacity + self._zeros, np.float32)
        self._end = 0
        self._spec = spec
        self.total = 0

    @cached_property
    def _streaming_features(self) -> StreamingFeatures:
        # Made when it is asked for: a model that takes the waveform never does.
        return StreamingFeatures(self._spec)

    def append(self, samples: NDArray[np.float32]) -> None:
        """Take samples in: float32 [samples], any number up to one window."""
        if self._end + len(samples) > self._capacity:
            self._samples[: self._size] = self._samples[self._end - self._size : self._end]
            self._end = self._size
        self._samples[self._end : self._end + len(samples)] = samples
        self._end += len(samples)
        self.total += len(samples)

    def features(self, start: int) -> NDArray[np.float32]:
        """Features of the audio from sample `start` to the newest, zeros after it.

        Windows that follow each other at multiples of the feature hop share most of their frames,
        and cost a third; the features are those of `compute_features` either way.

        Args:
            start: Position in the stream; at most one window back.

        Returns:
            float32 [coefficients, frames], a new array.
        """
        count = self.total - start
        self._samples[self._end : self._end + self._zeros] = 0
        return self._streaming_features(self._samples, self._end - count, count, start)

    def newest(self, count: int) -> NDArray[np.float32]:
        """The last `count` samples, at most one window: a view that later appends overwrite."""
        return self._samples[self._end - count : self._end]
