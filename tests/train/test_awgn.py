"""White noise at a drawn signal-to-noise ratio."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from synthetic_corpora import voice

from ser_train.features.awgn import add_noise
from ser_train.features.awgn import noise_generator


def window(seconds: float = 1.0) -> NDArray[np.float32]:
    """A second and a half of window, with a voice at its start."""
    audio = voice("happy", 1, seconds)
    return np.concatenate([audio, np.zeros(24_000 - len(audio), np.float32)])


@pytest.mark.parametrize("seed", range(5))
def test_the_added_noise_has_the_drawn_ratio(seed: int) -> None:
    clean = window()
    noisy, snr_db = add_noise(clean, np.random.default_rng(seed))
    noise = noisy.astype(np.float64) - clean
    measured = 10 * np.log10(np.mean(np.square(clean, dtype=np.float64)) / np.mean(noise**2))
    # The power of 24,000 random values itself scatters by 0.04 dB.
    assert measured == pytest.approx(snr_db, abs=0.2)


def test_noise_power_over_many_copies_is_exact() -> None:
    clean = window()
    power = np.mean(np.square(clean, dtype=np.float64))
    shares = []
    for seed in range(100):
        noisy, snr_db = add_noise(clean, np.random.default_rng(seed))
        noise = noisy.astype(np.float64) - clean
        shares.append(np.mean(noise**2) / (power / 10 ** (snr_db / 10)))
    assert np.mean(shares) == pytest.approx(1.0, abs=0.005)


def test_ratios_are_uniform_from_15_to_30_db() -> None:
    clean = np.ones(4, np.float32)
    drawn = [add_noise(clean, np.random.default_rng(seed))[1] for seed in range(2_000)]
    counts, _ = np.histogram(drawn, bins=5, range=(15, 30))
    assert counts.sum() == 2_000
    # Five standard deviations of a binomial of 2,000 with a fifth.
    assert np.abs(counts - 400).max() < 5 * np.sqrt(2_000 * 0.2 * 0.8)


def test_noise_covers_the_padding_too() -> None:
    noisy, _ = add_noise(window(0.5), np.random.default_rng(0))
    assert noisy[20_000:].std() == pytest.approx((noisy - window(0.5))[:4_000].std(), rel=0.1)


def test_noise_is_white() -> None:
    clean = window()
    noise = add_noise(clean, np.random.default_rng(0))[0] - clean
    spectrum = np.square(np.abs(np.fft.rfft(noise)))[:12_000].reshape(4, -1).mean(axis=1)
    np.testing.assert_allclose(spectrum / spectrum.mean(), 1, atol=0.1)


def test_silence_stays_silent() -> None:
    noisy, _ = add_noise(np.zeros(1_000, np.float32), np.random.default_rng(0))
    assert not noisy.any()


def test_noisy_copies_are_float32() -> None:
    assert add_noise(window(), np.random.default_rng(0))[0].dtype == np.float32


@pytest.mark.parametrize("other", [(0, "a", 2), (0, "b", 1), (1, "a", 1)])
def test_another_copy_clip_or_seed_has_other_noise(other: tuple[int, str, int]) -> None:
    one = add_noise(window(), noise_generator(0, "a", 1))[0]
    assert not np.array_equal(one, add_noise(window(), noise_generator(*other))[0])


def test_noise_of_a_clip_does_not_depend_on_the_order_of_copies() -> None:
    forth = {n: add_noise(window(), noise_generator(0, "a", n))[0] for n in (1, 2)}
    back = {n: add_noise(window(), noise_generator(0, "a", n))[0] for n in (2, 1)}
    np.testing.assert_array_equal(forth[1], back[1])
    np.testing.assert_array_equal(forth[2], back[2])
