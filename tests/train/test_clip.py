"""Reading the samples of a clip."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from synthetic_corpora import voice

from ser_train.corpora.clip import read_clip


def test_samples_at_the_wanted_rate_come_as_they_are(tmp_path: Path) -> None:
    audio = voice("happy", 1)
    soundfile.write(tmp_path / "a.wav", audio, 16_000, subtype="FLOAT")
    np.testing.assert_array_equal(read_clip(tmp_path / "a.wav", 16_000), audio)


@pytest.mark.parametrize("rate", [8_000, 24_414, 48_000, 96_000])
def test_other_rates_are_resampled_without_moving_a_tone(tmp_path: Path, rate: int) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)
    soundfile.write(tmp_path / "tone.wav", tone, rate, subtype="FLOAT")
    heard = read_clip(tmp_path / "tone.wav", 16_000)
    wanted = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    assert heard.dtype == np.float32
    assert abs(len(heard) - 16_000) <= 1
    np.testing.assert_allclose(heard[500:15_500], wanted[500:15_500], atol=1e-3)


def test_channels_are_averaged(tmp_path: Path) -> None:
    left, right = np.full(100, 0.5), np.full(100, -0.25)
    soundfile.write(tmp_path / "s.wav", np.stack([left, right], 1), 16_000, subtype="FLOAT")
    np.testing.assert_array_equal(
        read_clip(tmp_path / "s.wav", 16_000), np.full(100, 0.125, np.float32)
    )


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_samples_that_are_not_finite_count_as_zero(tmp_path: Path, rate: int) -> None:
    audio = np.zeros(rate, np.float32)
    audio[100:103] = np.nan, np.inf, -np.inf
    soundfile.write(tmp_path / "nan.wav", audio, rate, subtype="FLOAT")
    assert not read_clip(tmp_path / "nan.wav", 16_000).any()
