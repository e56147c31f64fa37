"""Recordings of the real corpora, for tests that need few of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ser_runtime.audio_folder import find_audio
from ser_train.corpora.clip import read_clip

RATE = 16_000


def some_clips(corpora: Path, count: int) -> list[NDArray[np.float32]]:
    """Clips at 16 kHz, evenly spaced over all of them, so that every corpus is there."""
    found, errors = find_audio([corpora])
    assert len(found) > 12_000
    assert not errors
    return [read_clip(audio.path, RATE) for audio in found[:: len(found) // count]]
