"""`compact` among the families: features as the report's networks have them, its own training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import keras

from ser_train.checkpoint import TrainingState
from ser_train.compact.augmentation import Augmentation
from ser_train.compact.augmentation import WindowAugmenter
from ser_train.compact.clip_spectrograms import ClipSpectrograms
from ser_train.compact.clip_spectrograms import cached_spectrograms
from ser_train.compact.training import AugmentedBatches
from ser_train.compact.training import build_compact
from ser_train.corpora import CorpusIndex
from ser_train.dataset import Dataset
from ser_train.dataset import load_dataset
from ser_train.experiments import Experiment
from ser_train.families.features import FeatureFamily
from ser_train.families.features import in_float32
from ser_train.features.array_cache import Progress
from ser_train.splits import Split
from ser_train.training import BatchProgress
from ser_train.training import EpochReport
from ser_train.training import Recipe
from ser_train.training import train


@dataclass(frozen=True, eq=False)
class CompactDataset(Dataset):
    """A dataset of first windows, and the whole clips that training cuts other windows from."""

    clips: ClipSpectrograms


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
        return CompactDataset(**vars(data), clips=clips)

    def train(
        self,
        recipe: Recipe,
        data: CompactDataset,
        checkpoint: Path,
        progress: BatchProgress | None = None,
        on_epoch: EpochReport | None = None,
    ) -> tuple[keras.Model, TrainingState]:
        """As `ser_train.training.train`, for all epochs; the averaged weights are kept.

        Validation figures of an epoch are those of the weights as they are, not averaged.
        """
        experiment = recipe.experiment
        settings = Augmentation.from_dict(experiment.augmentation)
        augmenter = WindowAugmenter(data.clips, settings)

        def batches(keys: tuple[int, ...]) -> AugmentedBatches:
            return AugmentedBatches(data.train, augmenter, settings, experiment.batch_size, keys)

        def build(seed: int) -> keras.Model:
            steps = -(-len(data.train) // experiment.batch_size)
            return build_compact(experiment, seed, steps, recipe.max_epochs)

        model, state = train(
            recipe, data, checkpoint, progress, on_epoch, build=build, batches=batches
        )
        model.optimizer.take_averages(model.trainable_variables)
        return in_float32(model, experiment), state
