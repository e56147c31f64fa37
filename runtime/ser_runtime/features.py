"""Features of a recognition window: the one implementation for training, export and the device.

A window's way: zero-padded frames -> Fourier transform (float64: numpy's float32 one is slower,
and less exact) -> power -> mel bands -> log -> `top_db` clip -> DCT. The DCT runs in float64 on
values measured from the clip threshold, which is added back to coefficient 0 afterwards: in
float32, coefficient 0 of a silent window (-1131) would be off by 1e-3.
"""

from __future__ import annotations

import threading
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike
from numpy.typing import NDArray

from ser_runtime.feature_spec import FeatureSpec
from ser_runtime.filterbank import analysis_window
from ser_runtime.filterbank import dct_matrix
from ser_runtime.filterbank import mel_filters

_MEL_GROUPS = 8
# One large product wakes OpenBLAS's threads, which cost more than they save.
_DCT_BLOCK = 16


class FeatureExtractor:
    """Computes features of windows of one spec, with buffers of its own: one per thread."""

    def __init__(self, spec: FeatureSpec) -> None:
        self.spec = spec
        self._window, self._mel_bands, self._dct = _constants(spec)
        pad = spec.n_fft // 2
        self._padded = np.zeros(spec.window_samples + 2 * pad, np.float32)
        self._audio = self._padded[pad : pad + spec.window_samples]
        self._frames = sliding_window_view(self._padded, spec.n_fft)[:: spec.hop]
        count = spec.frames
        self._windowed = np.empty((count, spec.n_fft))
        self._spectrum = np.empty((count, spec.n_fft // 2 + 1), np.complex128)
        self._power = np.empty((count, spec.n_fft // 2 + 1), np.float32)
        self._log_mel = np.empty((count, spec.n_mels), np.float32)

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
        self._compute_power()
        return self._cepstrum(self._compute_log_mel())

    def _compute_power(self) -> None:
        np.multiply(self._frames, self._window, out=self._windowed)
        np.fft.rfft(self._windowed, out=self._spectrum)
        parts = self._spectrum.view(np.float64)
        np.multiply(parts, parts, out=parts)
        np.add(parts[:, 0::2], parts[:, 1::2], out=self._power, casting="same_kind")

    def _compute_log_mel(self) -> NDArray[np.float32]:
        """float32 [frames, n_mels], with the `top_db` clip still to be done."""
        log_mel, spec = self._log_mel, self.spec
        for bands, bins, weights in self._mel_bands:
            np.matmul(self._power[:, bins], weights, out=log_mel[:, bands])
        if spec.log == "ln":
            np.add(log_mel, np.float32(spec.floor), out=log_mel)
            np.log(log_mel, out=log_mel)
        else:
            np.maximum(log_mel, np.float32(spec.floor), out=log_mel)
            np.log10(log_mel, out=log_mel)
            np.multiply(log_mel, np.float32(10.0), out=log_mel)
        return log_mel

    def _cepstrum(self, log_mel: NDArray[np.float32]) -> NDArray[np.float32]:
        spec = self.spec
        threshold = 0.0
        if spec.top_db is not None:
            threshold = float(log_mel.max()) - spec.top_db
        if self._dct is None:
            clipped = log_mel if spec.top_db is None else np.maximum(log_mel, threshold)
            return np.ascontiguousarray(clipped.T, np.float32)
        above = log_mel.T.astype(np.float64)
        if spec.top_db is not None:
            np.subtract(above, threshold, out=above)
            np.maximum(above, 0.0, out=above)
        mfcc = np.empty((len(self._dct), spec.frames))
        for start in range(0, len(self._dct), _DCT_BLOCK):
            block = slice(start, start + _DCT_BLOCK)
            np.matmul(self._dct[block], above, out=mfcc[block])
        mfcc[0] += threshold * np.sqrt(spec.n_mels)
        return mfcc.astype(np.float32)


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


@lru_cache(maxsize=16)
def _constants(
    spec: FeatureSpec,
) -> tuple[
    NDArray[np.float64],
    list[tuple[slice, slice, NDArray[np.float32]]],
    NDArray[np.float64] | None,
]:
    """Analysis window, mel filters in groups that skip their zero bins, and DCT of a spec."""
    window = analysis_window(spec.window, spec.win_length, spec.n_fft)
    filters = mel_filters(
        spec.sample_rate,
        spec.n_fft,
        spec.n_mels,
        spec.fmin,
        spec.fmax,
        spec.mel_scale,
        spec.mel_norm,
    )
    bands = []
    for group in np.array_split(np.arange(spec.n_mels), min(_MEL_GROUPS, spec.n_mels)):
        rows = slice(int(group[0]), int(group[-1]) + 1)
        used = np.flatnonzero(filters[rows].any(axis=0))
        low, high = (int(used[0]), int(used[-1]) + 1) if len(used) else (0, 1)
        weights = np.ascontiguousarray(filters[rows, low:high].T)
        bands.append((rows, slice(low, high), weights))
    dct = None if spec.n_mfcc is None else dct_matrix(spec.n_mfcc, spec.n_mels)
    return window, bands, dct
