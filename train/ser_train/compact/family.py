"""`compact` among the families: features as the report's networks have them, its own training."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from ser_train.checkpoint import TrainingState
from ser_train.compact.augmentation import DONE_TO_INPUTS
from ser_train.compact.augmentation import Augmentation
from ser_train.compact.augmentation import WindowAugmenter
from ser_train.compact.clip_spectrograms import ClipSpectrograms
from ser_train.compact.clip_spectrograms import cached_spectrograms
from ser_train.compact.taught_batches import TaughtBatches
from ser_train.compact.taught_batches import Views
from ser_train.compact.taught_batches import cached_judgements
from ser_train.compact.training import AugmentedBatches
from ser_train.compact.training import build_compact
from ser_train.corpora import CorpusIndex
from ser_train.dataset import Dataset
from ser_train.dataset import load_dataset
from ser_train.experiments import Experiment
from ser_train.families.features import FeatureFamily
from ser_train.families.features import in_float32
from ser_train.features.array_cache import Progress
from ser_train.first_phase import FirstPhase
from ser_train.splits import Split
from ser_train.teachers import Teaching
from ser_train.training import FINISH
from ser_train.training import SEARCH
from ser_train.training import BatchesAhead
from ser_train.training import BatchProgress
from ser_train.training import EpochReport
from ser_train.training import Recipe
from ser_train.training import train
from ser_train.weights import load_weights

_FINISH_SEED = 2_000_003
"""Beside the seed: the phases draw different batches."""


@dataclass(frozen=True, eq=False)
class CompactDataset(Dataset):
    """A dataset of first windows, and what training cuts other windows from.

    Attributes:
        clips: Whole.
        corpora_hash: Of their content.
        cache: Where what teachers say of the windows is kept.
    """

    clips: ClipSpectrograms
    corpora_hash: str
    cache: Path


class CompactFamily(FeatureFamily):
    """See `ser_train.families.Family`; data is a `CompactDataset`, the model Keras'."""

    def load_data(
        self,
        index: CorpusIndex,
        split: Split,
        experiment: Experiment,
        cache: Path,
        progress: Progress | None = None,
    ) -> CompactDataset:
        """First windows and whole clips, from the cache or computed into it.

        Raises:
            StorageError: If the disk is full.
        """
        data = load_dataset(index, split, experiment, cache, progress)
        clips = cached_spectrograms(index, experiment.spec, cache, progress)
        return CompactDataset(
            **vars(data), clips=clips, corpora_hash=index.content_hash, cache=cache
        )

    def train(
        self,
        recipe: Recipe,
        data: CompactDataset,
        checkpoint: Path,
        progress: BatchProgress | None = None,
        on_epoch: EpochReport | None = None,
    ) -> tuple[keras.Model, TrainingState]:
        """As `ser_train.training.train`, for all epochs; the averaged weights are kept.

        With a finish, another phase begins from the averaged weights, and teachers teach in that
        phase alone. Validation figures of an
        epoch are those of the weights as they are, not averaged.
        """
        if recipe.first_phase:
            model, state = self._read_first(recipe, recipe.first_phase, data)
        else:
            first = recipe
            if recipe.experiment.finish:
                first = dataclasses.replace(recipe, teaching=None)
            model, state = self._train(first, data, checkpoint, progress, on_epoch)
        if recipe.experiment.finish:
            model, state = self._finish(
                recipe, data, checkpoint, (model, state), progress, on_epoch
            )
        return in_float32(model, recipe.experiment), state

    def _read_first(
        self, recipe: Recipe, first: FirstPhase, data: CompactDataset
    ) -> tuple[keras.Model, TrainingState]:
        model = _build(recipe, data, recipe.seed)
        load_weights(first.run.weights, model)
        return model, TrainingState(SEARCH, first.history, len(first.history[SEARCH]["loss"]))

    def _finish(
        self,
        recipe: Recipe,
        data: CompactDataset,
        checkpoint: Path,
        first: tuple[keras.Model, TrainingState],
        progress: BatchProgress | None,
        on_epoch: EpochReport | None,
    ) -> tuple[keras.Model, TrainingState]:
        model, before = first
        own = _of_finish(recipe)
        place = checkpoint.with_name(f"{FINISH}.{checkpoint.name}")

        def shown(phase: str, *facts: Any) -> None:
            if progress:
                progress(FINISH if phase == SEARCH else phase, *facts)

        def epoch_done(_phase: str, epoch: int, metrics: dict[str, float]) -> None:
            if on_epoch:
                on_epoch(FINISH, epoch, metrics)

        model, after = self._train(own, data, place, shown, epoch_done, model.get_weights())
        history = {**before.history, FINISH: after.history[SEARCH]}
        return model, TrainingState(FINISH, history, before.best_epoch)

    def _train(
        self,
        recipe: Recipe,
        data: CompactDataset,
        checkpoint: Path,
        progress: BatchProgress | None,
        on_epoch: EpochReport | None,
        weights: list[NDArray[np.float32]] | None = None,
    ) -> tuple[keras.Model, TrainingState]:
        """One phase, to its averaged weights; from those given, or the seed's."""
        experiment = recipe.experiment
        settings = Augmentation.from_dict(experiment.augmentation)
        augmenter = WindowAugmenter(data.clips, settings)

        def on_labels(keys: tuple[int, int]) -> BatchesAhead:
            return AugmentedBatches(data.train, augmenter, settings, experiment.batch_size, keys)

        batches = on_labels
        if recipe.teaching:
            batches = _taught(recipe, recipe.teaching, data, augmenter, settings, progress)

        def build(seed: int) -> keras.Model:
            model = _build(recipe, data, seed)
            if weights is not None:
                model.set_weights(weights)
            return model

        model, state = train(
            recipe, data, checkpoint, progress, on_epoch, build=build, batches=batches
        )
        model.optimizer.take_averages(model.trainable_variables)
        return model, state


