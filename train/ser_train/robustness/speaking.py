"""How often a recognizer speaks where nobody does: silence, noise alone, music."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ser_runtime.model import Model
from ser_runtime.prediction import UNCERTAIN
from ser_runtime.stream import Stream
from ser_train.robustness.babble import VOICES
from ser_train.robustness.babble import Babble
from ser_train.robustness.noises import NOISES
from ser_train.robustness.noises import generator

SECONDS = 60
LEVEL_DBFS = -30.0
"""Root mean square of all but the silence."""
_FADE_SECONDS, _DECAY_SECONDS = 0.01, 0.8
_HARMONICS = 6
# Roots (Hz) of C, A minor, F and G, and the thirds of each in semitones: struck once a second.
_CHORDS = ((130.81, 4), (110.0, 3), (87.31, 4), (98.0, 4))
_FIFTH, _OCTAVE = 7, 12


def speaking(model: Model, babble: Babble, seed: int) -> list[dict[str, Any]]:
    """What the runtime makes of a minute of each sound, with its voice activity detection.

    Args:
        model: Opened.
        babble: To take voices from.
        seed: Of the sounds.

    Returns:
        For each sound `name`, `windows`, and of them the shares with `voice` (judged at all) and
        `shown` (with the name of an emotion, not `uncertain`).
    """
    rows = []
    for name, audio in _sounds(model.spec.sample_rate, babble, seed):
        stream = Stream(model)
        made = [*stream.push(audio, model.spec.sample_rate), *stream.flush()]
        rows.append(
            {
                "name": name,
                "windows": len(made),
                "voice": sum(each.voice for each in made) / len(made),
                "shown": sum(each.voice and each.label != UNCERTAIN for each in made) / len(made),
            }
        )
    return rows


def chords(rng: np.random.Generator, samples: int, sample_rate: int) -> NDArray[np.float32]:
    """Simple music: four chords in turn, each struck once a second and dying away.

    Returns:
        float32 [samples], mean square 1.
    """
    time = np.arange(sample_rate) / sample_rate
    envelope = np.minimum(time / _FADE_SECONDS, 1) * np.exp(-time / _DECAY_SECONDS)
    envelope *= np.minimum((1 - time) / _FADE_SECONDS, 1)
    bars = []
    for bar in range(-(-samples // sample_rate)):
        root, third = _CHORDS[bar % len(_CHORDS)]
        notes = [root * 2 ** (step / 12) for step in (0, third, _FIFTH, _OCTAVE)]
        tones = (
            np.sin(2 * np.pi * note * k * time + rng.uniform(0, 2 * np.pi)) / k
            for note in notes
            for k in range(1, _HARMONICS + 1)
        )
        bars.append(envelope * sum(tones))
    music = np.concatenate(bars)[:samples]
    return (music / np.sqrt(np.mean(np.square(music)))).astype(np.float32)


def _sounds(
    sample_rate: int, babble: Babble, seed: int
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    samples = SECONDS * sample_rate
    level = np.float32(10 ** (LEVEL_DBFS / 20))
    yield "silence", np.zeros(samples, np.float32)
    for name, noise in (NOISES | {"music (chords)": chords}).items():
        yield name, level * noise(generator(seed, "", name), samples, sample_rate)
    for name, voices in ((f"babble of {VOICES}", VOICES), ("one voice, for comparison", 1)):
        rng = generator(seed, "", name)
        yield name, level * babble.noise(rng, samples, voices=voices)
