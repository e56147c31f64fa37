"""VGG16 from clips to run folders: frozen features, training, resuming, repeating, evaluating."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from ser_runtime.errors import RunFolderError
from ser_runtime.errors import WeightsError
from ser_train.corpora import CorpusIndex
from ser_train.experiments import EXPERIMENTS
from ser_train.experiments import Experiment
from ser_train.run_folder import RunFolder
from ser_train.splits import make_split

Command = Callable[..., CompletedProcess[str]]
SMALL = {"side": 32, "units": [32, 16]}
CLIPS_OF_EACH = 30


def small(name: str, **changes: Any) -> Experiment:
    """A row of the registry on pictures of 32 x 32, at a rate at which a few epochs do."""
    row = EXPERIMENTS[name]
    options = {**row.options, **SMALL, **changes.pop("options", {})}
    return dataclasses.replace(row, **{"learning_rate": 1e-3, "options": options, **changes})


@pytest.fixture(scope="module")
def vgg16(tensorflow: None) -> Any:
    """The family."""
    from ser_train.families import family

    return family("vgg16")


@pytest.fixture(scope="module")
def weights(vgg16: Any, vgg16_file: Path) -> Any:
    """Random weights."""
    return vgg16.find_weights(str(vgg16_file))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder."""
    return tmp_path_factory.mktemp("vgg16-cache")


@pytest.fixture(scope="module")
def data(vgg16: Any, tiny_index: CorpusIndex, folder: Path) -> Any:
    """Pictures of the made-up clips, 32 x 32."""
    split = make_split(tiny_index.clips, "report")
    return vgg16.load_data(tiny_index, split, small("vgg16-1"), folder)


@pytest.fixture(scope="module")
def recipe(training: ModuleType, weights: Any) -> Callable[..., Any]:
    """Makes a recipe of two epochs."""
    return lambda experiment, seed=0: training.Recipe(experiment, seed, 2, weights)


@pytest.mark.parametrize("name", ["vgg16-1", "vgg16-4"])
def test_frozen_features_are_those_of_the_frozen_layers(
    vgg16: Any, data: Any, recipe: Callable[..., Any], name: str
) -> None:
    from ser_train.vgg16.family import pretrained_network
    from ser_train.vgg16.family import with_frozen_features

    features = with_frozen_features(recipe(small(name)), data)
    network = pretrained_network(recipe(small(name)), 0)
    for part, pictures in ((features.train, data.train), (features.test, data.test)):
        assert part.ids == pictures.ids
        which = slice(0, 5)
        wanted = network.kept.predict_on_batch(pictures.standardized(which))
        scale = np.abs(wanted).max()
        np.testing.assert_allclose(part.standardized(which), wanted, atol=2e-6 * scale)


def test_frozen_features_are_computed_once_and_shared(
    data: Any, recipe: Callable[..., Any]
) -> None:
    from ser_train.vgg16.family import with_frozen_features

    def refuse(*told: object) -> None:
        raise AssertionError("features are computed")

    with_frozen_features(recipe(small("vgg16-3")), data)
    for name in ("vgg16-3", "vgg16-4", "vgg16-5"):
        with_frozen_features(recipe(small(name), seed=1), data, refuse)


def test_other_weights_have_features_of_their_own(
    vgg16: Any, data: Any, recipe: Callable[..., Any], vgg16_file: Path, tmp_path: Path
) -> None:
    import h5py

    from ser_train.vgg16.family import with_frozen_features

    other = tmp_path / "other.h5"
    other.write_bytes(vgg16_file.read_bytes())
    with h5py.File(other, "a") as file:
        file["block1_conv1/block1_conv1/block1_conv1_b_1:0"][:] = 1
    here = recipe(small("vgg16-1"))
    there = dataclasses.replace(here, weights=vgg16.find_weights(str(other)))
    values = [with_frozen_features(one, data).train.arrays.values for one in (here, there)]
    assert not np.array_equal(*values)


def test_an_experiment_without_weights_is_refused(
    vgg16: Any, data: Any, recipe: Callable[..., Any], tmp_path: Path
) -> None:
    bare = dataclasses.replace(recipe(small("vgg16-1")), weights=None)
    with pytest.raises(WeightsError, match=r"vgg16-1 starts from pretrained weights: .*--weights"):
        vgg16.train(bare, data, tmp_path / "checkpoint.npz")


