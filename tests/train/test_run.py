"""One experiment from corpora to a complete run folder, and what is in it."""

from __future__ import annotations

import csv
import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from ser_runtime.errors import RunFolderError
from ser_runtime.labels import EMOTIONS
from ser_train.checkpoint import LAST
from ser_train.compact.augmentation import FIRST_RECIPE
from ser_train.corpora import CorpusIndex
from ser_train.experiments import EXPERIMENTS
from ser_train.features.cache import cached_features
from ser_train.features.standardize import measure_standardization
from ser_train.run_folder import RunFolder
from ser_train.splits import label_of
from ser_train.splits import make_split

FILES = {
    "tensorboard",
    "config.json",
    "split.json",
    "history.json",
    "standardization.json",
    "weights.npz",
    "predictions.csv",
    "calibration.npz",
    "validation.npz",
    "test.npz",
    "confusion_matrix.png",
    "learning_curves.png",
    "metrics.json",
}


@pytest.fixture(scope="module")
def run(tiny_run: Path) -> RunFolder:
    return RunFolder(tiny_run)


@pytest.fixture(scope="module")
def metrics(run: RunFolder) -> dict[str, Any]:
    return run.read_json("metrics")


@pytest.fixture(scope="module")
def predictions(tiny_run: Path) -> dict[str, list[dict[str, str]]]:
    """Rows of predictions.csv by set."""
    with (tiny_run / "predictions.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: [row for row in rows if row["set"] == name] for name in ("validation", "test")}


def test_a_complete_run_holds_these_files_and_no_others(tiny_run: Path) -> None:
    assert {path.name for path in tiny_run.iterdir()} == FILES


def test_metrics_say_what_was_run(metrics: dict[str, Any]) -> None:
    wanted = {"experiment": "cnn", "protocol": "report", "fold": None, "seed": 0}
    assert {key: metrics[key] for key in wanted} == wanted


def test_metrics_hold_the_figures(metrics: dict[str, Any]) -> None:
    assert 0 <= metrics["accuracy"] <= 1
    assert 0 <= metrics["macro_f1"] <= 1
    assert list(metrics["per_class"]) == list(EMOTIONS)


def test_metrics_hold_no_value_that_json_does_not_know(tiny_run: Path) -> None:
    def refuse(name: str) -> None:
        raise AssertionError(name)

    json.loads((tiny_run / "metrics.json").read_text(), parse_constant=refuse)


def test_predictions_reproduce_the_accuracy(
    metrics: dict[str, Any], predictions: dict[str, list[dict[str, str]]]
) -> None:
    right = [row["emotion"] == row["recognized"] for row in predictions["test"]]
    assert np.mean(right) == pytest.approx(metrics["accuracy"])


def test_predictions_reproduce_the_validation_accuracy(
    metrics: dict[str, Any], predictions: dict[str, list[dict[str, str]]]
) -> None:
    right = [row["emotion"] == row["recognized"] for row in predictions["validation"]]
    assert np.mean(right) == pytest.approx(metrics["validation"]["accuracy"])


def test_predictions_have_the_labels_of_their_clips(
    tiny_index: CorpusIndex, predictions: dict[str, list[dict[str, str]]]
) -> None:
    labels = {clip.id: label_of(clip, "report") for clip in tiny_index.clips}
    assert all(row["emotion"] == labels[row["clip"]] for row in predictions["test"])


def test_predictions_are_of_the_splits_clips(
    tiny_index: CorpusIndex, predictions: dict[str, list[dict[str, str]]]
) -> None:
    split = make_split(tiny_index.clips, "report")
    assert tuple(row["clip"] for row in predictions["test"]) == split.test
    assert tuple(row["clip"] for row in predictions["validation"]) == split.validation


def test_the_split_is_stored_with_its_hash(run: RunFolder, tiny_index: CorpusIndex) -> None:
    split, stored = make_split(tiny_index.clips, "report"), run.read_json("split")
    assert stored["hash"] == split.hash == run.config()["split_hash"]
    assert tuple(stored["test"]) == split.test


def test_calibration_clips_are_training_clips(run: RunFolder, tiny_index: CorpusIndex) -> None:
    split, calibration = make_split(tiny_index.clips, "report"), run.read_set("calibration")
    assert len(calibration.ids) == min(300, len(split.train))
    assert set(calibration.ids) <= set(split.train)


@pytest.mark.parametrize("name", ["calibration", "validation", "test"])
def test_stored_features_are_the_clean_ones(
    run: RunFolder, tiny_index: CorpusIndex, cache: Path, name: str
) -> None:
    features = cached_features(tiny_index, run.spec(), cache, noisy_copies=2)
    stored = run.read_set(name)
    np.testing.assert_array_equal(stored.features, features.values[features.rows(stored.ids), 0])


def test_the_standardization_is_that_of_the_training_clips(
    run: RunFolder, tiny_index: CorpusIndex, cache: Path
) -> None:
    features = cached_features(tiny_index, run.spec(), cache, noisy_copies=2)
    train = features.rows(make_split(tiny_index.clips, "report").train)
    wanted = measure_standardization(features, train)
    np.testing.assert_array_equal(run.standardization().mean, wanted.mean)


def test_history_holds_both_phases(run: RunFolder, metrics: dict[str, Any]) -> None:
    history = run.read_json("history")
    assert len(history["search"]["val_loss"]) == metrics["epochs"]["searched"] == 3
    assert len(history["retrain"]["loss"]) == history["best_epoch"]


def test_stored_weights_reproduce_the_predictions(
    tensorflow: None, run: RunFolder, predictions: dict[str, list[dict[str, str]]]
) -> None:
    from ser_train.architectures import cnn
    from ser_train.weights import load_weights

    model = cnn(run.spec().shape)
    load_weights(run.weights, model)
    inputs = run.standardization()(run.read_set("test").features)
    stored = [[float(row[name]) for name in EMOTIONS] for row in predictions["test"]]
    np.testing.assert_allclose(model.predict(inputs, verbose=0), stored, atol=2e-6)


@pytest.fixture
def tiny(
    training: ModuleType, tiny_index: CorpusIndex, tiny_run: Path
) -> Callable[[Path, int, int], Any]:
    """Makes the run of `tiny_run`, in any folder, with another seed or number of epochs."""
    from ser_train.run import Run

    def make(folder: Path, seed: int = 0, max_epochs: int = 3) -> Any:
        recipe = training.Recipe(EXPERIMENTS["cnn"], seed, max_epochs)
        split = make_split(tiny_index.clips, "report")
        return Run(recipe, tiny_index, split, RunFolder(folder))

    return make


RESULTS = Path(__file__).parents[2] / "train" / "results"


def no_data() -> Any:
    raise AssertionError("features are computed")


def test_a_complete_run_is_read_without_its_data(
    tiny: Callable[..., Any], tiny_run: Path, metrics: dict[str, Any]
) -> None:
    from ser_train.run import complete_run

    assert complete_run(tiny(tiny_run), no_data) == metrics


@pytest.mark.parametrize("changed", [{"seed": 1}, {"max_epochs": 2}])
def test_another_configuration_is_refused_by_name(
    tiny: Callable[..., Any], tiny_run: Path, changed: dict[str, int]
) -> None:
    from ser_train.run import complete_run

    with pytest.raises(RunFolderError, match=f"another {next(iter(changed))}: .*--fresh"):
        complete_run(tiny(tiny_run, **changed), no_data)


def test_a_complete_run_of_other_settings_is_read_where_these_do_not_matter(
    tiny: Callable[..., Any], tiny_run: Path, metrics: dict[str, Any]
) -> None:
    from ser_train.run import complete_run

    other = tiny(tiny_run, max_epochs=2)
    assert complete_run(other, no_data, any_settings=True) == metrics
    assert other.differs_in() == ["max_epochs"]
    with pytest.raises(RunFolderError, match="another seed"):
        complete_run(tiny(tiny_run, seed=1), no_data, any_settings=True)


@pytest.mark.parametrize(("monitor", "taken_over"), [("val_loss", True), (LAST, False)])
def test_a_run_under_way_takes_another_length_unless_its_learning_rate_follows_it(
    tiny: Callable[..., Any], tmp_path: Path, monitor: str, taken_over: bool
) -> None:
    begun, other = tiny(tmp_path, max_epochs=3), tiny(tmp_path, max_epochs=2)
    for run in (begun, other):
        experiment = dataclasses.replace(run.recipe.experiment, monitor=monitor)
        object.__setattr__(run.recipe, "experiment", experiment)
    begun.folder.write_json("config", begun.config())
    other.take_over_length()
    assert (other.differs_in() == []) == taken_over
    assert begun.folder.config()["max_epochs"] == (2 if taken_over else 3)


def test_other_versions_of_libraries_are_not_another_configuration(
    tiny: Callable[..., Any], tiny_run: Path, tmp_path: Path
) -> None:
    copy = RunFolder(tmp_path)
    copy.write_json("config", RunFolder(tiny_run).config() | {"versions": {"keras": "1.0"}})
    tiny(tmp_path).refuse_other_config()


def test_a_run_from_before_these_fields_is_the_same_configuration(
    tiny: Callable[..., Any], tiny_run: Path, tmp_path: Path
) -> None:
    stored = RunFolder(tiny_run).config()
    del stored["precision"]
    for name in ("standardization", "crop", "options", "augmentation", "needs"):
        del stored["experiment"][name]
    RunFolder(tmp_path).write_json("config", stored)
    tiny(tmp_path).refuse_other_config()


def test_another_precision_is_another_configuration(
    tiny: Callable[..., Any], tiny_run: Path, tmp_path: Path
) -> None:
    stored = RunFolder(tiny_run).config() | {"precision": "mixed_bfloat16"}
    RunFolder(tmp_path).write_json("config", stored)
    with pytest.raises(RunFolderError, match="another precision"):
        tiny(tmp_path).refuse_other_config()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("standardization", "none"),
        ("crop", "centre"),
        ("options", {"norm": "channels"}),
        ("augmentation", {"mixed": 0.5}),
    ],
)
def test_another_recipe_is_another_configuration(
    tiny: Callable[..., Any], tiny_run: Path, tmp_path: Path, name: str, value: object
) -> None:
    stored = RunFolder(tiny_run).config()
    stored["experiment"][name] = value
    RunFolder(tmp_path).write_json("config", stored)
    with pytest.raises(RunFolderError, match="another experiment"):
        tiny(tmp_path).refuse_other_config()


