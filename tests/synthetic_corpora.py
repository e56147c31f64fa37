"""Made-up corpora: the four layouts and naming schemes, with tones for voices.

Each emotion has a pitch and a modulation of its own, so that a small model learns them at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from ser_runtime.labels import EMOTIONS

RAVDESS_CODES = {"neutral": "01", "calm": "02", "happy": "03", "sad": "04", "angry": "05"} | {
    "fear": "06",
    "disgust": "07",
    "surprise": "08",
}
SAVEE_CODES = dict(zip(EMOTIONS, ("a", "d", "f", "h", "n", "sa", "su"), strict=True))
TESS_CODES = {emotion: emotion for emotion in EMOTIONS} | {"surprise": "ps"}
CREMA_D_CODES = {emotion: emotion[:3].upper() for emotion in EMOTIONS if emotion != "surprise"}


def voice(emotion: str, seed: int, seconds: float = 1.0, rate: int = 16_000) -> NDArray[np.float32]:
    """A tone with harmonics: float32 [samples] in [-1, 1]."""
    rng = np.random.default_rng(seed)
    index = EMOTIONS.index("neutral" if emotion == "calm" else emotion)
    time = np.arange(int(seconds * rate)) / rate
    pitch = 120 * 1.35**index * rng.uniform(0.97, 1.03)
    tone = sum(np.sin(2 * np.pi * pitch * k * time + rng.uniform(0, 6)) / k for k in (1, 2, 3))
    swell = 0.6 + 0.4 * np.sin(2 * np.pi * (1 + index) * time)
    return (0.1 * tone * swell + 0.002 * rng.standard_normal(len(time))).astype(np.float32)


def official_files(per_emotion: int = 1) -> Iterator[tuple[str, str]]:
    """Relative path, without suffix, and emotion of each clip in the official layouts.

    Speakers cover every set of `speaker-independent` fold 1.
    """
    for actor in (2, 5, 3, 6, 10, 11):
        for emotion, code in RAVDESS_CODES.items():
            for n in range(1, 1 + per_emotion):
                yield f"RAVDESS/Actor_{actor:02d}/03-01-{code}-01-01-{n:02d}-{actor:02d}", emotion
    for speaker in ("DC", "JE"):
        for emotion, code in SAVEE_CODES.items():
            for n in range(1, 1 + per_emotion):
                yield f"SAVEE/AudioData/{speaker}/{code}{n:02d}", emotion
    for word in ("back", "dog", "keg")[: 1 + per_emotion]:
        for speaker in ("OAF", "YAF"):
            for emotion, code in TESS_CODES.items():
                yield f"TESS/{speaker}_{word}_{code}", emotion
    for actor in (1001, 1002, 1019, 1020, 1037):
        for emotion, code in CREMA_D_CODES.items():
            for sentence in ("DFA", "IEO", "TIE")[:per_emotion]:
                yield f"CREMA-D/AudioWAV/{actor}_{sentence}_{code}_XX", emotion


def write_corpora(folder: Path, per_emotion: int = 1, suffix: str = ".wav") -> int:
    """Write all clips; returns how many."""
    count = 0
    for count, (name, emotion) in enumerate(official_files(per_emotion), 1):
        path = folder / f"{name}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, voice(emotion, count), 16_000)
    return count