@pytest.mark.parametrize("name", ["vgg16-1", "vgg16-2", "vgg16-5"])
def test_frozen_layers_stay_as_they_are_and_the_others_do_not(
    vgg16: Any, data: Any, recipe: Callable[..., Any], vgg16_arrays: dict, tmp_path: Path, name: str
) -> None:
    row = small(name, retrain=False)
    model, _ = vgg16.train(recipe(row), data, tmp_path / "checkpoint.npz")
    base = model.whole.get_layer("vgg16")
    changed = {
        layer
        for layer, (kernel, _) in vgg16_arrays.items()
        if not np.array_equal(base.get_layer(layer).get_weights()[0], kernel)
    }
    unfrozen = row.options.get("unfrozen", 0)
    assert changed == {f"block5_conv{n}" for n in range(4 - unfrozen, 4)}


@pytest.mark.parametrize("name", ["vgg16-1", "vgg16-2", "vgg16-4"])
def test_probabilities_are_those_of_the_whole_network(
    vgg16: Any, data: Any, recipe: Callable[..., Any], tmp_path: Path, name: str
) -> None:
    model, _ = vgg16.train(recipe(small(name)), data, tmp_path / "checkpoint.npz")
    whole = model.whole.predict_on_batch(data.test.standardized(slice(None)))
    np.testing.assert_allclose(vgg16.predict(model, data.test, 256), whole, atol=1e-5)
    assert vgg16.parameters(model) == model.whole.count_params() > 14_714_688


class BrokenOffError(Exception):
    """What ends a training in a test."""


