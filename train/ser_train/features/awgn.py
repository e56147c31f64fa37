"""Additive white Gaussian noise, as the report's section 4.2.1 and 4.3.3 have it."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

SNR_RANGE_DB = (15.0, 30.0)
"""Signal-to-noise ratios are uniform in this range (report, section 4.3.3)."""


def add_noise(
    window: NDArray[np.float32], rng: np.random.Generator
) -> tuple[NDArray[np.float32], float]:
    """A window with white noise at a random signal-to-noise ratio.

    Signal power is the mean over the whole window, padding included, and the noise covers the
    padding too. Silence stays silent.

    Args:
        window: float32 [samples].
        rng: Draws first the ratio, then the noise.

    Returns:
        float32 [samples], and the ratio in dB.
    """
    snr_db = rng.uniform(*SNR_RANGE_DB)
    noise = rng.standard_normal(len(window), np.float32)
    power = np.mean(np.square(window, dtype=np.float64))
    deviation = np.sqrt(power / 10 ** (snr_db / 10))
    return window + np.float32(deviation) * noise, snr_db


def noise_generator(seed: int, clip_id: str, copy: int) -> np.random.Generator:
    """The random numbers of one noisy copy, whatever the order in which copies are made."""
    digest = hashlib.sha256(f"{seed} {clip_id} {copy}".encode()).digest()
    return np.random.default_rng(np.frombuffer(digest, np.uint32))
