"""Pictures of all clips, drawn once in parallel and kept on disk, and those of a split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ser_runtime.features import compute_features
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
from ser_train.vgg16.pictures import PictureSpec
from ser_train.vgg16.pictures import draw_picture

_VERSION = 1


@dataclass(frozen=True, eq=False)
class ClipArrays:
    """An array of each clip of an index: its picture, or what layers make of it.

    Attributes:
        ids: Clip ids, one per row.
        values: [clips, ...], read-only, mapped from disk: uint8 [clips, rows, columns, colours] of
            pictures, float32 [clips, rows, columns, channels] of convolutional features.
        key: What they were made from, as plain JSON values.
    """

    ids: tuple[str, ...]
    values: NDArray[Any]
    key: dict[str, Any]


@dataclass(frozen=True, eq=False)
class ClipSamples:
    """One set of a split; its inputs stay on disk until they are asked for.

    Attributes:
        ids: Clip id of each sample.
        classes: int64 [samples], indices into `EMOTIONS`.
        rows: int64 [samples], rows of `arrays.values`.
        arrays: Of all clips.
    """

    ids: tuple[str, ...]
    classes: NDArray[np.int64]
    rows: NDArray[np.int64]
    arrays: ClipArrays

    def __len__(self) -> int:
        return len(self.rows)

    def standardized(self, which: NDArray[np.int64] | slice) -> NDArray[Any]:
        """Model inputs: the arrays as they are, since the model standardizes pictures itself."""
        return self.arrays.values[self.rows[which]]

    def of(self, arrays: ClipArrays) -> ClipSamples:
        """The same samples with other arrays of the same clips."""
        return ClipSamples(self.ids, self.classes, self.rows, arrays)


@dataclass(frozen=True, eq=False)
class ClipDataset:
    """The three sets of a split.

    Attributes:
        split: Which clips train, validate and test.
        train: To learn from.
        validation: To choose on.
        test: To be scored once.
        cache: Folder for what is computed from them.
    """

    split: Split
    train: ClipSamples
    validation: ClipSamples
    test: ClipSamples
    cache: Path

    def of(self, arrays: ClipArrays) -> ClipDataset:
        """The same sets with other arrays of the same clips."""
        sets = (part.of(arrays) for part in (self.train, self.validation, self.test))
        return ClipDataset(self.split, *sets, self.cache)


def cached_pictures(
    index: CorpusIndex,
    spec: PictureSpec,
    cache: Path,
    progress: Progress | None = None,
    workers: int | None = None,
) -> ClipArrays:
    """The picture of every clip, from the cache or drawn into it.

    Raises:
        CorporaError: If a clip cannot be read any more.
        StorageError: If the disk is full; nothing half-written stays.
    """
    key = {"version": _VERSION, "pictures": spec.to_dict(), "corpora": index.content_hash}
    tasks = [(clips, spec) for clips in in_tasks(index.clips)]
    shape = (len(index.clips), *spec.shape)
    values = cached_array(
        cache / "pictures" / key_digest(key),
        key,
        Computation(_pictures_of, tasks, shape, np.uint8),
        progress,
        workers,
    )
    return ClipArrays(tuple(clip.id for clip in index.clips), values, key)


def make_clip_dataset(
    clips: Sequence[Clip], split: Split, arrays: ClipArrays, cache: Path
) -> ClipDataset:
    """Bring arrays, labels and split together."""
    class_of = classes_by_id(clips, split.protocol)
    row_of = {clip_id: row for row, clip_id in enumerate(arrays.ids)}

    def samples(ids: Sequence[str]) -> ClipSamples:
        return ClipSamples(
            ids=tuple(ids),
            classes=np.array([class_of[clip_id] for clip_id in ids], np.int64),
            rows=np.array([row_of[clip_id] for clip_id in ids], np.int64),
            arrays=arrays,
        )

    sets = (samples(ids) for ids in (split.train, split.validation, split.test))
    return ClipDataset(split, *sets, cache)


def _pictures_of(task: tuple[Sequence[Clip], PictureSpec]) -> NDArray[np.uint8]:
    """uint8 [clips, side, side, 3] of a few clips; runs in a worker."""
    clips, spec = task
    block = np.empty((len(clips), *spec.shape), np.uint8)
    for picture, clip in zip(block, clips, strict=True):
        audio = read_indexed(clip, spec.features.sample_rate)
        picture[:] = draw_picture(compute_features(audio, spec.features), spec)
    return block
