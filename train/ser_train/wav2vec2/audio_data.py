"""The first 3 s of every clip at 16 kHz, as wav2vec2 takes it in.

Kept on disk as 16-bit integers, which is what the corpora were published in, with the length of
each clip: what follows a shorter one is padding. Nothing here needs PyTorch, which takes long to
import in each of the processes that decode.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ser_runtime.features import fit_window
from ser_train.corpora import Clip
from ser_train.corpora import CorpusIndex
from ser_train.corpora.clip import read_indexed
from ser_train.features.array_cache import Computation
from ser_train.features.array_cache import Progress
from ser_train.features.array_cache import cached_array
from ser_train.features.array_cache import in_tasks
from ser_train.features.array_cache import key_digest
from ser_train.splits import Split
from ser_train.splits import classes_by_id

SAMPLE_RATE = 16_000
WINDOW_SAMPLES = 48_000

_FULL_SCALE = 1 << 15
_VERSION = 1
_ROW = np.dtype([("length", "<i4"), ("samples", "<i2", (WINDOW_SAMPLES,))])


@dataclass(frozen=True, eq=False)
class AudioSamples:
    """The clips of one set.

    Attributes:
        ids: Clip ids.
        classes: int64 [clips], indices into `EMOTIONS`.
        rows: int64 [clips], rows of `audio`.
        audio: Of all clips of the index: `length` and `samples`, int16 [WINDOW_SAMPLES]; read-only,
            mapped from disk.
    """

    ids: tuple[str, ...]
    classes: NDArray[np.int64]
    rows: NDArray[np.int64]
    audio: NDArray[np.void]

    def __len__(self) -> int:
        return len(self.rows)

    def waveforms(self, which: Sequence[int] | NDArray[np.int64]) -> list[NDArray[np.float32]]:
        """float32 [samples] in [-1, 1] of each clip, at most `WINDOW_SAMPLES`, without padding."""
        stored = [self.audio[self.rows[index]] for index in which]
        return [row["samples"][: row["length"]].astype(np.float32) / _FULL_SCALE for row in stored]


@dataclass(frozen=True, eq=False)
class AudioDataset:
    """The three sets of a split."""

    split: Split
    train: AudioSamples
    validation: AudioSamples
    test: AudioSamples


def load_audio(
    index: CorpusIndex,
    split: Split,
    cache: Path,
    progress: Progress | None = None,
    workers: int | None = None,
) -> AudioDataset:
    """The three sets of a split, from the cache or decoded into it.

    Raises:
        StorageError: If the disk is full.
        CorporaError: If a clip cannot be read any more.
    """
    key = {
        "version": _VERSION,
        "audio": {"sample_rate": SAMPLE_RATE, "samples": WINDOW_SAMPLES},
        "corpora": index.content_hash,
    }
    clips = index.clips
    entry = cache / "features" / f"waveforms-{key_digest(key)}"
    computation = Computation(_rows_of, in_tasks(clips), (len(clips),), _ROW)
    audio = cached_array(entry, key, computation, progress, workers)
    row_of = {clip.id: row for row, clip in enumerate(clips)}
    class_of = classes_by_id(clips, split.protocol)

    def samples(ids: tuple[str, ...]) -> AudioSamples:
        rows, classes = [row_of[name] for name in ids], [class_of[name] for name in ids]
        return AudioSamples(ids, np.array(classes, np.int64), np.array(rows, np.int64), audio)

    return AudioDataset(split, *map(samples, (split.train, split.validation, split.test)))


def _rows_of(clips: Sequence[Clip]) -> NDArray[np.void]:
    """Rows of a few clips; runs in a worker."""
    block = np.zeros(len(clips), _ROW)
    for row, clip in zip(block, clips, strict=True):
        audio = read_indexed(clip, SAMPLE_RATE)
        scaled = np.round(fit_window(audio, WINDOW_SAMPLES) * _FULL_SCALE)
        row["length"] = min(len(audio), WINDOW_SAMPLES)
        row["samples"] = np.clip(scaled, -_FULL_SCALE, _FULL_SCALE - 1)
    return block
