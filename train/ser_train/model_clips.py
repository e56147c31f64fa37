"""The clips that a model file was measured on, found by the split that its metadata names."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ser_runtime.errors import CorporaError
from ser_runtime.errors import ModelFileError
from ser_runtime.labels import EMOTIONS
from ser_runtime.model import Model
from ser_train.corpora import Clip
from ser_train.corpora import CorpusIndex
from ser_train.split_manifest import ALL_SPLITS
from ser_train.splits import PROTOCOLS
from ser_train.splits import Split
from ser_train.splits import classes_by_id
from ser_train.splits import make_split

SCORED_SETS = ("validation", "test")


@dataclass(frozen=True, eq=False)
class ModelClips:
    """Clips of one set of a model's split.

    Attributes:
        clips: Sorted by id.
        classes: int64 [clips], the right indices into `EMOTIONS` under the protocol's labels.
        clusters: What the bootstrap draws: the speakers where they are held out, else the clips.
    """

    clips: tuple[Clip, ...]
    classes: NDArray[np.int64]
    clusters: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.clips)

    def rows(self, rows: NDArray[np.int64]) -> ModelClips:
        """Some of them: int64 [clips], row numbers."""
        return ModelClips(
            tuple(self.clips[row] for row in rows),
            self.classes[rows],
            tuple(self.clusters[row] for row in rows),
        )

    def sample(self, count: int, seed: int) -> ModelClips:
        """So many clips, drawn by a seed; all of them if there are no more."""
        if count >= len(self):
            return self
        rows = np.random.default_rng(seed).choice(len(self), count, replace=False)
        return self.rows(np.sort(rows))


def model_clips(model: Model, index: CorpusIndex, name: str = "test") -> ModelClips:
    """One set of the split that a model file was made on.

    Args:
        model: Opened.
        index: The clips of the corpora.
        name: One of `SCORED_SETS`.

    Raises:
        ModelFileError: If the model has other labels, or a protocol unknown to this version.
        CorporaError: If the corpora lack clips, or are not those that the model was made on.
    """
    if model.labels != EMOTIONS:
        raise ModelFileError(
            f"{model.source} recognizes {', '.join(model.labels)}: the corpora's labels are "
            f"{', '.join(EMOTIONS)}"
        )
    index, split = _split_of(model, index)
    clip_of = {clip.id: clip for clip in index.clips}
    class_of = classes_by_id(index.clips, split.protocol)
    clips = tuple(clip_of[clip_id] for clip_id in getattr(split, name))
    shared = PROTOCOLS[split.protocol].shared_speakers
    return ModelClips(
        clips,
        np.array([class_of[clip.id] for clip in clips], np.int64),
        tuple(clip.id if shared else f"{clip.corpus} {clip.speaker}" for clip in clips),
    )


def _split_of(model: Model, index: CorpusIndex) -> tuple[CorpusIndex, Split]:
    """The split that the metadata names, and the clips it is of: with or without the odd ones."""
    name, split_hash = model.metadata.protocol, model.metadata.split_hash
    if (named := split_named(name)) is None:
        raise ModelFileError(
            f"{model.source} was measured on the split {name!r}, which this version does not know"
        )
    if found := clips_of_split(index, *named, split_hash):
        return found
    theirs = make_split(index.clips, *named).hash
    raise CorporaError(
        f"{model.source} was measured on other clips than those in {index.folder}: the hash of its "
        f"split {name} is {split_hash}, of theirs {theirs} (`ser-train corpora` shows what is "
        "missing)"
    )


def split_named(name: str) -> tuple[str, str | None] | None:
    """Protocol and fold of a split's name, as metadata has it; None if it is unknown."""
    return {Split(*pair, (), (), ()).name: pair for pair in ALL_SPLITS}.get(name)


def clips_of_split(
    index: CorpusIndex, protocol: str, fold: str | None, split_hash: str
) -> tuple[CorpusIndex, Split] | None:
    """The split of a hash, and the clips it is of: with or without the odd ones; None for neither.

    Args:
        index: The clips of the corpora.
        protocol: Key of `PROTOCOLS`.
        fold: Of the protocol, if it has any.
        split_hash: Of the split.
    """
    for clips in (index, index.without_odd()):
        split = make_split(clips.clips, protocol, fold)
        if split.hash == split_hash:
            return clips, split
    return None
