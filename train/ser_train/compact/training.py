"""How `compact` is trained: augmented windows, a one-cycle learning rate, averaged weights."""

from __future__ import annotations

import keras
import numpy as np
from numpy.typing import NDArray

from ser_runtime.labels import EMOTIONS
from ser_train.architectures import make_architecture
from ser_train.backend import set_random_seed
from ser_train.compact.augmentation import Augmentation
from ser_train.compact.augmentation import WindowAugmenter
from ser_train.compact.augmentation import mask
from ser_train.compact.augmentation import mix
from ser_train.dataset import Samples
from ser_train.experiments import Experiment
from ser_train.training import BatchesAhead
from ser_train.training import compile_with

_WARM_UP = 0.1
"""Share of the steps in which the learning rate rises."""

_WEIGHT_DECAY = 0.05
_AVERAGED = 0.999
_LARGEST_GRADIENT = 5.0


class AveragingAdamW(keras.optimizers.AdamW):
    """AdamW that keeps a moving average of the weights beside them until the training ends.

    Keras' own would put the average in the place of the weights after every `fit`, which here is
    every epoch.
    """

    def finalize_variable_values(self, var_list: list[keras.Variable]) -> None:
        """Leave the weights as they are."""

    def take_averages(self, var_list: list[keras.Variable]) -> None:
        """Put the averages in the place of the weights."""
        super().finalize_variable_values(var_list)


class AugmentedBatches(BatchesAhead):
    """Batches of one epoch: each clip once, in an order and under changes drawn from the keys."""

    def __init__(
        self,
        samples: Samples,
        augmenter: WindowAugmenter,
        settings: Augmentation,
        batch_size: int,
        keys: tuple[int, ...],
    ) -> None:
        super().__init__()
        self._samples, self._augmenter, self._settings = samples, augmenter, settings
        self._batch_size, self._keys = batch_size, keys
        self._order = np.random.default_rng(keys).permutation(len(samples))

    def __len__(self) -> int:
        return -(-len(self._order) // self._batch_size)

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """float32 [windows, bands, frames], and targets: float32 [windows, classes]."""
        rng = np.random.default_rng((*self._keys, 2, index))
        start = index * self._batch_size
        which = self._order[start : start + self._batch_size]
        windows = self._augmenter(self._samples.rows[which], rng)
        inputs = self._samples.standardization(windows)
        mask(inputs, self._settings, rng)
        targets = smoothed(self._samples.classes[which], self._settings.label_smoothing)
        return mix(inputs, targets, self._settings, rng)


def smoothed(classes: NDArray[np.int64], smoothing: float) -> NDArray[np.float32]:
    """Targets of labels: float32 [windows, classes].

    Args:
        classes: int64 [windows], the right ones.
        smoothing: Probability that is spread over all classes.
    """
    targets = np.eye(len(EMOTIONS), dtype=np.float32)[classes]
    return targets * (1 - np.float32(smoothing)) + np.float32(smoothing) / len(EMOTIONS)


def build_compact(experiment: Experiment, seed: int, steps: int, epochs: int) -> keras.Model:
    """An untrained, compiled network with the weights of a seed.

    Args:
        experiment: The row of the registry.
        seed: Of the weights.
        steps: Of one epoch.
        epochs: Of the whole schedule.
    """
    set_random_seed(seed)
    model = make_architecture(experiment.architecture, experiment.spec.shape, experiment.options)
    optimizer = AveragingAdamW(
        one_cycle(experiment.learning_rate, steps * epochs),
        weight_decay=_WEIGHT_DECAY,
        global_clipnorm=_LARGEST_GRADIENT,
        use_ema=True,
        ema_momentum=_AVERAGED,
    )
    optimizer.exclude_from_weight_decay(
        var_list=[variable for variable in model.trainable_variables if len(variable.shape) < 2]
    )
    compile_with(model, optimizer, "categorical_crossentropy")
    return model


def one_cycle(largest: float, steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """A rate that rises linearly to `largest`, then falls along a cosine to almost nothing."""
    rising = max(round(_WARM_UP * steps), 1)
    return keras.optimizers.schedules.CosineDecay(
        largest / 20,
        decay_steps=max(steps - rising, 1),
        alpha=1 / 200,
        warmup_target=largest,
        warmup_steps=rising,
    )
