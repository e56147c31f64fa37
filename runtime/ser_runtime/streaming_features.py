"""Features of window after window of a stream, equal to `compute_features` of each window alone.

A window's frames are of four kinds. The first ones reach over its start and the last ones over the
end of its audio; they see zeros there, and are computed for each window. Frames behind the end of
the audio (of a window that is not full yet) see nothing but zeros, and all have one value. Interior
frames depend on the audio alone: a window that starts a whole number of hops later has them too,
and gets them from here. So it does with their cepstra, as long as the clip threshold stays: on
speech it does in two steps of three, since the loudest band of 3 s stays the loudest for a while.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ser_runtime.feature_kernels import FeatureKernels
from ser_runtime.feature_kernels import as_features
from ser_runtime.feature_kernels import kernels_of_this_thread
from ser_runtime.feature_spec import FeatureSpec


class StreamingFeatures:
    """Keeps the frames of one stream's last window; used by one thread at a time."""

    def __init__(self, spec: FeatureSpec) -> None:
        self.spec = spec
        kernels = kernels_of_this_thread(spec)
        reach, length = kernels.reach, kernels.frame_length
        # Frames that reach over the start of a window, and the samples that they see.
        self._leading = min(spec.frames, -(-reach // spec.hop))
        self._lead_in = np.zeros(reach + length, np.float32)
        self._lead_in_audio = self._lead_in[reach:]
        self._lead_in_frames = _frames(self._lead_in, 0, self._leading, length, spec.hop)
        self._silence = np.empty((1, spec.n_mels), np.float32)
        kernels.log_mel([np.zeros((1, length), np.float32)], self._silence)

        self._log_mel = np.empty((spec.frames, spec.n_mels), np.float32)
        # What a step computes: up to a window's frames, and one of silence.
        self._new_log_mel = np.empty((spec.frames + 1, spec.n_mels), np.float32)
        self._mfcc: NDArray[np.float32] | None = None
        if spec.n_mfcc is not None:
            self._mfcc = np.empty((spec.frames, spec.n_mfcc), np.float32)
            self._new_mfcc = np.empty((spec.frames + 1, spec.n_mfcc), np.float32)
        self._threshold = math.nan
        self._start = 0
        # Interior frames that are kept: from `_leading` to here, of the window at `_start`.
        self._interior_end = self._leading

    def __call__(
        self, samples: NDArray[np.float32], offset: int, count: int, start: int
    ) -> NDArray[np.float32]:
        """Features of a window that holds `count` samples of the stream, and zeros after them.

        Args:
            samples: float32, contiguous: the window's audio from `offset` on, then at least
                `win_length` zeros.
            offset: Where the window starts in `samples`.
            count: Samples of audio in the window, at most `window_samples`.
            start: Where the window starts in the stream. Audio at the same place of the stream must
                be the same in every call.

        Returns:
            float32 [coefficients, frames], a new array.
        """
        spec, kernels = self.spec, kernels_of_this_thread(self.spec)
        length, hop, reach = kernels.frame_length, spec.hop, kernels.reach
        head = min(count, length)
        self._lead_in_audio[:head] = samples[offset : offset + head]
        self._lead_in_audio[head:] = 0
        first = self._keep(start)
        silent = min(spec.frames, max(first, -(-(count + reach) // hop)))
        fresh = _frames(samples, offset + first * hop - reach, silent - first, length, hop)

        new = self._new_log_mel[: self._leading + len(fresh) + 1]
        kernels.log_mel([self._lead_in_frames, fresh], new[:-1])
        new[-1] = self._silence
        self._insert(new, first, self._log_mel)
        features = self._finish(kernels, new, first)
        interior_end = 1 + (count + reach - length) // hop
        self._interior_end = min(spec.frames, max(self._leading, interior_end))
        return features

    def _keep(self, start: int) -> int:
        """Move what the window at `start` shares with the last one to its place.

        Returns:
            The first frame after the kept ones. Nothing counts as kept until all is computed.
        """
        hops, apart = divmod(start - self._start, self.spec.hop)
        leading, end = self._leading, self._interior_end - hops
        self._start, self._interior_end = start, leading
        if apart or hops < 0 or end <= leading:
            return leading
        if hops:
            _shift(self._log_mel, hops, leading, end)
            if self._mfcc is not None:
                _shift(self._mfcc, hops, leading, end)
        return end

    def _finish(
        self, kernels: FeatureKernels, new: NDArray[np.float32], first: int
    ) -> NDArray[np.float32]:
        threshold = kernels.threshold(self._log_mel)
        if self._mfcc is None:
            return kernels.clipped(self._log_mel, threshold)
        if threshold == self._threshold:
            new_mfcc = self._new_mfcc[: len(new)]
            kernels.mfcc(new, threshold, new_mfcc)
            self._insert(new_mfcc, first, self._mfcc)
        else:
            kernels.mfcc(self._log_mel, threshold, self._mfcc)
        self._threshold = threshold
        return as_features(self._mfcc)

    def _insert(self, new: NDArray[np.float32], first: int, frames: NDArray[np.float32]) -> None:
        """Put new frames (the leading ones, those from `first` on, silence) beside the kept."""
        leading, silent = self._leading, first + len(new) - 1 - self._leading
        frames[:leading] = new[:leading]
        frames[first:silent] = new[leading:-1]
        frames[silent:] = new[-1]


def _frames(
    samples: NDArray[np.float32], place: int, count: int, length: int, hop: int
) -> NDArray[np.float32]:
    """A view of `samples`: `count` frames, one each `hop`, the first at `place`."""
    size = samples.itemsize
    if not count:
        place = 0  # an empty view must lie within the samples, too
    return np.ndarray(
        (count, length), np.float32, samples, offset=place * size, strides=(hop * size, size)
    )


def _shift(frames: NDArray[np.float32], by: int, start: int, stop: int) -> None:
    """Move the frames that follow `by` later to [start, stop)."""
    # In one dimension numpy moves overlapping memory without copying it first.
    values, width = frames.reshape(-1), frames.shape[1]
    values[start * width : stop * width] = values[(start + by) * width : (stop + by) * width]
