"""Figures of a set of scored clips, against scikit-learn and by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import metrics as sklearn_metrics

from ser_runtime.labels import EMOTIONS
from ser_train.metrics import confidence_threshold
from ser_train.metrics import difference_from_report
from ser_train.metrics import expected_calibration_error
from ser_train.metrics import fit_temperature
from ser_train.metrics import score

CLIPS = 400


def made_up(seed: int = 0, clips: int = CLIPS) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Classes and probabilities that are right about half the time."""
    rng = np.random.default_rng(seed)
    classes = rng.integers(7, size=clips)
    logits = rng.standard_normal((clips, 7)) + 1.6 * np.eye(7)[classes]
    powers = np.exp(logits)
    return classes, (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


def sure(predicted: list[int], confidence: float = 0.9) -> NDArray[np.float32]:
    """Probabilities with a confidence for a class, the rest spread evenly."""
    rows = np.full((len(predicted), 7), (1 - confidence) / 6, np.float32)
    rows[np.arange(len(predicted)), predicted] = confidence
    return rows


@pytest.fixture(scope="module")
def scored() -> dict[str, Any]:
    classes, probabilities = made_up()
    corpora = ["TESS"] * 100 + ["SAVEE"] * 300
    return score(classes, probabilities, [str(i) for i in range(CLIPS)], corpora)


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("accuracy", sklearn_metrics.accuracy_score),
        ("unweighted_accuracy", sklearn_metrics.balanced_accuracy_score),
        ("macro_f1", lambda *a: sklearn_metrics.f1_score(*a, average="macro")),
    ],
)
def test_figures_are_those_of_scikit_learn(
    scored: dict[str, Any], name: str, reference: Any
) -> None:
    classes, probabilities = made_up()
    assert scored[name] == pytest.approx(reference(classes, probabilities.argmax(axis=1)))


def test_confusion_is_that_of_scikit_learn(scored: dict[str, Any]) -> None:
    classes, probabilities = made_up()
    wanted = sklearn_metrics.confusion_matrix(classes, probabilities.argmax(axis=1))
    assert scored["confusion"] == wanted.tolist()


@pytest.mark.parametrize("name", ["precision", "recall", "f1", "support"])
def test_figures_of_each_class_are_those_of_scikit_learn(scored: dict[str, Any], name: str) -> None:
    classes, probabilities = made_up()
    all_four = sklearn_metrics.precision_recall_fscore_support(classes, probabilities.argmax(1))
    wanted = dict(zip(("precision", "recall", "f1", "support"), all_four, strict=True))[name]
    found = [scored["per_class"][emotion][name] for emotion in EMOTIONS]
    assert found == pytest.approx(wanted.tolist())


def test_figures_of_each_corpus_are_of_its_own_clips(scored: dict[str, Any]) -> None:
    classes, probabilities = made_up()
    right = probabilities.argmax(axis=1) == classes
    assert scored["per_corpus"]["TESS"]["accuracy"] == pytest.approx(right[:100].mean())
    assert scored["per_corpus"]["SAVEE"]["clips"] == 300


@pytest.mark.parametrize("name", ["accuracy", "unweighted_accuracy", "macro_f1"])
def test_an_interval_contains_its_figure(scored: dict[str, Any], name: str) -> None:
    low, high = scored[f"{name}_interval"]
    assert low < scored[name] < high


def test_the_interval_of_independent_clips_is_the_binomial_one(scored: dict[str, Any]) -> None:
    low, high = scored["accuracy_interval"]
    accuracy = scored["accuracy"]
    wanted = 2 * 1.96 * math.sqrt(accuracy * (1 - accuracy) / CLIPS)
    assert high - low == pytest.approx(wanted, rel=0.1)


def test_speakers_who_are_all_right_or_all_wrong_widen_the_interval() -> None:
    classes = np.zeros(CLIPS, np.int64)
    speakers = np.repeat(np.arange(20), 20)
    probabilities = sure([0 if speaker % 2 else 1 for speaker in speakers])
    widths = []
    for clusters in (range(CLIPS), speakers):
        low, high = score(classes, probabilities, [str(c) for c in clusters], ["TESS"] * CLIPS)[
            "accuracy_interval"
        ]
        widths.append(high - low)
    assert widths[1] > 3 * widths[0]


