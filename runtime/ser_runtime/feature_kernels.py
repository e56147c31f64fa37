"""The arithmetic of features: frames -> log-mel -> features, for offline and streaming use alike.

Frame by frame: analysis window -> Fourier transform (float64: numpy's float32 one is slower, and
less exact) -> power -> mel bands -> log. Over a whole window: `top_db` clip -> DCT. The DCT runs in
float64 on values measured from the clip threshold, which is added back to coefficient 0 afterwards:
in float32, coefficient 0 of a silent window (-1131) would be off by 1e-3. It is a Fourier transform
of the bands in another order (Makhoul 1980, doi:10.1109/TASSP.1980.1163351), which takes less than
a matrix product, and no matrix of 128 KB that has to be fetched after half a second of sleep.

A frame's result depends on the frame alone, to the bit, not on how many frames are computed with it
or at which place: what a stream kept from an earlier window is what a new computation would give.
Matrix products need care for that, since BLAS takes other code for other shapes, and for the rows
left over at an edge. Here they always take `_ROWS` frames, the last ones filled up with zeros.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from functools import lru_cache
from typing import Any
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ser_runtime.feature_spec import FeatureSpec
from ser_runtime.filterbank import analysis_window
from ser_runtime.filterbank import mel_filters

_MEL_GROUPS = 8
# No kernel of OpenBLAS (x86-64) treats the rows of an 8-row product differently; with 6, 12 or 16
# some do. With 128 bands these products are also too small for OpenBLAS to wake its threads.
_ROWS = 8
# Frames at a time: a step's, so as to hide Python's overhead.
_BLOCK = 3 * _ROWS
# Frames transformed at a time: half of a step's. In float64 and complex numbers they take 32 KB
# each, and memory that a step has not just used is dear after half a second of sleep.
_TRANSFORMED = 10
_DB = np.float32(10.0 / math.log(10.0))
"""From a natural logarithm of power to decibels."""
# Rows of a power-of-two length evict each other from the cache when more are transposed at once.
_TRANSPOSED = 64


class FeatureKernels:
    """Computes frames and features of one spec in buffers of its own: one per thread.

    Attributes:
        spec: What is computed.
        frame_length: Samples of a frame: the spec's `win_length`; the rest of `n_fft` is zeros.
        reach: Samples of a frame that lie before its centre.
    """

    def __init__(self, spec: FeatureSpec) -> None:
        constants = _constants(spec)
        self.spec = spec
        self.frame_length = spec.win_length
        before = (spec.n_fft - spec.win_length) // 2
        self.reach = spec.n_fft // 2 - before
        self._analysis = constants.window[before : before + spec.win_length]
        bins = spec.n_fft // 2 + 1
        self._block = min(_BLOCK, spec.frames)
        self._padded = np.zeros((_TRANSFORMED, spec.n_fft))
        self._windowed = self._padded[:, before : before + spec.win_length]
        self._spectrum = np.empty((_TRANSFORMED, bins), np.complex128)
        products = _products(self._block)
        self._power = np.empty((products, _ROWS, bins), np.float32)
        self._mel = np.empty((products, _ROWS, spec.n_mels), np.float32)
        self._mel_products = [
            (self._power[:, :, used], weights, self._mel[:, :, bands])
            for bands, used, weights in constants.mel_bands
        ]
        if spec.n_mfcc is not None:
            self._twiddles = constants.twiddles
            self._reordered = np.empty((spec.frames + 1, spec.n_mels))
            self._rotated = np.empty((spec.frames + 1, spec.n_mels // 2 + 1), np.complex128)

    def log_mel(self, groups: list[NDArray[np.float32]], out: NDArray[np.float32]) -> None:
        """Log-mel values of frames, with the `top_db` clip still to be done.

        Args:
            groups: Arrays of frames, float32 [count, frame_length], usually overlapping views.
            out: Where the values go: float32 [frames of all groups, n_mels], in dB or ln.
        """
        done = 0
        for block in _blocks(groups, self._block):
            count = self._compute_power(block)
            self._compute_mel(count)
            self._compute_log(_rows(self._mel)[:count], out[done : done + count])
            done += count

    def threshold(self, log_mel: NDArray[np.float32]) -> float:
        """What `top_db` raises all values of a window to, in dB; 0 where nothing is clipped.

        Args:
            log_mel: float32 [frames, n_mels], all of a window.
        """
        return 0.0 if self.spec.top_db is None else float(log_mel.max()) - self.spec.top_db

    def mfcc(
        self, log_mel: NDArray[np.float32], threshold: float, out: NDArray[np.float32]
    ) -> None:
        """Cepstral coefficients of frames, clipped at their window's threshold.

        Args:
            log_mel: float32 [count, n_mels], up to a window's frames and one more.
            threshold: Of the window.
            out: Where the coefficients go: float32 [count, n_mfcc].
        """
        count, n_mels, n_mfcc = len(log_mel), self.spec.n_mels, self.spec.n_mfcc
        values, rotated = self._reordered[:count], self._rotated[:count]
        # Even bands, then odd ones backwards.
        values[:, : (n_mels + 1) // 2] = log_mel[:, 0::2]
        values[:, (n_mels + 1) // 2 :] = log_mel[:, 1::2][:, ::-1]
        if self.spec.top_db is not None:
            np.subtract(values, threshold, out=values)
            np.maximum(values, 0.0, out=values)
        np.fft.rfft(values, out=rotated)
        np.multiply(rotated, self._twiddles, out=rotated)
        rotated[:, 0] += threshold * math.sqrt(n_mels)
        # Coefficient k is the real part, coefficient n_mels - k the imaginary one with other sign.
        low = min(n_mfcc, n_mels // 2 + 1)
        out[:, :low] = rotated.real[:, :low]
        if n_mfcc > low:
            high = rotated.imag[:, n_mels - n_mfcc + 1 : n_mels - low + 1][:, ::-1]
            np.negative(high, out=out[:, low:], casting="same_kind")

    def clipped(self, log_mel: NDArray[np.float32], threshold: float) -> NDArray[np.float32]:
        """Log-mel features: float32 [n_mels, frames], a new array, clipped at `threshold`."""
        features = as_features(log_mel)
        if self.spec.top_db is not None:
            np.maximum(features, threshold, out=features)
        return features

    def _compute_power(self, block: list[NDArray[np.float32]]) -> int:
        """Fill the first rows of `_power`; returns their number."""
        power, count, waiting = _rows(self._power), 0, 0
        for frames in block:
            while len(frames):
                part = frames[: _TRANSFORMED - waiting]
                # A product of float32 and float64 would be cast in small pieces: it takes longer.
                self._windowed[waiting : waiting + len(part)] = part
                waiting += len(part)
                frames = frames[len(part) :]
                if waiting == _TRANSFORMED:
                    self._transform(power[count : count + waiting])
                    count += waiting
                    waiting = 0
        if waiting:
            self._transform(power[count : count + waiting])
        return count + waiting

    def _transform(self, power: NDArray[np.float32]) -> None:
        """Power spectra of the first frames of `_windowed`: float32 [count, bins]."""
        count = len(power)
        windowed = self._windowed[:count]
        np.multiply(windowed, self._analysis, out=windowed)
        spectrum = self._spectrum[:count]
        np.fft.rfft(self._padded[:count], out=spectrum)
        parts = spectrum.view(np.float64)
        np.multiply(parts, parts, out=parts)
        np.add(parts[:, 0::2], parts[:, 1::2], out=power, casting="same_kind")

    def _compute_mel(self, count: int) -> None:
        products = _products(count)
        _rows(self._power)[count : products * _ROWS] = 0
        for power, weights, mel in self._mel_products:
            np.matmul(power[:products], weights, out=mel[:products])

    def _compute_log(self, mel: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        floor = np.float32(self.spec.floor)
        if self.spec.log == "ln":
            np.add(mel, floor, out=mel)
            np.log(mel, out=out)
        else:
            np.maximum(mel, floor, out=mel)
            # Not log10: numpy's takes four times as long on processors without AVX-512.
            np.log(mel, out=mel)
            np.multiply(mel, _DB, out=out)


def as_features(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    """Frames in the order of features: float32 [coefficients, frames], a new array."""
    features = np.empty(frames.shape[::-1], np.float32)
    for start in range(0, len(frames), _TRANSPOSED):
        rows = slice(start, start + _TRANSPOSED)
        features[:, rows] = frames[rows].T
    return features


_thread = threading.local()


def kernels_of_this_thread(spec: FeatureSpec) -> FeatureKernels:
    """The calling thread's kernels of `spec`: streams of one thread share their buffers."""
    of_specs = _thread.__dict__.setdefault("kernels", {})
    kernels = of_specs.get(spec)
    if kernels is None:
        kernels = of_specs[spec] = FeatureKernels(spec)
    return kernels


