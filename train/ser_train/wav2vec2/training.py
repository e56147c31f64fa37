"""The training loop in PyTorch: what `ser_train.training` is in Keras.

A training is a pure function of data, experiment, pretrained weights and seed: the order of clips
and the dropout of an epoch are drawn from (seed, epoch). On a CPU a resumed training equals the
unbroken one to the bit, with the same number of threads; on a GPU it may differ by rounding.
"""

from __future__ import annotations

import time
from pathlib import Path

import keras
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from ser_runtime.errors import TrainingError
from ser_runtime.errors import WeightsError
from ser_train import backend
from ser_train.checkpoint import TrainingState
from ser_train.experiments import Experiment
from ser_train.interrupts import interrupts_held
from ser_train.training import SEARCH
from ser_train.training import BatchProgress
from ser_train.training import EpochReport
from ser_train.training import Recipe
from ser_train.training import not_a_number
from ser_train.training import search_over
from ser_train.training import validation_metrics
from ser_train.wav2vec2.audio_data import AudioDataset
from ser_train.wav2vec2.audio_data import AudioSamples
from ser_train.wav2vec2.checkpoint import get_weights
from ser_train.wav2vec2.checkpoint import load_checkpoint
from ser_train.wav2vec2.checkpoint import save_checkpoint
from ser_train.wav2vec2.checkpoint import set_weights
from ser_train.wav2vec2.inputs import encode
from ser_train.wav2vec2.inputs import make_feature_extractor
from ser_train.wav2vec2.network import Wav2Vec2Classifier
from ser_train.wav2vec2.network import freeze_as_asked
from ser_train.wav2vec2.network import initialize_head
from ser_train.wav2vec2.weights import load_pretrained

PREDICTED_AT_ONCE = 16
"""More clips at once take more memory and save no time."""

_KERAS_EPSILON = 1e-7


def train(
    recipe: Recipe,
    data: AudioDataset,
    checkpoint: Path,
    progress: BatchProgress | None = None,
    on_epoch: EpochReport | None = None,
) -> tuple[Wav2Vec2Classifier, TrainingState]:
    """Train a network, going on from a checkpoint if there is one.

    Args:
        recipe: What to train, with its pretrained weights.
        data: The clips of the split.
        checkpoint: File that is rewritten after every epoch.
        progress: Called after each batch.
        on_epoch: Called after each epoch, when its checkpoint is written.

    Returns:
        The network with the weights of its best epoch, on the device that it was trained on, and
        the history.

    Raises:
        TrainingError: If the loss is not a number.
        WeightsError: If the pretrained weights cannot be loaded any more.
        RunFolderError: If the checkpoint cannot be read.
        StorageError: If the checkpoint cannot be written; the one before stays.
    """
    if backend.chosen_threads:
        torch.set_num_threads(backend.chosen_threads)
    experiment = recipe.experiment
    network = build_network(recipe).to(device())
    optimizer = make_optimizer(network, experiment)
    state = TrainingState(SEARCH)
    if checkpoint.exists():
        state = load_checkpoint(checkpoint, network, optimizer)
    while not search_over(state, recipe):
        started = time.perf_counter()
        epoch = len(state.val_losses(SEARCH)) + 1
        keys = (recipe.seed, epoch)
        metrics = _train_epoch(network, optimizer, data.train, experiment, keys, progress)
        metrics |= validation_metrics(predict(network, data.validation), data.validation.classes)
        if not np.isfinite(metrics["val_loss"]):
            raise TrainingError(not_a_number(f"after epoch {epoch}", SEARCH))
        metrics["seconds"] = time.perf_counter() - started
        state = state.after_epoch(metrics, get_weights(network), experiment.monitor)
        save_checkpoint(checkpoint, network, optimizer, state)
        if on_epoch:
            on_epoch(SEARCH, epoch, metrics)
    if state.best_weights is not None:
        set_weights(network, state.best_weights)
    return network, state