FINISH = {"epochs": 2, "learning_rate": 1e-3, "augmentation": {}}


@pytest.fixture
def finishing(tiny: Callable[..., Any], tiny_run: Path) -> Callable[..., Any]:
    """Makes the run of `tiny_run` with a last phase, that run being its first."""

    def make(folder: Path, seed: int = 0) -> Any:
        from ser_train.first_phase import read_first_phase

        run = tiny(folder, seed)
        row = dataclasses.replace(run.recipe.experiment, finish=FINISH)
        first = read_first_phase(tiny_run)
        recipe = dataclasses.replace(run.recipe, experiment=row, first_phase=first)
        return dataclasses.replace(run, recipe=recipe)

    return make


def test_a_first_phase_is_of_the_same_training(
    finishing: Callable[..., Any], tmp_path: Path
) -> None:
    run = finishing(tmp_path)
    run.check_first_phase()
    assert len(run.config()["first_phase"]["sha256"]) == 64
    with pytest.raises(RunFolderError, match="of another training: another seed"):
        finishing(tmp_path, seed=1).check_first_phase()


def test_a_first_phase_had_no_teachers(finishing: Callable[..., Any], tmp_path: Path) -> None:
    from ser_train.teachers import Teaching

    run = finishing(tmp_path)
    stored = run.recipe.first_phase.run.config()
    taught = dataclasses.replace(run.recipe, teaching=Teaching(()))
    run = dataclasses.replace(run, recipe=taught)
    run.check_first_phase()
    stored["teaching"] = Teaching(()).to_dict()
    other = RunFolder(tmp_path / "taught")
    other.write_json("config", stored)
    object.__setattr__(taught, "first_phase", dataclasses.replace(taught.first_phase, run=other))
    with pytest.raises(RunFolderError, match="another teaching"):
        run.check_first_phase()