@pytest.mark.parametrize("name", ["vgg16-1", "vgg16-2"])
@pytest.mark.parametrize("last", [("search", 1), ("retrain", 1)])
def test_a_training_that_was_broken_off_equals_the_unbroken_one(
    vgg16: Any,
    data: Any,
    recipe: Callable[..., Any],
    tmp_path: Path,
    name: str,
    last: tuple[str, int],
) -> None:
    # The loss falls at first, so that the retraining has two epochs as well.
    row = small(name, monitor="val_loss", learning_rate=1e-4)

    def stop(phase: str, epoch: int, metrics: dict[str, float]) -> None:
        if (phase, epoch) == last:
            raise BrokenOffError

    unbroken, state = vgg16.train(recipe(row), data, tmp_path / "unbroken.npz")
    assert state.best_epoch == 2
    checkpoint = tmp_path / "broken.npz"
    with pytest.raises(BrokenOffError):
        vgg16.train(recipe(row), data, checkpoint, on_epoch=stop)
    resumed, _ = vgg16.train(recipe(row), data, checkpoint)
    for one, other in zip(unbroken.whole.get_weights(), resumed.whole.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.fixture(scope="module")
def real_clips(corpora: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """420 clips of TESS, of each speaker and emotion as many."""
    folder = tmp_path_factory.mktemp("real") / "TESS"
    folder.mkdir()
    for speaker in ("OAF", "YAF"):
        for emotion in ("angry", "disgust", "fear", "happy", "neutral", "ps", "sad"):
            clips = sorted((corpora / "TESS").glob(f"{speaker}_*_{emotion}.opus"))
            for clip in clips[:CLIPS_OF_EACH]:
                (folder / clip.name).symlink_to(clip)
    return folder.parent


@pytest.fixture(scope="module")
def registry() -> Iterator[None]:
    """`vgg16-1` on pictures of 64 x 64, with a small classifier."""
    row = small("vgg16-1", options={"side": 64, "units": [128, 64], "dropout": 0.1})
    row = dataclasses.replace(row, learning_rate=3e-4, batch_size=16, patience=25)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(EXPERIMENTS, "vgg16-1", row)
        yield


@pytest.fixture(scope="module")
def repeated(
    registry: None,
    ser_train: Command,
    real_clips: Path,
    vgg16_file: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[CompletedProcess[str], Path, list[object]]:
    """`ser-train vgg16-1 --repeat 2` on them: what it said, its runs, its arguments."""
    runs, cache = tmp_path_factory.mktemp("runs"), tmp_path_factory.mktemp("cache")
    arguments = [
        "vgg16-1", "--corpora", real_clips, "--cache", cache, "--out", runs, "--seed", 3,
        "--weights", vgg16_file, "--max-epochs", 25, "--threads", 1, "--repeat", 2,
    ]  # fmt: skip
    return ser_train(*arguments), runs, arguments


def test_a_small_training_on_real_clips_ends_above_chance(
    repeated: tuple[CompletedProcess[str], Path, list[object]],
) -> None:
    done, runs, _ = repeated
    assert done.returncode == 0, done.stderr
    for seed in (3, 4):
        metrics = RunFolder(runs / f"vgg16-1-report-seed{seed}").metrics()
        assert metrics["clips"] == 42
        # Seven classes, as many clips of each: by chance above 0.36 once in ten thousand times.
        assert metrics["accuracy"] > 0.36


def test_every_seed_has_its_run_and_all_are_shown(
    repeated: tuple[CompletedProcess[str], Path, list[object]],
) -> None:
    done, runs, _ = repeated
    names = [f"vgg16-1-report-seed{seed}" for seed in (3, 4)]
    assert {path.name for path in runs.iterdir()} == set(names)
    assert [name in done.stdout for name in names] == [True, True]
    accuracies = [RunFolder(runs / name).metrics()["accuracy"] for name in names]
    low, high = min(accuracies), max(accuracies)
    assert f"accuracy of 2 seeds: {low:.3f} to {high:.3f}, mean" in done.stdout


def test_seeds_differ(repeated: tuple[CompletedProcess[str], Path, list[object]]) -> None:
    _, runs, _ = repeated
    first, second = (RunFolder(runs / f"vgg16-1-report-seed{seed}") for seed in (3, 4))
    assert first.read_json("history") != second.read_json("history")


def test_complete_seeds_are_only_read(
    repeated: tuple[CompletedProcess[str], Path, list[object]], ser_train: Command
) -> None:
    again = ser_train(*repeated[2])
    assert again.returncode == 0, again.stderr
    assert again.stderr.count("is complete: nothing to train") == 2
    assert again.stdout == repeated[0].stdout


def test_the_run_folder_says_which_weights_it_began_with(
    repeated: tuple[CompletedProcess[str], Path, list[object]], weights: Any
) -> None:
    config = RunFolder(repeated[1] / "vgg16-1-report-seed3").config()
    assert config["weights"] == {"source": "older.h5", "sha256": weights.sha256}


def test_other_weights_do_not_go_on_in_a_run_folder(
    repeated: tuple[CompletedProcess[str], Path, list[object]],
    ser_train: Command,
    vgg16_file: Path,
    tmp_path: Path,
) -> None:
    import h5py

    _, _, arguments = repeated
    other = tmp_path / "other.h5"
    other.write_bytes(vgg16_file.read_bytes())
    with h5py.File(other, "a") as file:
        file["block1_conv1/block1_conv1/block1_conv1_b_1:0"][:] = 1
    swapped = [other if argument == vgg16_file else argument for argument in arguments]
    done = ser_train(*swapped)
    assert done.returncode == 9
    assert "another weights" in done.stderr


def test_the_stored_figures_hold_without_the_pretrained_weights(
    repeated: tuple[CompletedProcess[str], Path, list[object]], ser_train: Command
) -> None:
    _, runs, arguments = repeated
    done = ser_train(
        "evaluate", runs / "vgg16-1-report-seed3", "--threads", 1,
        *arguments[1:5],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "the stored figures hold" in done.stderr


def test_exporting_a_run_asks_for_its_clips(
    repeated: tuple[CompletedProcess[str], Path, list[object]], run_module: Command, tmp_path: Path
) -> None:
    run = repeated[1] / "vgg16-1-report-seed3"
    done = run_module("ser_export", "--model", run, "--out", tmp_path)
    assert done.returncode == 9
    assert "name the corpora with --corpora DIR" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_run_whose_pictures_were_drawn_otherwise_is_refused(
    repeated: tuple[CompletedProcess[str], Path, list[object]],
    vgg16: Any,
    data: Any,
    tmp_path: Path,
) -> None:
    stored = json.loads((repeated[1] / "vgg16-1-report-seed3" / "pictures.json").read_text())
    (tmp_path / "pictures.json").write_text(json.dumps({**stored, "low_db": -80.0}))
    with pytest.raises(RunFolderError, match="pictures were drawn otherwise"):
        vgg16.restore(RunFolder(tmp_path), small("vgg16-1"), data)
