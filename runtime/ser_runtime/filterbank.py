"""Analysis windows, mel filters and the DCT of a feature spec, as librosa has them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Slaney's Auditory Toolbox (1998): linear to 1 kHz, then 27 logarithmic steps for a factor 6.4.
_SLANEY_HZ_PER_MEL = 200.0 / 3
_SLANEY_LOG_START_HZ = 1000.0
_SLANEY_LOG_STEP = np.log(6.4) / 27.0


def analysis_window(shape: str, win_length: int, n_fft: int) -> NDArray[np.float64]:
    """A periodic analysis window of `win_length` samples, centred in `n_fft` zeros.

    Returns:
        float64 [n_fft]; `hann` or `hamming` as scipy.signal.get_window(fftbins=True) has them.
    """
    cosine = {"hann": 0.5, "hamming": 0.54}[shape]
    phase = 2 * np.pi * np.arange(win_length) / win_length
    window = np.zeros(n_fft)
    start = (n_fft - win_length) // 2
    window[start : start + win_length] = cosine - (1 - cosine) * np.cos(phase)
    return window


def mel_filters(
    sample_rate: int,
    n_fft: int,
    n_mels: int,
    fmin: float,
    fmax: float,
    scale: str = "slaney",
    norm: str | None = "slaney",
) -> NDArray[np.float32]:
    """Triangular mel filters, bit-equal to `librosa.filters.mel`.

    Returns:
        float32 [n_mels, 1 + n_fft // 2].
    """
    bins = np.fft.rfftfreq(n=n_fft, d=1.0 / sample_rate)
    mels = np.linspace(_hz_to_mel(fmin, scale), _hz_to_mel(fmax, scale), n_mels + 2)
    edges = _mel_to_hz(mels, scale)
    widths = np.diff(edges)
    ramps = np.subtract.outer(edges, bins)
    rising = -ramps[:-2] / widths[:-1, None]
    falling = ramps[2:] / widths[1:, None]
    weights = np.maximum(0, np.minimum(rising, falling)).astype(np.float32)
    if norm == "slaney":
        weights *= (2.0 / (edges[2:] - edges[:-2]))[:, None]
    return weights


def dct_matrix(n_mfcc: int, n_mels: int) -> NDArray[np.float64]:
    """The first `n_mfcc` rows of the orthonormal DCT-II (scipy.fft.dct, type 2, norm "ortho").

    Returns:
        float64 [n_mfcc, n_mels].
    """
    angles = np.pi / n_mels * np.outer(np.arange(n_mfcc), np.arange(n_mels) + 0.5)
    matrix = np.cos(angles) * np.sqrt(2.0 / n_mels)
    matrix[0] = np.sqrt(1.0 / n_mels)
    return matrix


def _hz_to_mel(hz: float, scale: str) -> float:
    if scale == "htk":
        return float(2595.0 * np.log10(1.0 + hz / 700.0))
    if hz < _SLANEY_LOG_START_HZ:
        return hz / _SLANEY_HZ_PER_MEL
    start = _SLANEY_LOG_START_HZ / _SLANEY_HZ_PER_MEL
    return float(start + np.log(hz / _SLANEY_LOG_START_HZ) / _SLANEY_LOG_STEP)


def _mel_to_hz(mels: NDArray[np.float64], scale: str) -> NDArray[np.float64]:
    if scale == "htk":
        return 700.0 * (10.0 ** (mels / 2595.0) - 1.0)
    start = _SLANEY_LOG_START_HZ / _SLANEY_HZ_PER_MEL
    hz = _SLANEY_HZ_PER_MEL * mels
    logarithmic = mels >= start
    hz[logarithmic] = _SLANEY_LOG_START_HZ * np.exp(_SLANEY_LOG_STEP * (mels[logarithmic] - start))
    return hz
