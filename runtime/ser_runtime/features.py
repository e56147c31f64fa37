"""Features of one recognition window, computed at once: for training, export and whole clips.

`streaming_features.py` gives the same features window after window of a stream, from the same
arithmetic (`feature_kernels.py`).
"""

from __future__ import annotations

import threading

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike
from numpy.typing import NDArray

from ser_runtime.feature_kernels import FeatureKernels
from ser_runtime.feature_kernels import as_features
from ser_runtime.feature_spec import FeatureSpec


class FeatureExtractor:
    """Computes features of windows of one spec, with buffers of its own: one per thread."""

    def __init__(self, spec: FeatureSpec) -> None:
        self.spec = spec
        self._kernels = FeatureKernels(spec)
        reach, length = self._kernels.reach, self._kernels.frame_length
        padded = np.zeros(reach + spec.window_samples + length, np.float32)
        self._audio = padded[reach : reach + spec.window_samples]
        self._frames = sliding_window_view(padded, length)[:: spec.hop][: spec.frames]
        self._log_mel = np.empty((spec.frames, spec.n_mels), np.float32)
        self._mfcc = None if spec.n_mfcc is None else np.empty(spec.shape[::-1], np.float32)

    def __call__(self, window: NDArray[np.float32]) -> NDArray[np.float32]:
        """Features of one window.

        Args:
            window: float32 [window_samples] in [-1, 1].

        Returns:
            float32 [coefficients, frames], a new array: MFCC, or log-mel in dB or ln.

        Raises:
            ValueError: If `window` has another shape.
        """
        if window.shape != self._audio.shape:
            raise ValueError(f"window must have shape {self._audio.shape}, not {window.shape}")
        self._audio[:] = window
        kernels = self._kernels
        kernels.log_mel([self._frames], self._log_mel)
        threshold = kernels.threshold(self._log_mel)
        if self._mfcc is None:
            return kernels.clipped(self._log_mel, threshold)
        kernels.mfcc(self._log_mel, threshold, self._mfcc)
        return as_features(self._mfcc)


_thread = threading.local()


def compute_features(audio: ArrayLike, spec: FeatureSpec) -> NDArray[np.float32]:
    """Features of one window of audio, padded or truncated to the spec's length.

    Args:
        audio: float [samples] in [-1, 1] at the spec's sample rate.
        spec: What to compute.

    Returns:
        float32 [coefficients, frames].
    """
    extractors = _thread.__dict__.setdefault("extractors", {})
    if spec not in extractors:
        extractors[spec] = FeatureExtractor(spec)
    return extractors[spec](fit_window(audio, spec.window_samples))


def fit_window(audio: ArrayLike, window_samples: int) -> NDArray[np.float32]:
    """The first `window_samples` samples, with zeros after the end of shorter audio.

    The report pads and truncates so, and the stream's partial windows follow the same rule.

    Args:
        audio: float [samples].
        window_samples: Length of the result.

    Returns:
        float32 [window_samples].
    """
    audio = np.asarray(audio, np.float32)[:window_samples]
    if len(audio) == window_samples:
        return audio
    return np.concatenate([audio, np.zeros(window_samples - len(audio), np.float32)])