def test_a_first_phase_has_no_last_phase_itself(
    finishing: Callable[..., Any], tiny_run: Path, tmp_path: Path
) -> None:
    shutil.copytree(tiny_run, tmp_path / "finished")
    finished = RunFolder(tmp_path / "finished")
    config = finished.config()
    config["experiment"]["finish"] = FINISH
    finished.write_json("config", config)
    run = finishing(tmp_path)
    first = dataclasses.replace(run.recipe.first_phase, run=finished)
    object.__setattr__(run.recipe, "first_phase", first)
    with pytest.raises(RunFolderError, match="another finish"):
        run.check_first_phase()


def test_where_its_first_phase_came_from_is_not_another_configuration(
    finishing: Callable[..., Any], tmp_path: Path
) -> None:
    run = finishing(tmp_path)
    run.folder.write_json("config", run.config())
    recipe = dataclasses.replace(run.recipe, first_phase=None)
    dataclasses.replace(run, recipe=recipe).refuse_other_config()


@pytest.mark.parametrize("other_rate", [False, True])
def test_a_run_under_way_takes_the_finish_that_its_recipe_got_since(
    tiny: Callable[..., Any], finishing: Callable[..., Any], tmp_path: Path, other_rate: bool
) -> None:
    stored = tiny(tmp_path).config()
    if other_rate:
        stored["experiment"]["learning_rate"] = 1.0
    RunFolder(tmp_path).write_json("config", stored)
    run = finishing(tmp_path)
    run.take_over_length()
    assert (run.differs_in() == []) != other_rate
    assert (RunFolder(tmp_path).config()["experiment"].get("finish") == FINISH) != other_rate


def test_a_complete_run_takes_no_finish(
    finishing: Callable[..., Any], tiny_run: Path, tmp_path: Path
) -> None:
    from ser_train.run import complete_run

    shutil.copytree(tiny_run, tmp_path / "run")
    with pytest.raises(RunFolderError, match="another experiment"):
        complete_run(finishing(tmp_path / "run"), no_data)


def test_a_run_folder_is_named_after_experiment_split_and_seed(tensorflow: None) -> None:
    from ser_train.run import run_folder_name

    assert run_folder_name("cnn", "speaker-independent-2", 3) == "cnn-speaker-independent-2-seed3"


def test_a_run_of_compact_from_before_is_of_the_first_recipe(tensorflow: None) -> None:
    from ser_train.run import _what_trains

    committed = RunFolder(RESULTS / "compact" / "first" / "compact-report-seed0").config()
    assert "augmentation" not in committed["experiment"]
    first = committed["experiment"] | {"augmentation": FIRST_RECIPE.to_dict(), "finish": {}}
    today = committed | {"experiment": EXPERIMENTS["compact"].to_dict() | first}
    assert _what_trains(committed) == _what_trains(json.loads(json.dumps(today)))
