"""Log-mel spectrograms of whole clips, computed once: what augmentation cuts its windows from."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ser_runtime.feature_spec import FeatureSpec
from ser_runtime.features import compute_features
from ser_train.corpora import Clip
from ser_train.corpora import CorpusIndex
from ser_train.corpora.clip import read_indexed
from ser_train.features.array_cache import Computation
from ser_train.features.array_cache import Progress
from ser_train.features.array_cache import cached_array
from ser_train.features.array_cache import in_tasks
from ser_train.features.array_cache import key_digest

_VERSION = 1


@dataclass(frozen=True)
class ClipSpectrograms:
    """Spectrograms of all clips of an index.

    Attributes:
        values: float16 [clips, frames, bands], ln(power + floor); silence after the end of a clip.
            Half precision has steps of 0.07 dB there, far below what augmentation changes.
        lengths: int64 [clips], frames of each clip.
        spec: Of the frames; its window plays no part.
    """

    values: NDArray[np.float16]
    lengths: NDArray[np.int64]
    spec: FeatureSpec


def cached_spectrograms(
    index: CorpusIndex, spec: FeatureSpec, folder: Path, progress: Progress | None = None
) -> ClipSpectrograms:
    """Spectrograms of every clip, from the cache or computed into it.

    Args:
        index: The clips.
        spec: Mel bands in natural logarithm, whose frames do not depend on each other.
        folder: Of the cache.
        progress: Called while they are computed.

    Raises:
        ValueError: If the frames of the spec depend on each other.
        StorageError: If the disk is full; nothing half-written stays.
    """
    if spec.log != "ln" or spec.n_mfcc is not None:
        raise ValueError("whole clips need mel bands in natural logarithm")
    longest = math.ceil(max(clip.seconds for clip in index.clips) * spec.sample_rate)
    frames = 1 + longest // spec.hop
    key = {
        "version": _VERSION,
        "whole_clips": frames,
        "spec": spec.to_dict(),
        "corpora": index.content_hash,
    }
    tasks = [(clips, spec, frames) for clips in in_tasks(index.clips)]
    shape = (len(index.clips), frames, spec.n_mels)
    entry = folder / "features" / f"{spec.hash}-{key_digest(key)}"
    values = cached_array(
        entry, key, Computation(_spectrograms_of, tasks, shape, np.float16), progress
    )
    lengths = [
        1 + min(round(clip.seconds * spec.sample_rate), longest) // spec.hop for clip in index.clips
    ]
    return ClipSpectrograms(values, np.array(lengths, np.int64), spec)


def _spectrograms_of(task: tuple[Sequence[Clip], FeatureSpec, int]) -> NDArray[np.float16]:
    """float16 [clips, frames, bands] of a few clips; runs in a worker."""
    clips, spec, frames = task
    block = np.full((len(clips), frames, spec.n_mels), np.log(spec.floor), np.float16)
    for row, clip in zip(block, clips, strict=True):
        audio = read_indexed(clip, spec.sample_rate)
        # Whole seconds: a few lengths, whose buffers are kept, instead of one for each clip.
        seconds = math.ceil(len(audio) / spec.sample_rate)
        whole = dataclasses.replace(spec, window_samples=seconds * spec.sample_rate)
        spectrogram = compute_features(audio, whole).T[:frames]
        row[: len(spectrogram)] = spectrogram
    return block
