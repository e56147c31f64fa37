"""The figures of a trained model."""

from __future__ import annotations

import dataclasses
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ser_runtime.temperature import apply_temperature
from ser_train.checkpoint import TrainingState
from ser_train.corpora import CorpusIndex
from ser_train.dataset import Dataset
from ser_train.experiments import Experiment
from ser_train.metrics import confidence_threshold
from ser_train.metrics import fit_temperature

HISTORY = {"val_loss": [3.0, 2.0], "seconds": [30.0, 90.0]}


@pytest.fixture(scope="module")
def index(small_data: Dataset, make_clip: Any, tmp_path_factory: Any) -> CorpusIndex:
    """A clip of TESS for each of `small_data`, ten of one speaker."""
    clips = [
        dataclasses.replace(make_clip(clip_id, speaker=f"S{row // 10}"), corpus="TESS")
        for row, clip_id in enumerate(small_data.train.features.ids)
    ]
    return CorpusIndex(tmp_path_factory.getbasetemp(), tuple(clips), ())


@pytest.fixture(scope="module")
def evaluated(
    training: ModuleType, small_data: Dataset, small_experiment: Experiment, index: CorpusIndex
) -> Any:
    """Evaluates an untrained model on a protocol, with the number of epochs that it may take."""
    from ser_train.evaluation import evaluate

    model = training.build_model(small_experiment, 0)

    def run(
        protocol: str = "report",
        max_epochs: int = 100,
        retrain: bool = True,
        test_classes: NDArray[np.int64] | None = None,
    ) -> Any:
        experiment = dataclasses.replace(small_experiment, retrain=retrain)
        fold = "1" if protocol == "speaker-independent" else None
        split = dataclasses.replace(small_data.split, protocol=protocol, fold=fold)
        data = dataclasses.replace(small_data, split=split)
        if test_classes is not None:
            test = dataclasses.replace(data.test, classes=test_classes)
            data = dataclasses.replace(data, test=test)
        history = {"search": HISTORY} | ({"retrain": HISTORY} if retrain else {})
        state = TrainingState("search", history, best_epoch=2)
        return evaluate(training.Recipe(experiment, 7, max_epochs), index, data, model, state)

    return run


def test_accuracy_is_that_of_the_test_clips(evaluated: Any, small_data: Dataset) -> None:
    result = evaluated()
    right = result.test.argmax(axis=1) == small_data.test.classes
    assert result.metrics["accuracy"] == pytest.approx(right.mean())
    assert result.metrics["clips"] == 28


def test_temperature_and_threshold_come_from_the_validation_clips(
    evaluated: Any, small_data: Dataset
) -> None:
    result, classes = evaluated(), small_data.validation.classes
    temperature = fit_temperature(classes, result.validation)
    calibrated = apply_temperature(result.validation, temperature)
    assert result.metrics["temperature"] == temperature
    assert result.metrics["confidence_threshold"] == confidence_threshold(classes, calibrated)


def test_test_clips_have_no_say_in_any_choice(evaluated: Any) -> None:
    result = evaluated(test_classes=np.zeros(28, np.int64))
    for name in ("temperature", "confidence_threshold"):
        assert result.metrics[name] == evaluated().metrics[name]


def test_accuracy_among_the_tested_classes_is_given_where_one_is_missing(
    small_data: Dataset, evaluated: Any
) -> None:
    assert "accuracy_among_tested_classes" not in evaluated().metrics
    classes = small_data.test.classes % 2
    result = evaluated(test_classes=classes)
    right = (result.test[:, 1] > result.test[:, 0]) == classes
    assert result.metrics["accuracy_among_tested_classes"] == pytest.approx(right.mean())


def test_intervals_are_drawn_by_speaker_where_speakers_are_held_out(evaluated: Any) -> None:
    by_clip = evaluated("report").metrics["accuracy_interval"]
    by_speaker = evaluated("speaker-independent").metrics["accuracy_interval"]
    assert by_clip != by_speaker


@pytest.mark.parametrize(
    ("protocol", "shared", "like_for_like"),
    [("report", True, False), ("report-labels", True, True), ("speaker-independent", False, False)],
)
def test_what_must_be_known_to_read_the_figures_is_said(
    evaluated: Any, protocol: str, shared: bool, like_for_like: bool
) -> None:
    metrics = evaluated(protocol).metrics
    assert metrics["speakers_shared"] is shared
    assert metrics["report"]["like_for_like"] is like_for_like


@pytest.mark.parametrize(("max_epochs", "by_hand"), [(2, True), (3, False), (100, False)])
def test_a_search_that_was_cut_short_is_called_so(
    evaluated: Any, max_epochs: int, by_hand: bool
) -> None:
    epochs = evaluated(max_epochs=max_epochs).metrics["epochs"]
    assert epochs == {"trained": 2, "searched": 2, "search_stopped_by_hand": by_hand}


def test_without_retraining_the_best_epoch_counts(evaluated: Any) -> None:
    assert evaluated(retrain=False).metrics["epochs"]["trained"] == 2


def test_minutes_are_those_of_both_phases(evaluated: Any) -> None:
    assert evaluated().metrics["minutes"] == pytest.approx(4.0)
