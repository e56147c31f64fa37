"""The training loop: find the best epoch on the validation clips, then train to it.

A training is a pure function of data, experiment and seed: the order of clips and the dropout of
an epoch are drawn from (seed, phase, epoch), so that one resumed from the last checkpoint equals
the unbroken one to the bit, on the same machine with the same backend and number of threads.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from ser_runtime.errors import TrainingError
from ser_train.architectures import make_architecture
from ser_train.backend import set_random_seed
from ser_train.checkpoint import LAST
from ser_train.checkpoint import TrainingState
from ser_train.checkpoint import load_checkpoint
from ser_train.checkpoint import save_checkpoint
from ser_train.cores import available_cores
from ser_train.dataset import Dataset
from ser_train.dataset import Samples
from ser_train.experiments import Experiment
from ser_train.fast_layers import quicken_dropout
from ser_train.first_phase import FirstPhase
from ser_train.interrupts import interrupts_held
from ser_train.pretrained_weights import PretrainedWeights
from ser_train.teachers import Teaching

SEARCH, RETRAIN, FINISH = "search", "retrain", "finish"

_MOST_WORKERS = 8

EVALUATION_BATCH = 256
"""Clips at once in evaluation; with networks that do not look across them it changes nothing."""

BatchProgress = Callable[[str, int, int, int, dict[str, float]], None]
"""Called with phase, epoch (from 1), batches done, batches in all, and running metrics."""

EpochReport = Callable[[str, int, dict[str, float]], None]
"""Called with phase, epoch (from 1), and the epoch's metrics."""


@dataclass(frozen=True)
class Recipe:
    """What a training needs beside its data.

    Attributes:
        experiment: The row of the registry.
        seed: Of weights, order and dropout.
        max_epochs: Replaces the experiment's, to stop early.
        weights: What a pretrained model starts from.
        teaching: What it learns from other networks; in its last phase, if it has one.
        first_phase: A complete run that ends where the last phase begins, in the place of training
            so far.
    """

    experiment: Experiment
    seed: int
    max_epochs: int
    weights: PretrainedWeights | None = None
    teaching: Teaching | None = None
    first_phase: FirstPhase | None = None


def build_model(experiment: Experiment, seed: int) -> keras.Model:
    """An untrained, compiled model with the weights of a seed."""
    set_random_seed(seed)
    model = make_architecture(experiment.architecture, experiment.spec.shape, experiment.options)
    compile_model(model, experiment.learning_rate)
    return model


def compile_model(model: keras.Model, learning_rate: float) -> None:
    """Give a model its loss and an Adam whose state can be stored and restored."""
    compile_with(model, keras.optimizers.Adam(learning_rate), "sparse_categorical_crossentropy")


def compile_with(model: keras.Model, optimizer: keras.optimizers.Optimizer, loss: str) -> None:
    """Give a model a loss and an optimizer whose state can be stored and restored."""
    quicken_dropout(model)
    model.compile(
        optimizer=optimizer,
        loss=loss,
        metrics=["accuracy"],
        # Keras' own choice ("auto") makes TensorFlow slower on a CPU.
        jit_compile=False if keras.backend.backend() == "tensorflow" else "auto",
    )
    model.optimizer.build(model.trainable_variables)


def train(
    recipe: Recipe,
    data: Dataset,
    checkpoint: Path,
    progress: BatchProgress | None = None,
    on_epoch: EpochReport | None = None,
    build: Callable[[int], keras.Model] | None = None,
    score_batch: int | None = None,
    batches: Callable[[tuple[int, int]], BatchesAhead] | None = None,
) -> tuple[keras.Model, TrainingState]:
    """Train a model, going on from a checkpoint if there is one.

    Args:
        recipe: What to train.
        data: Standardized features of the split.
        checkpoint: File that is rewritten after every epoch.
        progress: Called after each batch.
        on_epoch: Called after each epoch, when its checkpoint is written.
        build: Makes the compiled model of a seed; default `build_model` of the experiment.
        score_batch: Validation clips at once; default the experiment's.
        batches: Makes the batches of one epoch from its keys, (phase's seed, epoch); default
            `Batches` of the training samples.

    Returns:
        The trained model, and the history of both phases.

    Raises:
        TrainingError: If the loss is not a number.
        RunFolderError: If the checkpoint cannot be read.
        StorageError: If the checkpoint cannot be written; the one before stays.
    """
    experiment = recipe.experiment
    phase_seed = {SEARCH: recipe.seed, RETRAIN: recipe.seed + 1_000_003}
    state = TrainingState(SEARCH)
    build = build or (lambda seed: build_model(experiment, seed))
    batches = batches or (lambda keys: Batches(data.train, experiment.batch_size, keys))
    model = build(phase_seed[SEARCH])
    if checkpoint.exists():
        state = load_checkpoint(checkpoint, model)
    while not _finished(state, recipe):
        if state.phase == SEARCH and search_over(state, recipe):
            state = state.start_phase(RETRAIN)
            model = build(phase_seed[RETRAIN])
        started = time.perf_counter()
        epoch = len(state.val_losses(state.phase)) + 1
        keys = (phase_seed[state.phase], epoch)
        metrics = _train_epoch(model, batches(keys), keys, state, progress)
        probabilities = predict(model, data.validation, score_batch or experiment.scored_at_once)
        metrics |= validation_metrics(probabilities, data.validation.classes)
        if not np.isfinite(metrics["val_loss"]):
            raise TrainingError(not_a_number(f"after epoch {epoch}", state.phase))
        metrics["seconds"] = time.perf_counter() - started
        keeps_best = not experiment.retrain and experiment.monitor != LAST
        weights = model.get_weights() if keeps_best else None
        state = state.after_epoch(metrics, weights, experiment.monitor)
        save_checkpoint(checkpoint, model, state)
        if on_epoch:
            on_epoch(state.phase, epoch, metrics)
    if state.best_weights is not None:
        model.set_weights(state.best_weights)
    return model, state


