"""Fixtures for the tests of the runtime."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from fake_portaudio import USB
from fake_portaudio import FakePortAudio
from numpy.typing import NDArray
from synthetic_corpora import voice

from ser_runtime.labels import EMOTIONS
from ser_runtime.model import Model
from ser_runtime.prediction import Prediction


@pytest.fixture(scope="session")
def model(made_up_model: Path) -> Model:
    """The made-up model, opened once."""
    return Model.open(made_up_model)


@pytest.fixture(scope="session")
def speech_16k(speech: Path) -> NDArray[np.float32]:
    """The synthesized speech at the models' rate: float32 [samples]."""
    audio, rate = soundfile.read(speech, dtype="float32")
    return soxr.resample(audio, rate, 16_000, quality="HQ")


@pytest.fixture
def hang_up_is_heard() -> Iterator[None]:
    """As on a terminal: tests under `nohup` inherit that the signal is ignored."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    """A WAV file of 4 s: 16 bit, mono, 16 kHz."""
    path = tmp_path / "voice.wav"
    soundfile.write(path, voice("happy", seed=0, seconds=4.0), 16_000)
    return path


@pytest.fixture
def prediction() -> Prediction:
    """A prediction with a known answer."""
    probabilities = dict.fromkeys(EMOTIONS, 0.05) | {"sad": 0.7}
    return Prediction(
        start=61.0,
        end=63.23456,
        label="sad",
        confidence=0.7,
        certain=True,
        probabilities=probabilities,
        smoothed=dict(probabilities),
        voice=True,
        complete=True,
        level_dbfs=-30.04,
        dropped_ms=12.34,
        segment_start=False,
        voice_start=61.5,
        voice_end=63.2,
    )


@pytest.fixture
def portaudio(monkeypatch: pytest.MonkeyPatch) -> FakePortAudio:
    """One USB microphone of 1 kHz, blocks of 100 samples; a lost device is looked for at once."""
    fake = FakePortAudio(USB)
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    monkeypatch.setattr("ser_runtime.microphone._RETRY_SECONDS", 0.01)
    return fake
