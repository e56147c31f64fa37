"""Noises that are drawn from random numbers alone, each of power 1 on average.

All are `noise(rng, samples, sample_rate)`: float32 [samples], mean square 1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Noise = Callable[[np.random.Generator, int, int], NDArray[np.float32]]

_LOWEST_HZ = 20.0
"""Coloured noise has nothing below: brown noise would be all drift."""
_MAINS_HZ, _HARMONICS = 50.0, 20
_CLICKS_PER_SECOND, _CLICK_SECONDS = 8.0, 0.001


def generator(seed: int, clip_id: str, purpose: str) -> np.random.Generator:
    """The random numbers of one purpose for one clip, whatever else is drawn, in any order."""
    digest = hashlib.sha256(f"{seed} {clip_id} {purpose}".encode()).digest()
    return np.random.default_rng(np.frombuffer(digest, np.uint32))


def white(rng: np.random.Generator, samples: int, sample_rate: int) -> NDArray[np.float32]:
    """The same power in every band of equal width."""
    return _unit(rng.standard_normal(samples))


def pink(rng: np.random.Generator, samples: int, sample_rate: int) -> NDArray[np.float32]:
    """3 dB less with each octave: rain, many rooms."""
    return _coloured(rng, samples, sample_rate, 1.0)


def brown(rng: np.random.Generator, samples: int, sample_rate: int) -> NDArray[np.float32]:
    """6 dB less with each octave: traffic, ventilation."""
    return _coloured(rng, samples, sample_rate, 2.0)


def hum(rng: np.random.Generator, samples: int, sample_rate: int) -> NDArray[np.float32]:
    """50 Hz and its harmonics up to 1 kHz, the k-th of 1/k the amplitude, in any phase."""
    time = np.arange(samples) / sample_rate
    phases = rng.uniform(0, 2 * np.pi, _HARMONICS)
    partials = (
        np.sin(2 * np.pi * _MAINS_HZ * k * time + phase) / k for k, phase in enumerate(phases, 1)
    )
    return _unit(sum(partials))


def clicks(rng: np.random.Generator, samples: int, sample_rate: int) -> NDArray[np.float32]:
    """Eight clicks a second on average, of any strength, that decay within milliseconds."""
    noise = np.zeros(samples)
    time = np.arange(round(5 * _CLICK_SECONDS * sample_rate)) / sample_rate
    decay = np.exp(-time / _CLICK_SECONDS)
    count = max(1, rng.poisson(_CLICKS_PER_SECOND * samples / sample_rate))
    for start in rng.integers(samples, size=count):
        part = noise[start : start + len(decay)]
        part += rng.lognormal(0.0, 0.5) * (rng.standard_normal(len(decay)) * decay)[: len(part)]
    return _unit(noise)


NOISES: dict[str, Noise] = {
    "pink": pink,
    "brown": brown,
    "white": white,
    "hum": hum,
    "clicks": clicks,
}
"""By name; babble, which is made of clips, is in `babble`."""


def mix(
    audio: NDArray[np.float32], noise: NDArray[np.float32], snr_db: float
) -> NDArray[np.float32]:
    """A clip in noise.

    The signal's power is the mean over the clip, its own pauses included; the noise goes on after
    the clip's end, as it does in a room. Silence stays silent.

    Args:
        audio: float32 [samples], no longer than the noise.
        noise: float32 [samples], of power 1.
        snr_db: Ratio of the powers.

    Returns:
        float32 [samples of the noise].
    """
    power = float(np.mean(np.square(audio, dtype=np.float64))) if len(audio) else 0.0
    mixed = np.float32(np.sqrt(power / 10 ** (snr_db / 10))) * noise
    mixed[: len(audio)] += audio
    return mixed


def _coloured(
    rng: np.random.Generator, samples: int, sample_rate: int, exponent: float
) -> NDArray[np.float32]:
    """Noise with a power density of 1 / frequency^exponent."""
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    frequencies = np.fft.rfftfreq(samples, 1 / sample_rate)
    spectrum *= np.maximum(frequencies, _LOWEST_HZ) ** (-exponent / 2)
    spectrum[frequencies < _LOWEST_HZ] = 0
    return _unit(np.fft.irfft(spectrum, samples))


def _unit(noise: NDArray[np.float64]) -> NDArray[np.float32]:
    return (noise / np.sqrt(np.mean(np.square(noise)))).astype(np.float32)
