"""Training wav2vec2: it learns, it goes on where it stopped, it ends where it must."""

from __future__ import annotations

import dataclasses
import math
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from tiny_wav2vec2 import save_tiny_backbone

from ser_runtime.errors import RunFolderError
from ser_runtime.errors import StorageError
from ser_runtime.errors import TrainingError
from ser_runtime.errors import WeightsError
from ser_runtime.labels import EMOTIONS
from ser_train.checkpoint import TrainingState
from ser_train.corpora import CorpusIndex
from ser_train.corpora import read_corpora
from ser_train.experiments import EXPERIMENTS
from ser_train.experiments import Experiment
from ser_train.splits import Split
from ser_train.wav2vec2.audio_data import AudioDataset
from ser_train.wav2vec2.audio_data import load_audio
from ser_train.wav2vec2.inputs import encode
from ser_train.wav2vec2.inputs import make_feature_extractor
from ser_train.wav2vec2.network import Wav2Vec2Classifier
from ser_train.wav2vec2.network import initialize_head
from ser_train.wav2vec2.weights import find_weights
from ser_train.wav2vec2.weights import load_pretrained

Train = Callable[..., tuple[Wav2Vec2Classifier, TrainingState]]


@pytest.fixture(scope="module", autouse=True)
def _one_thread(training: ModuleType) -> None:
    """Keras on TensorFlow, which `ser_train.training` imports, in the same process."""
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def small(tiny_index: CorpusIndex, tmp_path_factory: pytest.TempPathFactory) -> AudioDataset:
    """21 training, 7 validation and 7 test clips, made up."""
    by_emotion = {
        emotion: [clip.id for clip in tiny_index.clips if clip.emotion == emotion]
        for emotion in EMOTIONS
    }
    sets = [
        tuple(sorted(name for ids in by_emotion.values() for name in ids[first:last]))
        for first, last in ((0, 3), (3, 4), (4, 5))
    ]
    return load_audio(tiny_index, Split("report", None, *sets), tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def experiment() -> Experiment:
    return dataclasses.replace(EXPERIMENTS["wav2vec2"], batch_size=7, learning_rate=1e-3)


@pytest.fixture(scope="module")
def train(small: AudioDataset, experiment: Experiment, tiny_backbone: Path) -> Train:
    """Trains on `small`; keyword arguments change the experiment."""
    from ser_train.training import Recipe
    from ser_train.wav2vec2.training import train as train_wav2vec2

    weights = find_weights(str(tiny_backbone))

    def run(
        checkpoint: Path,
        max_epochs: int,
        seed: int = 0,
        progress: Any = None,
        data: AudioDataset = small,
        **changes: Any,
    ) -> tuple[Wav2Vec2Classifier, TrainingState]:
        recipe = Recipe(dataclasses.replace(experiment, **changes), seed, max_epochs, weights)
        return train_wav2vec2(recipe, data, checkpoint, progress)

    return run


@pytest.fixture(scope="module")
def unbroken(
    train: Train, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Wav2Vec2Classifier, TrainingState]:
    """Three epochs."""
    return train(tmp_path_factory.mktemp("unbroken") / "checkpoint.npz", 3)


def same_weights(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(*pair) for pair in pairs)


def without_seconds(state: TrainingState) -> dict[str, list[float]]:
    return {name: values for name, values in state.history["search"].items() if name != "seconds"}


def test_a_tiny_network_learns_real_clips(
    corpora: Path, train: Train, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """40 clips of TESS for each emotion to learn from: by chance 1 of 7 would be right."""
    from ser_train.wav2vec2.training import predict

    folder = tmp_path_factory.mktemp("real") / "TESS"
    folder.mkdir()
    for emotion in ("angry", "disgust", "fear", "happy", "neutral", "ps", "sad"):
        for path in sorted((corpora / "TESS").glob(f"?AF_*_{emotion}.*"))[::7][:56]:
            (folder / path.name).symlink_to(path)
    index = read_corpora(folder.parent)
    rng = np.random.default_rng(0)
    order = [clip.id for emotion in EMOTIONS for clip in index.clips if clip.emotion == emotion]
    parts = np.concatenate([np.arange(7) * 56 + at for at in rng.permutation(56)])
    ids = [tuple(order[at] for at in part) for part in np.split(parts, [280, 336])]
    data = load_audio(index, Split("report", None, *ids), folder.parent / "cache")
    network, state = train(
        folder.parent / "checkpoint.npz", 5, data=data, batch_size=14, learning_rate=3e-3
    )
    losses = state.val_losses("search")
    assert min(losses) < losses[0] < math.log(7) + 0.1
    right = (predict(network, data.test).argmax(axis=1) == data.test.classes).mean()
    # 56 clips: chance alone would exceed this once in 10,000 trainings.
    assert right > 0.34


def test_history_has_the_figures_of_every_epoch(
    unbroken: tuple[Wav2Vec2Classifier, TrainingState],
) -> None:
    history = unbroken[1].history["search"]
    assert set(history) == {"loss", "accuracy", "val_loss", "val_accuracy", "seconds"}
    assert {len(values) for values in history.values()} == {3}


def test_the_weights_of_the_best_epoch_are_kept(
    unbroken: tuple[Wav2Vec2Classifier, TrainingState], small: AudioDataset
) -> None:
    from ser_train.training import validation_metrics
    from ser_train.wav2vec2.training import predict

    network, state = unbroken
    losses = state.val_losses("search")
    assert state.best_epoch == 1 + int(np.argmin(losses))
    found = validation_metrics(predict(network, small.validation), small.validation.classes)
    assert found["val_loss"] == pytest.approx(min(losses), abs=1e-6)


def test_a_training_taken_up_again_equals_the_unbroken_one_to_the_bit(
    train: Train, unbroken: tuple[Wav2Vec2Classifier, TrainingState], tmp_path: Path
) -> None:
    checkpoint = tmp_path / "checkpoint.npz"
    train(checkpoint, 1)
    torch.manual_seed(99)
    network, state = train(checkpoint, 3)
    assert without_seconds(state) == without_seconds(unbroken[1])
    assert same_weights(network, unbroken[0])


def test_without_pretrained_weights_there_is_no_training(experiment: Experiment) -> None:
    from ser_train.training import Recipe
    from ser_train.wav2vec2.training import build_network

    with pytest.raises(WeightsError, match="name them with --weights"):
        build_network(Recipe(experiment, 0, 1))


def test_another_seed_trains_another_network(
    train: Train, unbroken: tuple[Wav2Vec2Classifier, TrainingState], tmp_path: Path
) -> None:
    _, state = train(tmp_path / "checkpoint.npz", 1, seed=1)
    assert state.history["search"]["loss"][0] != unbroken[1].history["search"]["loss"][0]


def test_training_stops_when_patience_is_used_up(train: Train, tmp_path: Path) -> None:
    _, state = train(tmp_path / "checkpoint.npz", 30, learning_rate=0.0, patience=2)
    assert len(state.val_losses("search")) == 3
    assert state.best_epoch == 1


@pytest.mark.parametrize("frozen", [False, True])
def test_the_feature_encoder_is_trained_unless_it_is_frozen(
    train: Train, tiny_backbone: Path, tmp_path: Path, frozen: bool
) -> None:

    network, _ = train(tmp_path / "checkpoint.npz", 1, options={"freeze_feature_encoder": frozen})
    before = load_pretrained(tiny_backbone)
    encoders = (part.wav2vec2.feature_extractor for part in (network, before))
    assert same_weights(*encoders) == frozen
    assert not same_weights(network.wav2vec2.encoder, before.wav2vec2.encoder)


def test_dropped_layers_are_resumed_to_the_bit_too(
    train: Train, tmp_path: Path, experiment: Experiment, small: AudioDataset
) -> None:
    """A layer that was dropped in every batch has no state in the optimizer."""
    from ser_train.training import Recipe
    from ser_train.wav2vec2.training import train as train_wav2vec2

    weights = find_weights(str(save_tiny_backbone(tmp_path / "weights", layerdrop=0.9)))
    trained = []
    for name, parts in (("unbroken", (2,)), ("resumed", (1, 2))):
        for max_epochs in parts:
            recipe = Recipe(experiment, 0, max_epochs, weights)
            result = train_wav2vec2(recipe, small, tmp_path / f"{name}.npz")
        trained.append(result)
    assert without_seconds(trained[0][1]) == without_seconds(trained[1][1])
    assert same_weights(trained[0][0], trained[1][0])


def test_a_loss_that_is_not_a_number_ends_the_training_and_keeps_nothing(
    train: Train, tmp_path: Path
) -> None:
    checkpoint = tmp_path / "checkpoint.npz"
    with pytest.raises(TrainingError, match=r"not a number at batch \d of epoch 1 \(search\)"):
        train(checkpoint, 3, learning_rate=1e30)
    assert not checkpoint.exists()


def test_ctrl_c_ends_an_epoch_after_its_batch_and_leaves_the_checkpoint(
    train: Train, unbroken: tuple[Wav2Vec2Classifier, TrainingState], tmp_path: Path
) -> None:
    def interrupt(phase: str, epoch: int, done: int, total: int, metrics: dict) -> None:
        batches.append((epoch, done))
        if (epoch, done) == (2, 2):
            signal.raise_signal(signal.SIGINT)

    batches: list[tuple[int, int]] = []
    checkpoint = tmp_path / "checkpoint.npz"
    with pytest.raises(KeyboardInterrupt):
        train(checkpoint, 3, progress=interrupt)
    assert batches == [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2)]
    network, _ = train(checkpoint, 3)
    assert same_weights(network, unbroken[0])


def test_a_checkpoint_that_cannot_be_written_is_a_storage_error(train: Train) -> None:
    with pytest.raises(StorageError, match="cannot write /sys/"):
        train(Path("/sys/checkpoint.npz"), 1)


@pytest.fixture(scope="module")
def checkpoint(train: Train, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """After one epoch."""
    path = tmp_path_factory.mktemp("checkpoint") / "checkpoint.npz"
    train(path, 1)
    return path


@pytest.mark.parametrize("size", [0, 1_000, 200_000])
def test_a_truncated_checkpoint_is_a_run_folder_error(
    train: Train, checkpoint: Path, tmp_path: Path, size: int
) -> None:
    damaged = Path(shutil.copy(checkpoint, tmp_path))
    damaged.write_bytes(damaged.read_bytes()[:size])
    with pytest.raises(RunFolderError, match=r"checkpoint\.npz is damaged .*--fresh"):
        train(damaged, 2)


def test_a_checkpoint_of_another_network_is_a_run_folder_error(
    checkpoint: Path, experiment: Experiment, tmp_path: Path
) -> None:
    from ser_train.wav2vec2.checkpoint import load_checkpoint
    from ser_train.wav2vec2.training import make_optimizer

    other = load_pretrained(save_tiny_backbone(tmp_path, intermediate_size=48))
    with pytest.raises(RunFolderError, match="of another network"):
        load_checkpoint(checkpoint, other, make_optimizer(other, experiment))


def test_a_batch_of_another_size_predicts_the_same(
    unbroken: tuple[Wav2Vec2Classifier, TrainingState], small: AudioDataset
) -> None:
    from ser_train.wav2vec2.training import predict

    network = unbroken[0]
    alone, together = predict(network, small.test, 1), predict(network, small.test, 256)
    np.testing.assert_allclose(alone, together, atol=1e-6)
    np.testing.assert_allclose(alone.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize(
    ("precision", "dtype"), [("float32", torch.float32), ("mixed_bfloat16", torch.bfloat16)]
)
def test_mixed_precision_multiplies_in_bfloat16_and_keeps_float32_weights(
    tiny_backbone: Path,
    experiment: Experiment,
    small: AudioDataset,
    precision: str,
    dtype: torch.dtype,
) -> None:
    import keras

    from ser_train.wav2vec2.training import make_optimizer
    from ser_train.wav2vec2.training import training_step

    network = load_pretrained(tiny_backbone)
    initialize_head(network, 0)
    products: set[torch.dtype] = set()
    for layer in network.wav2vec2.encoder.layers:
        layer.feed_forward.output_dense.register_forward_hook(
            lambda _layer, _inputs, output: products.add(output.dtype)
        )
    batch = encode(make_feature_extractor(), small.train.waveforms(range(7)))
    inputs = batch.input_values, batch.attention_mask
    classes = torch.from_numpy(small.train.classes[:7])
    optimizer = make_optimizer(network, experiment)
    keras.config.set_dtype_policy(precision)
    try:
        loss, _ = training_step(network.train(), optimizer, inputs, classes)
    finally:
        keras.config.set_dtype_policy("float32")
    assert products == {dtype}
    assert math.isfinite(loss)
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}