def _products(count: int) -> int:
    """Products of `_ROWS` rows that `count` rows take."""
    return -(-count // _ROWS)


def _rows(products: NDArray[Any]) -> NDArray[Any]:
    """The rows of all products: a view."""
    return products.reshape(-1, products.shape[2])


def _blocks(groups: list[NDArray[np.float32]], size: int) -> Iterator[list[NDArray[np.float32]]]:
    """The frames of all groups in order, cut into blocks of at most `size` frames."""
    block: list[NDArray[np.float32]] = []
    room = size
    for frames in groups:
        while len(frames):
            block.append(frames[:room])
            frames = frames[room:]
            room -= len(block[-1])
            if not room:
                yield block
                block, room = [], size
    if block:
        yield block


def mel_filters_of(spec: FeatureSpec) -> NDArray[np.float32]:
    """The mel filters of a spec: float32 [n_mels, bins]."""
    return mel_filters(
        spec.sample_rate,
        spec.n_fft,
        spec.n_mels,
        spec.fmin,
        spec.fmax,
        spec.mel_scale,
        spec.mel_norm,
    )


class _Constants(NamedTuple):
    """Of a spec.

    Attributes:
        window: float64 [n_fft], for the analysis.
        mel_bands: Filters in groups that skip their zero bins.
        twiddles: complex128 [n_mels // 2 + 1]: make a Fourier transform an orthonormal DCT.
    """

    window: NDArray[np.float64]
    mel_bands: list[tuple[slice, slice, NDArray[np.float32]]]
    twiddles: NDArray[np.complex128]


@lru_cache(maxsize=16)
def _constants(spec: FeatureSpec) -> _Constants:
    window = analysis_window(spec.window, spec.win_length, spec.n_fft)
    filters = mel_filters_of(spec)
    bands = []
    for group in np.array_split(np.arange(spec.n_mels), min(_MEL_GROUPS, spec.n_mels)):
        rows = slice(int(group[0]), int(group[-1]) + 1)
        used = np.flatnonzero(filters[rows].any(axis=0))
        low, high = (int(used[0]), int(used[-1]) + 1) if len(used) else (0, 1)
        weights = np.ascontiguousarray(filters[rows, low:high].T)
        bands.append((rows, slice(low, high), weights))
    turns = np.arange(spec.n_mels // 2 + 1) / (4 * spec.n_mels)
    twiddles = np.exp(-2j * np.pi * turns) * math.sqrt(2.0 / spec.n_mels)
    twiddles[0] = math.sqrt(1.0 / spec.n_mels)
    return _Constants(window, bands, twiddles)
