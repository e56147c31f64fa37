"""Features of all clips, computed once in parallel and kept on disk.

A cache entry is a folder named after the hash of what it holds: feature spec, corpus content and
noise; see `array_cache.py`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ser_runtime.feature_spec import FeatureSpec
from ser_runtime.features import compute_features
from ser_runtime.features import fit_window
from ser_train.corpora import Clip
from ser_train.corpora import CorpusIndex
from ser_train.corpora.clip import read_indexed
from ser_train.features.array_cache import Computation
from ser_train.features.array_cache import Progress
from ser_train.features.array_cache import cached_array
from ser_train.features.array_cache import in_tasks
from ser_train.features.array_cache import key_digest
from ser_train.features.awgn import add_noise
from ser_train.features.awgn import noise_generator
from ser_train.features.crop import scored_window

_VERSION = 1


@dataclass(frozen=True)
class ClipFeatures:
    """Features of all clips of an index.

    Attributes:
        ids: Clip ids, one per row.
        values: float32 [clips, 1 + noisy copies, coefficients, frames], not standardized; copy 0
            is the clean clip. Read-only, mapped from disk.
    """

    ids: tuple[str, ...]
    values: NDArray[np.float32]

    def rows(self, ids: Sequence[str]) -> NDArray[np.int64]:
        """Row numbers of clips."""
        row_of = {clip_id: row for row, clip_id in enumerate(self.ids)}
        return np.array([row_of[clip_id] for clip_id in ids], np.int64)


def default_cache_folder() -> Path:
    """`$SER_EDGE_CACHE`, or `ser-edge` in the user's cache folder."""
    if folder := os.environ.get("SER_EDGE_CACHE"):
        return Path(folder)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ser-edge"


def cached_features(
    index: CorpusIndex,
    spec: FeatureSpec,
    folder: Path,
    noisy_copies: int = 0,
    noise_seed: int = 0,
    progress: Progress | None = None,
    workers: int | None = None,
    crop: str = "start",
) -> ClipFeatures:
    """Features of every clip, from the cache or computed into it.

    Noisy copies are drawn once, from `noise_seed` and the clip's id alone, so that all splits
    share them.

    Raises:
        StorageError: If the disk is full; nothing half-written stays.
    """
    key = {
        "version": _VERSION,
        "spec": spec.to_dict(),
        "corpora": index.content_hash,
        "noisy_copies": noisy_copies,
        "noise_seed": noise_seed if noisy_copies else None,
        **({"crop": crop} if crop != "start" else {}),
    }
    ids = tuple(clip.id for clip in index.clips)
    tasks: list[_Task] = [
        (clips, spec, 1 + noisy_copies, noise_seed, crop) for clips in in_tasks(index.clips)
    ]
    shape = (len(ids), 1 + noisy_copies, *spec.shape)
    entry = folder / "features" / f"{spec.hash}-{key_digest(key)}"
    computation = Computation(_features_of, tasks, shape, np.float32)
    return ClipFeatures(ids, cached_array(entry, key, computation, progress, workers))


_Task = tuple[Sequence[Clip], FeatureSpec, int, int, str]


def _features_of(task: _Task) -> NDArray[np.float32]:
    """float32 [clips, copies, coefficients, frames] of a few clips; runs in a worker."""
    clips, spec, copies, noise_seed, crop = task
    block = np.empty((len(clips), copies, *spec.shape), np.float32)
    for row, clip in zip(block, clips, strict=True):
        audio = read_indexed(clip, spec.sample_rate)
        window = fit_window(scored_window(audio, spec, crop), spec.window_samples)
        row[0] = compute_features(window, spec)
        for copy in range(1, copies):
            noisy, _ = add_noise(window, noise_generator(noise_seed, clip.id, copy))
            row[copy] = compute_features(noisy, spec)
    return block