def build_network(recipe: Recipe) -> Wav2Vec2Classifier:
    """The network as it begins: pretrained weights, and the head of the recipe's seed.

    Raises:
        ValueError: If the recipe has options that are not known.
        WeightsError: If it has no pretrained weights, or they cannot be loaded any more.
    """
    if recipe.weights is None or recipe.weights.path is None:
        raise WeightsError(
            f"{recipe.experiment.id} starts from pretrained weights: name them with --weights"
        )
    network = load_pretrained(recipe.weights.path)
    initialize_head(network, recipe.seed)
    network.checkpoint_gradients()
    freeze_as_asked(network, recipe.experiment.options)
    return network


def make_optimizer(network: Wav2Vec2Classifier, experiment: Experiment) -> torch.optim.Adam:
    """Keras' Adam: a constant rate, no weight decay."""
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    return torch.optim.Adam(trained, experiment.learning_rate, eps=_KERAS_EPSILON)


def predict(
    network: Wav2Vec2Classifier, samples: AudioSamples, batch_size: int = PREDICTED_AT_ONCE
) -> NDArray[np.float32]:
    """Probabilities in float32: [clips, classes]; `PREDICTED_AT_ONCE` clips at a time at most."""
    extractor = make_feature_extractor()
    at_once = min(batch_size, PREDICTED_AT_ONCE)
    blocks = []
    network.eval()
    with torch.inference_mode():
        for start in range(0, len(samples), at_once):
            which = range(start, min(start + at_once, len(samples)))
            batch = encode(extractor, samples.waveforms(which))
            logits = network(
                batch.input_values.to(network.device), batch.attention_mask.to(network.device)
            )
            blocks.append(functional.softmax(logits, dim=1).cpu().numpy())
    return np.concatenate(blocks)


def device() -> torch.device:
    """The GPU if PyTorch has one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def training_step(
    network: Wav2Vec2Classifier,
    optimizer: torch.optim.Optimizer,
    inputs: tuple[torch.Tensor, torch.Tensor],
    classes: torch.Tensor,
) -> tuple[float, int]:
    """One batch, forwards and backwards.

    Args:
        network: In training mode.
        optimizer: Of its parameters.
        inputs: Values and mask, as the network takes them in.
        classes: int64 [clips].

    Returns:
        Mean loss, and how many clips were recognized.
    """
    mixed = keras.config.dtype_policy().name == "mixed_bfloat16"
    optimizer.zero_grad(set_to_none=True)
    with torch.autocast(network.device.type, torch.bfloat16, enabled=mixed):
        logits = network(*inputs)
    loss = functional.cross_entropy(logits, classes)
    loss.backward()
    optimizer.step()
    return loss.item(), int((logits.argmax(dim=1) == classes).sum())


def _train_epoch(
    network: Wav2Vec2Classifier,
    optimizer: torch.optim.Optimizer,
    samples: AudioSamples,
    experiment: Experiment,
    keys: tuple[int, int],
    progress: BatchProgress | None,
) -> dict[str, float]:
    epoch, size = keys[1], experiment.batch_size
    extractor = make_feature_extractor()
    order = np.random.default_rng(keys).permutation(len(samples))
    batches = -(-len(order) // size)
    # Dropout and dropped layers: no checkpoint has to carry the generator's state.
    torch.manual_seed(int(np.random.default_rng((*keys, 1)).integers(2**63)))
    network.train()
    total, right, seen = 0.0, 0, 0
    with interrupts_held() as allow_interrupt:
        for number in range(batches):
            which = order[number * size : (number + 1) * size]
            batch = encode(extractor, samples.waveforms(which))
            inputs = batch.input_values, batch.attention_mask
            loss, recognized = training_step(
                network,
                optimizer,
                tuple(part.to(network.device) for part in inputs),
                torch.from_numpy(samples.classes[which]).to(network.device),
            )
            if not np.isfinite(loss):
                raise TrainingError(not_a_number(f"at batch {number + 1} of epoch {epoch}", SEARCH))
            total, right, seen = total + loss * len(which), right + recognized, seen + len(which)
            metrics = {"loss": total / seen, "accuracy": right / seen}
            if progress:
                progress(SEARCH, epoch, number + 1, batches, metrics)
            allow_interrupt()
    return metrics
