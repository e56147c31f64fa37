"""One experiment from corpora to a complete run folder, and what is in it."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ser_runtime.labels import EMOTIONS
from ser_runtime.temperature import apply_temperature
from ser_train.corpora import CorpusIndex
from ser_train.features.cache import cached_features
from ser_train.features.standardize import measure_standardization
from ser_train.metrics import confidence_threshold
from ser_train.metrics import fit_temperature
from ser_train.run_folder import RunFolder
from ser_train.splits import label_of
from ser_train.splits import make_split

FILES = {
    "config.json",
    "split.json",
    "history.json",
    "standardization.json",
    "model.weights.h5",
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


def arrays(rows: list[dict[str, str]]) -> tuple[np.ndarray, np.ndarray]:
    """Classes and probabilities of prediction rows."""
    classes = np.array([EMOTIONS.index(row["emotion"]) for row in rows])
    return classes, np.array([[float(row[name]) for name in EMOTIONS] for row in rows], np.float32)


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


def test_temperature_and_threshold_come_from_the_validation_clips(
    metrics: dict[str, Any], predictions: dict[str, list[dict[str, str]]]
) -> None:
    classes, probabilities = arrays(predictions["validation"])
    temperature = fit_temperature(classes, probabilities)
    threshold = confidence_threshold(classes, apply_temperature(probabilities, temperature))
    assert metrics["temperature"] == pytest.approx(temperature, rel=1e-2)
    assert metrics["confidence_threshold"] == pytest.approx(threshold, rel=1e-2)


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


def test_stored_weights_reproduce_the_predictions(
    tensorflow: None, run: RunFolder, predictions: dict[str, list[dict[str, str]]]
) -> None:
    from ser_train.architectures import cnn

    model = cnn(run.spec().shape)
    model.load_weights(run.weights)
    inputs = run.standardization()(run.read_set("test").features)
    _, stored = arrays(predictions["test"])
    np.testing.assert_allclose(model.predict(inputs, verbose=0), stored, atol=2e-6)


def test_history_holds_both_phases(run: RunFolder, metrics: dict[str, Any]) -> None:
    history = run.read_json("history")
    assert history["best_epoch"] == metrics["epochs"]["best"]
    assert len(history["search"]["val_loss"]) == metrics["epochs"]["search"] == 3
    assert len(history["retrain"]["loss"]) == metrics["epochs"]["retrain"]


def test_a_search_that_was_cut_short_says_so(metrics: dict[str, Any]) -> None:
    assert metrics["stopped_early_by_hand"] is True


def test_the_report_is_beside_the_accuracy(metrics: dict[str, Any]) -> None:
    assert metrics["report"]["accuracy"] == 0.67
    assert metrics["report"]["difference"] == pytest.approx(metrics["accuracy"] - 0.67)
    assert metrics["report"]["like_for_like"] is False


def test_a_lost_file_of_an_incomplete_run_is_written_again(
    ser_train: Any, tiny_corpora: Path, cache: Path, tiny_run: Path, tmp_path: Path
) -> None:
    copy = tmp_path / tiny_run.name
    shutil.copytree(tiny_run, copy)
    for name in ("metrics.json", "split.json", "predictions.csv"):
        (copy / name).unlink()
    # As the training left it, were it killed after its last epoch: only seconds are missing.
    done = ser_train(
        "cnn", "--corpora", tiny_corpora, "--cache", cache, "--out", tmp_path,
        "--max-epochs", 3, "--threads", 1,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (copy / "predictions.csv").read_bytes() == (tiny_run / "predictions.csv").read_bytes()