def _build(recipe: Recipe, data: CompactDataset, seed: int) -> keras.Model:
    steps = -(-len(data.train) // recipe.experiment.batch_size)
    return build_compact(recipe.experiment, seed, steps, recipe.max_epochs)


def _of_finish(recipe: Recipe) -> Recipe:
    """The recipe of the last phase, as if it were a training of its own."""
    finish, row = recipe.experiment.finish, recipe.experiment
    row = dataclasses.replace(
        row,
        finish={},
        learning_rate=finish["learning_rate"],
        max_epochs=finish["epochs"],
        patience=finish["epochs"],
        augmentation=row.augmentation | finish["augmentation"],
    )
    seed = recipe.seed + _FINISH_SEED
    return dataclasses.replace(recipe, experiment=row, seed=seed, max_epochs=finish["epochs"])


def _taught(
    recipe: Recipe,
    teaching: Teaching,
    data: CompactDataset,
    augmenter: WindowAugmenter,
    settings: Augmentation,
    progress: BatchProgress | None,
) -> Callable[[tuple[int, int]], BatchesAhead]:
    """What makes the batches of an epoch, once the teachers have judged all views."""
    views = Views(data.train, augmenter)
    changes = {k: v for k, v in settings.to_dict().items() if k not in DONE_TO_INPUTS}
    key = {
        "augmentation": changes,
        "spec": recipe.experiment.spec.to_dict(),
        "split": data.split.hash,
        "corpora": data.corpora_hash,
        "precision": keras.config.dtype_policy().name,
    }

    def judging(done: int, total: int) -> None:
        if progress:
            progress("teachers' judgements", 1, done, total, {})

    judgements = cached_judgements(
        teaching, views, key, recipe.experiment.spec.shape, data.cache, judging
    )

    def batches(keys: tuple[int, int]) -> BatchesAhead:
        return TaughtBatches(
            data.train,
            views,
            judgements,
            settings,
            teaching.share,
            recipe.experiment.batch_size,
            keys,
        )

    return batches
