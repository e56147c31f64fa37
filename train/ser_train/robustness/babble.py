"""Babble: several people who talk at once, mixed from clips."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ser_runtime.errors import CorporaError
from ser_train.corpora import Clip
from ser_train.corpora.clip import read_indexed

VOICES = 6


class Babble:
    """Mixes clips; what was read stays in memory."""

    def __init__(self, clips: Sequence[Clip], sample_rate: int) -> None:
        """Prepare.

        Args:
            clips: To mix, of several speakers; silent ones are left out.
            sample_rate: In Hz, of the noise.
        """
        self._rate = sample_rate
        self._of_speaker: dict[tuple[str, str], list[Clip]] = defaultdict(list)
        for clip in sorted(clips):
            if not clip.silent:
                self._of_speaker[clip.corpus, clip.speaker].append(clip)
        self._read: dict[str, NDArray[np.float32]] = {}

    def noise(
        self,
        rng: np.random.Generator,
        samples: int,
        without: tuple[str, str] | None = None,
        voices: int = VOICES,
    ) -> NDArray[np.float32]:
        """Voices of other speakers, each equally loud, one clip after the other.

        Args:
            rng: What every draw is made from.
            samples: How long.
            without: Corpus and speaker who must not be among them.
            voices: How many at once; fewer if there are no more speakers.

        Returns:
            float32 [samples], mean square 1.

        Raises:
            CorporaError: If there is no other speaker, or a clip cannot be read any more.
        """
        speakers = [speaker for speaker in sorted(self._of_speaker) if speaker != without]
        if not speakers:
            raise CorporaError("babble is mixed from clips of other speakers, and there is but one")
        chosen = rng.choice(len(speakers), min(voices, len(speakers)), replace=False)
        mixed = sum(self._voice(speakers[row], rng, samples) for row in chosen)
        return (mixed / np.sqrt(np.mean(np.square(mixed, dtype=np.float64)))).astype(np.float32)

    def _voice(
        self, speaker: tuple[str, str], rng: np.random.Generator, samples: int
    ) -> NDArray[np.float32]:
        """Clips of one speaker in a row, from anywhere in the first one."""
        clips = self._of_speaker[speaker]
        first = self._loud(clips[rng.integers(len(clips))])
        parts = [first[rng.integers(len(first)) :]]
        while sum(map(len, parts)) < samples:
            parts.append(self._loud(clips[rng.integers(len(clips))]))
        return np.concatenate(parts)[:samples]

    def _loud(self, clip: Clip) -> NDArray[np.float32]:
        """A clip, at power 1."""
        if clip.id not in self._read:
            audio = read_indexed(clip, self._rate)
            self._read[clip.id] = audio / np.float32(np.sqrt(np.mean(np.square(audio))))
        return self._read[clip.id]
