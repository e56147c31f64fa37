"""Accuracy and its kin, each with its 95 % interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn.metrics import confusion_matrix

from ser_runtime.labels import EMOTIONS
from ser_runtime.temperature import apply_temperature
from ser_train.bootstrap import resampled_sums

_ECE_BINS = 15
_INTERVAL_PERCENTILES = (2.5, 97.5)
_NORMAL_95 = 1.959964
_TARGET_PRECISION = 0.9
NEVER = 2.0
"""A confidence threshold above every confidence."""


def score(
    classes: NDArray[np.int64],
    probabilities: NDArray[np.float32],
    clusters: Sequence[str],
    corpora: Sequence[str],
) -> dict[str, Any]:
    """Every figure of a set of scored clips.

    Args:
        classes: int64 [clips], the right indices into `EMOTIONS`.
        probabilities: float32 [clips, classes].
        clusters: What the bootstrap draws: the speakers where they are held out, else the clips.
        corpora: Corpus of each clip.

    Returns:
        `clips`, `accuracy`, `unweighted_accuracy` (mean recall of the classes that occur),
        `macro_f1`, `ece`, `confusion` (rows are right, columns recognized), `per_class`
        (precision, recall, f1, support) and `per_corpus` (accuracy, clips, clusters); `*_interval`
        is the 95 % interval of each, by bootstrap over clusters: None where there is but one.
    """
    predicted = probabilities.argmax(axis=1)
    confusion = confusion_matrix(classes, predicted, labels=range(len(EMOTIONS)))
    figures = confusion_figures(confusion[None])
    spread = _bootstrap(classes, predicted, clusters)
    result: dict[str, Any] = {"clips": len(classes), "clusters": len(set(clusters))}
    for name in ("accuracy", "unweighted_accuracy", "macro_f1"):
        result[name] = float(figures[name][0])
        result[f"{name}_interval"] = _interval(spread, name)
    result["ece"] = expected_calibration_error(classes, probabilities)
    result["per_class"] = {
        emotion: {
            **{key: float(figures[key][0, i]) for key in ("precision", "recall", "f1")},
            "f1_interval": _interval(spread, "f1", i),
            "support": int(confusion[i].sum()),
        }
        for i, emotion in enumerate(EMOTIONS)
    }
    result["per_corpus"] = {}
    for corpus in sorted(set(corpora)):
        here = np.array([name == corpus for name in corpora])
        inside = [cluster for cluster, used in zip(clusters, here, strict=True) if used]
        spread = _bootstrap(classes[here], predicted[here], inside)
        result["per_corpus"][corpus] = {
            "accuracy": float((classes[here] == predicted[here]).mean()),
            "accuracy_interval": _interval(spread, "accuracy"),
            "clips": int(here.sum()),
            "clusters": len(set(inside)),
        }
    result["confusion"] = confusion.tolist()
    return result


def difference_from_report(
    accuracy: float,
    interval: Sequence[float] | None,
    clips: int,
    report_accuracy: float,
    report_clips: int,
) -> dict[str, Any]:
    """How far an accuracy is from the report's, and whether chance explains it.

    Args:
        accuracy: Measured.
        interval: Its 95 % interval; None takes the binomial one.
        clips: That it was measured on.
        report_accuracy: As printed.
        report_clips: That it was measured on.

    Returns:
        `difference`, its 95 % `interval` (both figures independent, the report's binomial), and
        `within_chance`: whether the interval holds zero.
    """
    difference = accuracy - report_accuracy
    margin = _binomial_margin(accuracy, clips)
    if interval is not None:
        margin = (interval[1] - interval[0]) / 2
    margin = math.hypot(margin, _binomial_margin(report_accuracy, report_clips))
    return {
        "difference": difference,
        "interval": [difference - margin, difference + margin],
        "within_chance": abs(difference) <= margin,
    }


def _binomial_margin(share: float, count: int) -> float:
    return _NORMAL_95 * math.sqrt(share * (1 - share) / count)


def expected_calibration_error(
    classes: NDArray[np.int64], probabilities: NDArray[np.float32]
) -> float:
    """Mean gap between confidence and accuracy over 15 equal-width bins (Guo et al., 2017)."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == classes
    bins = np.minimum((confidence * _ECE_BINS).astype(int), _ECE_BINS - 1)
    gaps = np.bincount(bins, right - confidence.astype(np.float64), _ECE_BINS)
    return float(np.abs(gaps).sum() / len(classes))


def fit_temperature(classes: NDArray[np.int64], probabilities: NDArray[np.float32]) -> float:
    """The temperature that makes validation clips likeliest (Guo et al., 2017)."""

    def loss(log_temperature: float) -> float:
        scaled = apply_temperature(probabilities, math.exp(log_temperature))
        chosen = scaled[np.arange(len(classes)), classes]
        return float(-np.log(np.maximum(chosen, 1e-12)).mean())

    result = minimize_scalar(loss, bounds=(math.log(0.25), math.log(8.0)), method="bounded")
    return float(math.exp(result.x))


def confidence_threshold(classes: NDArray[np.int64], probabilities: NDArray[np.float32]) -> float:
    """The least confidence from which on 90 % of the validation clips are right.

    `NEVER`, which no confidence reaches, if there is none.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    order = np.argsort(-confidence, kind="stable")
    right = (probabilities.argmax(axis=1) == classes)[order]
    precision = np.cumsum(right) / np.arange(1, len(right) + 1)
    # Clips of equal confidence pass together.
    last_of_equals = np.append(np.diff(confidence[order]) < 0, True)
    enough = np.flatnonzero((precision >= _TARGET_PRECISION) & last_of_equals)
    return float(confidence[order][enough[-1]]) if len(enough) else NEVER


def _bootstrap(
    classes: NDArray[np.int64], predicted: NDArray[np.int64], clusters: Sequence[str]
) -> dict[str, NDArray[np.float64]] | None:
    """Figures of resampled clusters, as `confusion_figures`; None if there is but one."""
    n = len(EMOTIONS)
    sums = resampled_sums(np.eye(n * n)[classes * n + predicted], clusters)
    return None if sums is None else confusion_figures(sums.reshape(-1, n, n))


def confusion_figures(confusions: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
    """Accuracy and its kin of confusion matrices; means are over the classes that occur.

    Args:
        confusions: [draws, classes, classes], rows right, columns recognized.

    Returns:
        [draws] each: `accuracy`, `unweighted_accuracy`, `macro_f1`; [draws, classes] each:
        `precision`, `recall`, `f1`.

    A class that never occurs, and is never recognized, has no say in `macro_f1`; nor has one
    without clips in `unweighted_accuracy`.
    """
    hits = np.diagonal(confusions, axis1=1, axis2=2).astype(np.float64)
    support, recognized = confusions.sum(axis=2), confusions.sum(axis=1)
    recall = _ratio(hits, support)
    f1 = _ratio(2 * hits, support + recognized)
    return {
        "accuracy": hits.sum(axis=1) / support.sum(axis=1),
        "unweighted_accuracy": _ratio(recall.sum(axis=1), (support > 0).sum(axis=1)),
        "macro_f1": _ratio(f1.sum(axis=1), (support + recognized > 0).sum(axis=1)),
        "precision": _ratio(hits, recognized),
        "recall": recall,
        "f1": f1,
    }


def _ratio(numerator: NDArray[Any], denominator: NDArray[Any]) -> NDArray[np.float64]:
    return numerator / np.maximum(denominator, 1)


def _interval(
    spread: dict[str, NDArray[np.float64]] | None, name: str, column: int | None = None
) -> list[float] | None:
    if spread is None:
        return None
    values = spread[name] if column is None else spread[name][:, column]
    return [float(value) for value in np.percentile(values, _INTERVAL_PERCENTILES)]
