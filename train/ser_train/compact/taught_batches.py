"""Training on what teachers say of the very windows that their pupil sees.

A teacher that judges the window as it was changed, noise and all, teaches more than one that
judged the clip (Beyer et al. 2022, arXiv:2106.05237). Judging costs a third of training: so each
clip has a fixed number of views, judged once for all epochs and seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ser_runtime.labels import EMOTIONS
from ser_train.architectures import make_architecture
from ser_train.compact.augmentation import Augmentation
from ser_train.compact.augmentation import WindowAugmenter
from ser_train.compact.augmentation import mask
from ser_train.compact.augmentation import mix
from ser_train.compact.training import smoothed
from ser_train.dataset import Samples
from ser_train.features.array_cache import Computation
from ser_train.features.array_cache import Progress
from ser_train.features.array_cache import cached_array
from ser_train.features.array_cache import key_digest
from ser_train.teachers import Teacher
from ser_train.teachers import Teaching
from ser_train.training import BatchesAhead
from ser_train.weights import load_weights

_VERSION = 1
_SEED = 7_000_003
_GROUP = 16
"""Windows that are drawn together, and stay together in a batch."""

_GROUPS_JUDGED = 4


class Views:
    """A fixed number of changed windows of every clip: the same whenever they are asked for."""

    def __init__(self, samples: Samples, augmenter: WindowAugmenter) -> None:
        self._samples, self._augmenter = samples, augmenter
        self.groups = -(-len(samples) // _GROUP)

    def places(self, group: int) -> NDArray[np.int64]:
        """int64 [windows]: where a group stands in its view's order."""
        return np.arange(group * _GROUP, min((group + 1) * _GROUP, len(self._samples)))

    def draw(self, view: int, group: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Samples, int64 [windows], and their windows, float32 [windows, bands, frames]."""
        order = np.random.default_rng((_SEED, view)).permutation(len(self._samples))
        which = order[self.places(group)]
        rng = np.random.default_rng((_SEED, view, group))
        return which, self._augmenter(self._samples.rows[which], rng)


class TaughtBatches(BatchesAhead):
    """Batches of one epoch: one view of each clip, in an order drawn from the keys."""

    def __init__(
        self,
        samples: Samples,
        views: Views,
        judgements: NDArray[np.float16],
        settings: Augmentation,
        share: float,
        batch_size: int,
        keys: tuple[int, int],
    ) -> None:
        super().__init__()
        self._samples, self._views, self._judgements = samples, views, judgements
        self._settings, self._share, self._keys = settings, np.float32(share), keys
        self._groups_in_batch = max(batch_size // _GROUP, 1)
        self._order = np.random.default_rng(keys).permutation(views.groups)
        seed, epoch = keys
        round_of_views, place = divmod(epoch - 1, len(judgements))
        self._view = int(
            np.random.default_rng((seed, 3, round_of_views)).permutation(len(judgements))[place]
        )

    def __len__(self) -> int:
        return -(-len(self._order) // self._groups_in_batch)

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """float32 [windows, bands, frames], and targets: float32 [windows, classes]."""
        start = index * self._groups_in_batch
        groups = self._order[start : start + self._groups_in_batch]
        drawn = [self._views.draw(self._view, group) for group in groups]
        inputs = self._samples.standardization(np.concatenate([windows for _, windows in drawn]))
        rng = np.random.default_rng((*self._keys, 2, index))
        mask(inputs, self._settings, rng)
        which = np.concatenate([samples for samples, _ in drawn])
        labels = smoothed(self._samples.classes[which], self._settings.label_smoothing)
        places = np.concatenate([self._views.places(group) for group in groups])
        taught = self._judgements[self._view, places].astype(np.float32)
        targets = self._share * taught + (1 - self._share) * labels
        return mix(inputs, targets, self._settings, rng)


def cached_judgements(
    teaching: Teaching,
    views: Views,
    key: dict[str, Any],
    shape: tuple[int, ...],
    folder: Path,
    progress: Progress | None = None,
) -> NDArray[np.float16]:
    """What the teachers say of every view, from the cache or computed into it.

    Args:
        teaching: Who they are.
        views: What they judge.
        key: What the views are made from.
        shape: Of a window: (bands, frames).
        folder: Of the cache.
        progress: Called with views judged and in all.

    Returns:
        float16 [views, samples, classes], the mean of their probabilities; samples in the order of
        their view.

    Raises:
        RunFolderError: If the weights of a teacher do not fit its network.
        StorageError: If the disk is full; nothing half-written stays.
    """
    described = teaching.to_dict()
    key = {"version": _VERSION, "views": teaching.views, "teachers": described["teachers"], **key}
    samples = int(views.places(views.groups - 1)[-1]) + 1
    networks: list[tuple[Teacher, Any]] = []

    def judge(view: int) -> NDArray[np.float32]:
        # Not before a view has to be judged: the cache may hold them all.
        if not networks:
            networks.extend((teacher, _network(teacher, shape)) for teacher in teaching.teachers)
        return _judged(networks, views, view)[None]

    computation = Computation(
        judge,
        range(teaching.views),
        (teaching.views, samples, len(EMOTIONS)),
        np.float16,
    )
    entry = folder / "teachers" / key_digest(key)
    return np.asarray(cached_array(entry, key, computation, progress, workers=0))


def _network(teacher: Teacher, shape: tuple[int, ...]) -> Any:
    """The trained network, in the precision of the training that it teaches in."""
    row = teacher.experiment
    model = make_architecture(row.architecture, shape, row.options)
    load_weights(teacher.run.weights, model)
    return model


def _judged(
    networks: Sequence[tuple[Teacher, Any]], views: Views, view: int
) -> NDArray[np.float32]:
    """float32 [samples, classes] of one view."""
    scales = [teacher.run.standardization() for teacher, _ in networks]
    blocks = []
    for start in range(0, views.groups, _GROUPS_JUDGED):
        groups = range(start, min(start + _GROUPS_JUDGED, views.groups))
        windows = np.concatenate([views.draw(view, group)[1] for group in groups])
        answers = [
            np.asarray(model.predict_on_batch(scale(windows)), np.float32)
            for (_, model), scale in zip(networks, scales, strict=True)
        ]
        blocks.append(np.mean(answers, axis=0))
    return np.concatenate(blocks)
