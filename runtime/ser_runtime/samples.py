"""Samples of any common format as mono float32 at one rate."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from ser_runtime.errors import AudioError

LOWEST_RATE, HIGHEST_RATE = 1_000, 768_000
LARGEST_SAMPLE = 1e4
"""80 dB above full scale: what exceeds it is no sound, and its power would overflow."""
MOST_CHANNELS = 64
_PROBE_SECONDS, _PROBE_PIECES = 2.0, 2_000
_FULL_SCALE = {np.dtype(np.int16): 2.0**15, np.dtype(np.int32): 2.0**31}


def check_samples(samples: NDArray[Any]) -> None:
    """Refuse what `to_mono` cannot take.

    Raises:
        AudioError: If type or shape is none of those of `to_mono`.
    """
    if samples.ndim not in (1, 2) or (
        samples.ndim == 2 and not 1 <= samples.shape[1] <= MOST_CHANNELS
    ):
        raise AudioError(
            f"samples must be [samples] or [samples, channels], not of shape {samples.shape}"
        )
    if samples.dtype not in (np.float32, np.float64) and samples.dtype not in _FULL_SCALE:
        raise AudioError(f"samples must be float32, float64, int16 or int32, not {samples.dtype}")


def check_rate(sample_rate: int) -> None:
    """Refuse a sample rate that cannot be.

    Raises:
        AudioError: If it is not within 1 to 768 kHz.
    """
    if not LOWEST_RATE <= sample_rate <= HIGHEST_RATE:
        raise AudioError(
            f"the sample rate must lie within {LOWEST_RATE} to {HIGHEST_RATE} Hz, not {sample_rate}"
        )


def to_mono(samples: NDArray[Any]) -> tuple[NDArray[np.float32], int]:
    """Mono samples in [-1, 1].

    Args:
        samples: float32 or float64 in [-1, 1], int16 or int32; [samples] or [samples, channels].

    Returns:
        float32 [samples], channels averaged; and how many values became 0: NaN, infinite, or beyond
        `LARGEST_SAMPLE`.

    Raises:
        AudioError: If type or shape is none of these.
    """
    check_samples(samples)
    if scale := _FULL_SCALE.get(samples.dtype):
        mono = samples if samples.ndim == 1 else samples.mean(axis=1)
        return (mono / np.float32(scale)).astype(np.float32), 0
    replaced = 0
    # Both are NaN where there is one. Absolute values would be an array of their own.
    lowest = np.minimum.reduce(samples, axis=None, initial=0.0)
    highest = np.maximum.reduce(samples, axis=None, initial=0.0)
    if not (lowest >= -LARGEST_SAMPLE and highest <= LARGEST_SAMPLE):
        possible = np.abs(samples) <= LARGEST_SAMPLE
        replaced = samples.size - int(np.count_nonzero(possible))
        samples = np.where(possible, samples, 0)
    mono = samples if samples.ndim == 1 else samples.mean(axis=1)
    return mono.astype(np.float32, copy=False), replaced


class Resampler:
    """Brings mono samples to another rate, a chunk at a time (soxr HQ).

    The output does not depend on the chunks, is aligned with the input, and comes late, in bursts
    (`resampling_delay`). Equal rates pass through.
    """

    def __init__(self, sample_rate: int, target_rate: int) -> None:
        """Prepare for one stream.

        Raises:
            AudioError: If the rate is not within 1 to 768 kHz.
        """
        check_rate(sample_rate)
        self.sample_rate = sample_rate
        self._stream = None
        if sample_rate != target_rate:
            self._stream = soxr.ResampleStream(
                sample_rate, target_rate, 1, dtype="float32", quality="HQ"
            )

    def push(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """What is ready after these samples: float32 [any number]."""
        if self._stream is None or not len(samples):
            return samples
        return self._stream.resample_chunk(samples)

    def flush(self) -> NDArray[np.float32]:
        """The rest, at the end of the stream."""
        nothing = np.zeros(0, np.float32)
        if self._stream is None:
            return nothing
        return self._stream.resample_chunk(nothing, last=True)


@cache
def resampling_delay(sample_rate: int, target_rate: int) -> float:
    """How late the output of a `Resampler` comes at most, in seconds; measured, once per rates.

    Between 37 ms (from 24 or 48 kHz) and 116 ms (from 8 kHz) to 16 kHz; 0 for equal rates.
    """
    if sample_rate == target_rate:
        return 0.0
    resampler = Resampler(sample_rate, target_rate)
    piece = np.zeros(max(1, round(sample_rate * _PROBE_SECONDS / _PROBE_PIECES)), np.float32)
    latest, done = 0.0, 0
    for pieces in range(1, _PROBE_PIECES + 1):
        latest = max(latest, pieces * len(piece) / sample_rate - done / target_rate)
        done += len(resampler.push(piece))
    return latest
