"""Audio for the tests of streams, and ways to push it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from synthetic_corpora import voice

from ser_runtime.labels import EMOTIONS
from ser_runtime.model import Model
from ser_runtime.prediction import Prediction
from ser_runtime.stream import Stream

RATE = 16_000
AUDIO = np.concatenate(
    [voice(emotion, seed, seconds=1.0) for seed, emotion in enumerate(EMOTIONS)]
).astype(np.float32)
# Voices, steady noise, silence, a voice again: every turn that the gate can take.
MIXED = np.concatenate(
    [
        AUDIO[: 2 * RATE],
        0.003 * np.random.default_rng(0).standard_normal(4 * RATE),
        np.zeros(RATE),
        AUDIO[2 * RATE : 5 * RATE],
    ]
).astype(np.float32)


def scoring_all(model: Model, **options: Any) -> Stream:
    """A stream that scores every window."""
    return Stream(model, vad="off", **options)


def in_chunks(stream: Stream, samples: NDArray[Any], rate: int, sizes: list[int]) -> list:
    """All predictions of samples that come in chunks of these sizes, over and over."""
    predictions, start, turn = [], 0, 0
    while start < len(samples):
        size = sizes[turn % len(sizes)]
        predictions += stream.push(samples[start : start + size], rate)
        start, turn = start + size, turn + 1
    return predictions + stream.flush()


def at_once(stream: Stream, samples: NDArray[Any], rate: int = RATE) -> list[Prediction]:
    return stream.push(samples, rate) + stream.flush()


def as_sent(kind: str, rate: int) -> NDArray[Any]:
    """4.2 s of sound at a rate, in the type and layout that a caller may have."""
    mono = np.concatenate([voice("sad", 1, 2.1, rate), voice("angry", 2, 2.1, rate)])
    stereo = np.stack([mono, 0.5 * mono[::-1]], axis=1)
    return {
        "float32": mono,
        "float64": mono.astype(np.float64),
        "int16": (mono * 32_767).astype(np.int16),
        "int32": (mono * 2**30).astype(np.int32),
        "float32 stereo": stereo,
        "int16 stereo": (stereo * 32_767).astype(np.int16),
        "float64 stereo": stereo.astype(np.float64),
    }[kind]
