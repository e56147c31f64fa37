"""`compact` from clips to a trained model: cache, schedule, averaged weights, resuming."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ser_runtime.errors import FeatureSpecError
from ser_runtime.feature_spec import MEL
from ser_runtime.features import compute_features
from ser_runtime.features import fit_window
from ser_train.compact.clip_spectrograms import cached_spectrograms
from ser_train.corpora import CorpusIndex
from ser_train.corpora.clip import read_indexed
from ser_train.experiments import EXPERIMENTS
from ser_train.experiments import Experiment
from ser_train.splits import make_split

EPOCHS = 3


class Stopped(Exception):  # noqa: N818
    """Ends a training from within, as a signal would."""


@pytest.fixture(scope="module")
def family(tensorflow: None) -> Any:
    from ser_train.compact.family import CompactFamily

    return CompactFamily()


@pytest.fixture(scope="module")
def data(
    family: Any,
    tiny_index: CorpusIndex,
    small_compact: Experiment,
    tmp_path_factory: pytest.TempPathFactory,
) -> Any:
    split = make_split(tiny_index.clips, "report", None)
    return family.load_data(tiny_index, split, small_compact, tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compact") / "checkpoint.npz"


@pytest.fixture(scope="module")
def trained(family: Any, data: Any, small_compact: Experiment, checkpoint: Path) -> tuple[Any, Any]:
    from ser_train.training import Recipe

    return family.train(Recipe(small_compact, 0, EPOCHS), data, checkpoint)


def test_the_registry_has_its_parameters(tensorflow: None) -> None:
    from ser_train.architectures import make_architecture

    row = EXPERIMENTS["compact"]
    model = make_architecture(row.architecture, row.spec.shape, row.options)
    trainable = sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)
    assert (model.count_params(), trainable) == (row.parameters, row.trainable_parameters)


def test_spectrograms_of_whole_clips_begin_as_their_first_window(
    tiny_index: CorpusIndex, data: Any
) -> None:
    spec = data.clips.spec
    for row in range(0, len(tiny_index.clips), 40):
        audio = read_indexed(tiny_index.clips[row], spec.sample_rate)
        window = compute_features(fit_window(audio, spec.window_samples), spec).T
        # The last frames of a window in the middle of a clip look beyond it.
        count = min(data.clips.lengths[row], spec.frames - spec.n_fft // spec.hop)
        np.testing.assert_allclose(data.clips.values[row, :count], window[:count], atol=0.02)
        assert (data.clips.values[row, data.clips.lengths[row] + 2 :] < -16).all()


def test_whole_clips_need_frames_that_do_not_depend_on_each_other(
    tiny_index: CorpusIndex, tmp_path: Path
) -> None:
    with pytest.raises((ValueError, FeatureSpecError), match="natural logarithm"):
        cached_spectrograms(tiny_index, MEL, tmp_path)


def test_it_trains_for_all_epochs_and_keeps_the_averaged_weights(
    trained: tuple[Any, Any], family: Any, data: Any, checkpoint: Path
) -> None:
    model, state = trained
    assert state.best_epoch == EPOCHS
    assert state.best_weights is None
    with np.load(checkpoint) as stored:
        last = [stored[f"weight{i}"] for i in range(len(model.get_weights()))]
    # Moving statistics are averages already; what gradients train is averaged beside it.
    differing = {
        variable.path.split("/")[-1]
        for variable, value in zip(model.weights, last, strict=True)
        if not np.array_equal(variable.numpy(), value)
    }
    assert differing == {"kernel", "bias", "gamma", "beta"}
    probabilities = family.predict(model, data.validation, 64)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-5)


def test_a_training_that_was_stopped_ends_as_the_unbroken_one(
    trained: tuple[Any, Any], family: Any, data: Any, small_compact: Experiment, tmp_path: Path
) -> None:
    from ser_train.training import Recipe

    def stop(phase: str, epoch: int, batch: int, batches: int, metrics: dict) -> None:
        if (epoch, batch) == (2, 2):
            raise Stopped

    recipe, checkpoint = Recipe(small_compact, 0, EPOCHS), tmp_path / "checkpoint.npz"
    with pytest.raises(Stopped):
        family.train(recipe, data, checkpoint, progress=stop)
    model, _ = family.train(recipe, data, checkpoint)
    for resumed, unbroken in zip(model.get_weights(), trained[0].get_weights(), strict=True):
        np.testing.assert_array_equal(resumed, unbroken)


FINISH = {"epochs": 2, "learning_rate": 1e-3, "augmentation": {"noisy": 0.0, "masks": 0}}


@pytest.fixture(scope="module")
def finishing(small_compact: Experiment) -> Experiment:
    """`small_compact` with a last phase."""
    return dataclasses.replace(small_compact, finish=FINISH)


@pytest.fixture(scope="module")
def finished(
    family: Any,
    data: Any,
    finishing: Experiment,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Any, Any]:
    from ser_train.training import Recipe

    checkpoint = tmp_path_factory.mktemp("finished") / "checkpoint.npz"
    return family.train(Recipe(finishing, 0, EPOCHS), data, checkpoint)


def assert_same_weights(model: Any, other: Any) -> None:
    for ours, theirs in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_finish_is_a_phase_of_its_own_behind_the_first(
    finished: tuple[Any, Any], trained: tuple[Any, Any]
) -> None:
    (model, state), (_, before) = finished, trained
    assert {phase: len(part["loss"]) for phase, part in state.history.items()} == {
        "search": EPOCHS,
        "finish": FINISH["epochs"],
    }
    assert state.history["search"]["loss"] == before.history["search"]["loss"]
    kernels = [v.numpy() for v in model.weights if v.path.endswith("kernel")]
    others = [v.numpy() for v in trained[0].weights if v.path.endswith("kernel")]
    assert not any(np.array_equal(*pair) for pair in zip(kernels, others, strict=True))


def test_a_finish_has_its_own_rate_and_augmentation_and_begins_with_the_averages(
    family: Any,
    data: Any,
    finishing: Experiment,
    trained: tuple[Any, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from ser_train.compact import family as module
    from ser_train.training import Recipe

    built, changed = [], []
    build, augmenter = module.build_compact, module.WindowAugmenter

    def kept_build(experiment: Experiment, *given: Any) -> Any:
        built.append((experiment, build(experiment, *given)))
        return built[-1][1]

    def kept_augmenter(clips: Any, settings: Any) -> Any:
        changed.append(settings)
        return augmenter(clips, settings)

    monkeypatch.setattr(module, "build_compact", kept_build)
    monkeypatch.setattr(module, "WindowAugmenter", kept_augmenter)

    def stop(phase: str, epoch: int, batch: int, batches: int, metrics: dict) -> None:
        if phase == "finish":
            raise Stopped

    checkpoint = tmp_path / "checkpoint.npz"
    with pytest.raises(Stopped):
        family.train(Recipe(finishing, 0, EPOCHS), data, checkpoint, progress=stop)
    assert [row.learning_rate for row, _ in built] == [2e-3, FINISH["learning_rate"]]
    assert [settings.noisy for settings in changed] == [changed[0].noisy, 0.0]
    assert changed[0].noisy > 0
    assert changed[1] == dataclasses.replace(changed[0], noisy=0.0, masks=0)


@pytest.mark.parametrize("stop_at", [("search", 2), ("finish", 1), ("finish", 2)])
def test_a_training_with_a_finish_that_was_stopped_ends_as_the_unbroken_one(
    finished: tuple[Any, Any],
    family: Any,
    data: Any,
    finishing: Experiment,
    tmp_path: Path,
    stop_at: tuple[str, int],
) -> None:
    from ser_train.training import Recipe

    def stop(phase: str, epoch: int, batch: int, batches: int, metrics: dict) -> None:
        if (phase, epoch, batch) == (*stop_at, 2):
            raise Stopped

    recipe, checkpoint = Recipe(finishing, 0, EPOCHS), tmp_path / "checkpoint.npz"
    with pytest.raises(Stopped):
        family.train(recipe, data, checkpoint, progress=stop)
    epochs = []
    model, state = family.train(
        recipe, data, checkpoint, on_epoch=lambda phase, epoch, _: epochs.append((phase, epoch))
    )
    assert epochs[0] == stop_at
    assert_same_weights(model, finished[0])
    without_seconds = {p: part["val_loss"] for p, part in state.history.items()}
    assert without_seconds == {p: part["val_loss"] for p, part in finished[1].history.items()}


def test_a_finish_behind_a_run_of_the_first_phase_ends_as_the_unbroken_training(
    trained: tuple[Any, Any],
    finished: tuple[Any, Any],
    family: Any,
    data: Any,
    finishing: Experiment,
    tmp_path: Path,
) -> None:
    from ser_train.first_phase import FirstPhase
    from ser_train.run_folder import RunFolder
    from ser_train.training import Recipe
    from ser_train.weights import save_weights

    run = RunFolder(tmp_path / "first")
    run.path.mkdir()
    save_weights(run.weights, trained[0])
    first = FirstPhase(run, "0" * 64, trained[1].history)
    recipe = Recipe(finishing, 0, EPOCHS, first_phase=first)
    model, state = family.train(recipe, data, tmp_path / "checkpoint.npz")
    assert_same_weights(model, finished[0])
    assert list(state.history) == ["search", "finish"]


def test_the_learning_rate_rises_and_falls(tensorflow: None) -> None:
    from ser_train.compact.training import one_cycle

    schedule = one_cycle(2e-3, 1000)
    rates = [float(np.asarray(schedule(step))) for step in range(0, 1001, 50)]
    assert max(rates) == pytest.approx(2e-3, rel=1e-3) == rates[2]
    assert rates[0] == pytest.approx(1e-4)
    assert rates[-1] < 2e-5
    assert rates[2:] == sorted(rates[2:], reverse=True)


def test_a_stored_network_is_restored_in_float32_whatever_the_precision(
    family: Any, data: Any, trained: tuple[Any, Any], small_compact: Experiment, tmp_path: Path
) -> None:
    import keras

    from ser_train.run_folder import RunFolder

    model, _ = trained
    folder = RunFolder(tmp_path)
    family.begin(folder, data)
    family.store(folder, data, model)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        _, restored = family.restore(folder, small_compact, data)
    finally:
        keras.config.set_dtype_policy("float32")
    assert {layer.compute_dtype for layer in restored.layers} == {"float32"}
    np.testing.assert_array_equal(
        family.predict(restored, data.test, 64), family.predict(model, data.test, 64)
    )