def predict(
    model: keras.Model, samples: Samples, batch_size: int = EVALUATION_BATCH
) -> NDArray[np.float32]:
    """Probabilities: float32 [samples, classes]."""
    blocks = []
    for start in range(0, len(samples), batch_size):
        inputs = samples.standardized(slice(start, start + batch_size))
        blocks.append(np.asarray(model.predict_on_batch(inputs), np.float32))
    return np.concatenate(blocks)


class BatchesAhead(keras.utils.PyDataset):
    """Batches that are made in threads while the one before is learnt from; their order stays.

    A `PyDataset` with one worker is read through tf.data, whose tuning thread sleeps for 10 ms,
    20 ms, 40 ms and so on, and is waited for when the epoch ends: an epoch of 45 s took 83.
    """

    def __init__(self) -> None:
        super().__init__(workers=max(2, min(available_cores(), _MOST_WORKERS)))


class Batches(BatchesAhead):
    """Training batches of one epoch, in an order drawn from the epoch's keys."""

    def __init__(self, samples: Samples, batch_size: int, keys: tuple[int, ...]) -> None:
        super().__init__()
        self._samples, self._batch_size = samples, batch_size
        self._order = np.random.default_rng(keys).permutation(len(samples))

    def __len__(self) -> int:
        return -(-len(self._order) // self._batch_size)

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        start = index * self._batch_size
        which = self._order[start : start + self._batch_size]
        return self._samples.standardized(which), self._samples.classes[which]


class _EpochCallback(keras.callbacks.Callback):
    """Seeds the dropout, then passes on the number of batches done and the running metrics."""

    def __init__(
        self, keys: tuple[int, ...], report: Callable[[int, dict[str, float]], None]
    ) -> None:
        super().__init__()
        self._keys, self._report = keys, report

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        # Not before `fit`: with PyTorch the first one tries the layers out, which draws.
        _seed_dropout(self.model, self._keys)

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self._report(batch + 1, logs or {})


def _train_epoch(
    model: keras.Model,
    batches: BatchesAhead,
    keys: tuple[int, int],
    state: TrainingState,
    progress: BatchProgress | None,
) -> dict[str, float]:
    epoch = keys[1]

    def report(done: int, logs: dict[str, float]) -> None:
        if not np.isfinite(logs["loss"]):
            raise TrainingError(not_a_number(f"at batch {done} of epoch {epoch}", state.phase))
        if progress:
            progress(state.phase, epoch, done, len(batches), logs)
        allow_interrupt()

    if keras.backend.backend() != "tensorflow":
        # There the first `fit` would take a batch to build the metrics with, and not give it back.
        model.test_on_batch(*batches[0])
    with interrupts_held() as allow_interrupt:
        history = model.fit(
            batches, epochs=1, shuffle=False, verbose=0, callbacks=[_EpochCallback(keys, report)]
        )
    return {name: float(history.history[name][0]) for name in ("loss", "accuracy")}


def not_a_number(where: str, phase: str) -> str:
    """What an error says of such a loss; where, such as `at batch 3 of epoch 1`."""
    return (
        f"the loss is not a number {where} ({phase}): nothing of this epoch is kept; "
        "a lower learning rate may help"
    )


def validation_metrics(
    probabilities: NDArray[np.float32], classes: NDArray[np.int64]
) -> dict[str, float]:
    """`val_loss` and `val_accuracy` of an epoch.

    Args:
        probabilities: float32 [clips, classes].
        classes: int64 [clips], the right ones.
    """
    chosen = probabilities[np.arange(len(classes)), classes]
    return {
        "val_loss": float(-np.log(np.maximum(chosen, keras.config.epsilon())).mean()),
        "val_accuracy": float((probabilities.argmax(axis=1) == classes).mean()),
    }


def _seed_dropout(model: keras.Model, keys: tuple[int, ...]) -> None:
    """Derive the state of every random layer from the keys: no checkpoint has to carry it."""
    rng = np.random.default_rng((*keys, 1))
    for layer in model._flatten_layers():
        # Image layers call it `generator`.
        generator = getattr(layer, "seed_generator", None) or getattr(layer, "generator", None)
        if generator is not None:
            generator.state.assign([int(rng.integers(2**31)), 0])
    if keras.backend.backend() == "torch":
        # Layers without a seed draw from PyTorch's own generator there.
        set_random_seed(int(rng.integers(2**31)))


def search_over(state: TrainingState, recipe: Recipe) -> bool:
    """Whether the search for the best epoch is at its end: patience or epochs are used up."""
    epochs = len(state.val_losses(SEARCH))
    waited = epochs - (state.best_epoch or 0)
    return epochs >= recipe.max_epochs or (epochs > 0 and waited >= recipe.experiment.patience)


def _finished(state: TrainingState, recipe: Recipe) -> bool:
    if state.phase == SEARCH:
        return search_over(state, recipe) and not recipe.experiment.retrain
    return len(state.val_losses(RETRAIN)) >= (state.best_epoch or 0)