def test_intervals_are_the_same_every_time() -> None:
    classes, probabilities = made_up(clips=50)
    arguments = (classes, probabilities, [str(i) for i in range(50)], ["TESS"] * 50)
    assert score(*arguments) == score(*arguments)


def test_classes_that_never_occur_have_no_say_in_the_means() -> None:
    result = score(np.array([0, 0, 1]), sure([0, 1, 1]), ["a", "b", "c"], ["TESS"] * 3)
    assert result["unweighted_accuracy"] == pytest.approx((1 / 2 + 1) / 2)
    assert result["macro_f1"] == pytest.approx(2 / 3)


def test_calibration_error_by_hand() -> None:
    # Two clips at 0.9, one right: a gap of 0.4. Two at 0.5, both right: a gap of 0.5.
    probabilities = np.concatenate([sure([0, 0], 0.9), sure([1, 1], 0.5)])
    error = expected_calibration_error(np.array([0, 3, 1, 1]), probabilities)
    assert error == pytest.approx(0.5 * 0.4 + 0.5 * 0.5, abs=1e-6)


@pytest.mark.parametrize("confidence", [1.0, 0.3])
def test_confidence_that_is_always_kept_has_no_calibration_error(confidence: float) -> None:
    right = round(10 * confidence)
    classes = np.array([2] * right + [5] * (10 - right))
    error = expected_calibration_error(classes, sure([2] * 10, confidence))
    assert error == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_a_known_temperature_is_found(temperature: float) -> None:
    rng = np.random.default_rng(0)
    logits = 2 * rng.standard_normal((20_000, 7))
    powers = np.exp(logits)
    honest = powers / powers.sum(axis=1, keepdims=True)
    classes = (honest.cumsum(axis=1) > rng.random((20_000, 1))).argmax(axis=1)
    sharpened = np.exp(logits * temperature)
    stated = (sharpened / sharpened.sum(axis=1, keepdims=True)).astype(np.float32)
    assert fit_temperature(classes, stated) == pytest.approx(temperature, rel=0.05)


@pytest.mark.parametrize("seed", range(5))
def test_nine_tenths_are_right_from_the_threshold_on(seed: int) -> None:
    classes, probabilities = made_up(seed)
    confident = probabilities.max(axis=1) >= np.float64(
        confidence_threshold(classes, probabilities)
    )
    assert confident.any()
    assert (probabilities.argmax(axis=1) == classes)[confident].mean() >= 0.9


def test_nine_tenths_are_right_at_a_threshold_that_many_clips_share() -> None:
    # Ordered by confidence the first nine of eleven are right, but all have the same confidence.
    classes = np.array([1] * 9 + [2] * 11)
    probabilities = sure([1] * 20, 0.8)
    threshold = confidence_threshold(classes, probabilities)
    confident = probabilities.max(axis=1) >= threshold
    assert not confident.any() or (classes[confident] == 1).mean() >= 0.9


def test_the_threshold_is_the_least_confidence_that_does() -> None:
    probabilities = np.concatenate([sure([0], c / 100) for c in (90, 80, 70, 60, 50)])
    assert confidence_threshold(np.array([0, 0, 0, 0, 1]), probabilities) == pytest.approx(0.6)


def test_without_a_confidence_that_does_no_confidence_reaches_the_threshold() -> None:
    assert confidence_threshold(np.array([1, 1]), sure([0, 0], 1.0)) > 1.0


def test_difference_from_the_report_by_hand() -> None:
    result = difference_from_report(0.6, None, 100, 0.5, 400)
    margin = 1.959964 * math.sqrt(0.6 * 0.4 / 100 + 0.5 * 0.5 / 400)
    assert result["difference"] == pytest.approx(0.1)
    assert result["interval"] == pytest.approx([0.1 - margin, 0.1 + margin])
    assert result["within_chance"] is True


def test_difference_from_the_report_takes_a_measured_interval() -> None:
    result = difference_from_report(0.6, [0.5, 0.7], 100, 0.5, 400)
    margin = math.hypot(0.1, 1.959964 * math.sqrt(0.5 * 0.5 / 400))
    assert result["interval"] == pytest.approx([0.1 - margin, 0.1 + margin])


def test_a_difference_beyond_chance_is_called_so() -> None:
    assert difference_from_report(0.6, None, 10_000, 0.5, 10_000)["within_chance"] is False
