"""Channels, on tones and impulses with known answers."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from ser_train.robustness.channels import CHANNELS

RATE = 16_000
TIME = np.arange(RATE) / RATE


def through(name: str, audio: NDArray[np.floating]) -> NDArray[np.float32]:
    return CHANNELS[name](audio.astype(np.float32), np.random.default_rng(0), RATE)


def gain_at(name: str, frequency: float) -> float:
    """What becomes of a tone, in dB, once it has settled."""
    tone = 0.1 * np.sin(2 * np.pi * frequency * TIME)
    heard = through(name, tone)[4000:12_000]
    return float(10 * np.log10(np.mean(np.square(heard)) / np.mean(np.square(tone[4000:12_000]))))


@pytest.mark.parametrize("name", CHANNELS)
def test_audio_comes_out(name: str) -> None:
    audio = 0.1 * np.sin(2 * np.pi * 800 * TIME)
    heard = through(name, audio)
    assert heard.dtype == np.float32
    assert len(heard) >= len(audio)
    assert np.isfinite(heard).all()


@pytest.mark.parametrize("name", CHANNELS)
def test_silence_stays_silent(name: str) -> None:
    assert np.abs(through(name, np.zeros(RATE))).max() < 1e-4


@pytest.mark.parametrize(("name", "wanted"), [("gain -30 dB", -30), ("gain +12 dB, clipped", 12)])
def test_a_tone_that_fits_is_changed_by_the_gain(name: str, wanted: float) -> None:
    assert gain_at(name, 800) == pytest.approx(wanted, abs=0.05)


def test_what_is_too_loud_is_clipped() -> None:
    heard = through("gain +12 dB, clipped", 0.8 * np.sin(2 * np.pi * 100 * TIME))
    assert heard.max() == 32767 / 32768
    assert heard.min() == -1
    assert np.mean(np.abs(heard) > 0.99) > 0.7


def test_what_is_quiet_is_rounded_to_16_bits() -> None:
    heard = through("gain -30 dB", 0.001 * np.sin(2 * np.pi * 100 * TIME))
    assert set(np.unique(heard * 32768)) == {-1, 0, 1}


@pytest.mark.parametrize(
    ("name", "frequency"), [("telephone, 300 to 3400 Hz", 1000), ("8 kHz", 3000)]
)
def test_the_middle_of_a_band_passes(name: str, frequency: float) -> None:
    assert gain_at(name, frequency) == pytest.approx(0, abs=0.5)


@pytest.mark.parametrize(
    ("name", "frequency"),
    [("telephone, 300 to 3400 Hz", 100), ("telephone, 300 to 3400 Hz", 7000), ("8 kHz", 5000)],
)
def test_what_is_outside_of_a_band_is_gone(name: str, frequency: float) -> None:
    assert gain_at(name, frequency) < -30


@pytest.mark.parametrize("frequency", [300, 3400])
def test_the_telephones_band_ends_where_half_the_power_is_left(frequency: float) -> None:
    assert gain_at("telephone, 300 to 3400 Hz", frequency) == pytest.approx(-3, abs=0.3)


@pytest.mark.parametrize("name", ["Opus, 16 kbit/s", "MP3, 32 kbit/s"])
def test_a_codec_keeps_the_sound_but_not_the_samples(name: str, speech_like: np.ndarray) -> None:
    heard = through(name, speech_like)
    lags = np.fft.irfft(np.fft.rfft(heard, 4 * RATE) * np.conj(np.fft.rfft(speech_like, 4 * RATE)))
    norm = np.sqrt(np.sum(np.square(heard)) * np.sum(np.square(speech_like)))
    assert 0.8 < lags.max() / norm < 0.9999


def test_the_tail_of_a_room_is_as_strong_as_the_direct_sound_and_dies_away() -> None:
    impulse = np.zeros(RATE)
    impulse[1000] = 1
    heard = through("small room, 0.4 s", impulse)[1000:]
    tail = np.square(heard[1:].astype(np.float64))
    assert heard[0] == pytest.approx(1, abs=1e-4)
    assert tail.sum() == pytest.approx(1, abs=1e-3)
    early, late = (tail[round(s * RATE) : round((s + 0.05) * RATE)].mean() for s in (0.05, 0.3))
    assert 10 * np.log10(early / late) == pytest.approx(60 * 0.25 / 0.4, abs=2)


@pytest.fixture(scope="module")
def speech_like() -> np.ndarray:
    """A gliding voice of many harmonics, with noise."""
    phase = 2 * np.pi * np.cumsum(120 + 40 * np.sin(2 * np.pi * 2 * TIME)) / RATE
    voice = sum(np.sin(k * phase) / k for k in range(1, 30))
    noise = np.random.default_rng(0).standard_normal(RATE)
    return 0.05 * (voice + 0.05 * noise) * (1 + np.sin(2 * np.pi * 3 * TIME))
