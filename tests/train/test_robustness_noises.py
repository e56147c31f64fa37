"""Noises: their power, spectrum and repeatability, and the ratio that they are mixed at."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from ser_train.robustness.noises import NOISES
from ser_train.robustness.noises import generator
from ser_train.robustness.noises import mix
from ser_train.robustness.speaking import chords

RATE, SAMPLES = 16_000, 48_000
ALL = NOISES | {"chords": chords}


def made(name: str, seed: int = 0) -> NDArray[np.float32]:
    return ALL[name](np.random.default_rng(seed), SAMPLES, RATE)


def density_db(noise: NDArray[np.float32], low: float, high: float) -> float:
    """Mean power density between two frequencies."""
    power = np.abs(np.fft.rfft(noise)) ** 2
    frequencies = np.fft.rfftfreq(len(noise), 1 / RATE)
    return float(10 * np.log10(power[(frequencies >= low) & (frequencies < high)].mean()))


@pytest.mark.parametrize("name", ALL)
def test_power_is_one(name: str) -> None:
    noise = made(name)
    assert (noise.dtype, noise.shape) == (np.float32, (SAMPLES,))
    assert np.mean(np.square(noise, dtype=np.float64)) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("name", ALL)
def test_the_same_random_numbers_make_the_same_noise_and_others_another(name: str) -> None:
    np.testing.assert_array_equal(made(name), made(name))
    assert not np.array_equal(made(name), made(name, seed=1))


@pytest.mark.parametrize(
    ("name", "db_per_octave"), [("white", 0), ("pink", -3.01), ("brown", -6.02)]
)
def test_coloured_noise_falls_by_so_much_an_octave(name: str, db_per_octave: float) -> None:
    noise = made(name)
    octaves = [density_db(noise, low, 2 * low) for low in (200, 400, 800, 1600)]
    np.testing.assert_allclose(np.diff(octaves), db_per_octave, atol=0.6)


@pytest.mark.parametrize("name", ["pink", "brown"])
def test_coloured_noise_does_not_drift(name: str) -> None:
    assert density_db(made(name), 0, 19) < density_db(made(name), 20, 40) - 60


def test_hum_is_50_hz_and_its_harmonics_and_nothing_else() -> None:
    power = np.abs(np.fft.rfft(made("hum")[:RATE].astype(np.float64))) ** 2
    harmonics = np.arange(50, 1001, 50)
    assert power[harmonics].sum() > (1 - 1e-9) * power.sum()
    assert power[harmonics] / power[50] == pytest.approx(1 / np.arange(1, 21) ** 2, rel=1e-3)


def test_clicks_are_short_and_far_apart() -> None:
    noise = made("clicks")
    assert np.mean(noise == 0) > 0.9
    assert np.abs(noise).max() > 10


@pytest.mark.parametrize("snr_db", [20, 0])
def test_the_ratio_is_that_of_the_powers(snr_db: int) -> None:
    audio = 0.1 * np.sin(np.arange(20_000) / 7).astype(np.float32)
    added = mix(audio, made("white"), snr_db)
    added[: len(audio)] -= audio
    ratio = np.mean(np.square(audio)) / np.mean(np.square(added))
    assert 10 * np.log10(ratio) == pytest.approx(snr_db, abs=0.01)


def test_the_noise_goes_on_when_the_clip_has_ended() -> None:
    mixed = mix(np.full(100, 0.5, np.float32), made("white"), 0)
    assert len(mixed) == SAMPLES
    assert np.std(mixed[-1000:]) == pytest.approx(0.5, rel=0.1)


@pytest.mark.parametrize("samples", [0, 100])
def test_silence_stays_silent(samples: int) -> None:
    assert not mix(np.zeros(samples, np.float32), made("white"), 0).any()


def test_noise_is_left_as_it_was() -> None:
    noise = made("white")
    mix(np.ones(10, np.float32), noise, 0)
    np.testing.assert_array_equal(noise, made("white"))


def test_random_numbers_depend_on_seed_clip_and_purpose() -> None:
    keys = [
        (0, "TESS/a", "pink"),
        (1, "TESS/a", "pink"),
        (0, "TESS/b", "pink"),
        (0, "TESS/a", "hum"),
    ]
    draws = [generator(*key).random() for key in keys]
    assert len(set(draws)) == 4
    assert draws[0] == generator(*keys[0]).random()
