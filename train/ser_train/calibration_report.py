"""How honest confidence is: calibration error, risk against coverage, and the threshold's worth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ser_runtime.atomic_file import write_text
from ser_runtime.stream import DEFAULT_MIN_CONFIDENCE
from ser_train.bootstrap import interval
from ser_train.bootstrap import resampled_sums
from ser_train.calibration_plots import plot_reliability_before_and_after
from ser_train.calibration_plots import plot_risk_coverage
from ser_train.markdown_table import markdown_table
from ser_train.markdown_table import with_interval
from ser_train.metrics import NEVER
from ser_train.metrics import expected_calibration_error
from ser_train.pooled_predictions import PooledPredictions
from ser_train.run_report import CALIBRATION_BINS
from ser_train.run_report import ScoredClips
from ser_train.run_report import reliability

_CHANCE_DRAWS = 200
_COVERAGES = tuple(share / 10 for share in range(1, 11))


def measure_calibration(pool: PooledPredictions) -> dict[str, Any]:
    """Everything that the tables and plots show, as plain values.

    Args:
        pool: Test clips of one or more runs.

    Returns:
        `ece` (`before` and `after` the temperature, each with `interval` and `bins`: mean
        confidence, accuracy, clips), `ece_by_chance`, `risk_coverage` (pairs), `thresholds` (what
        two thresholds give on the test clips), and what they are of.
    """
    return {
        "experiment": pool.experiment,
        "protocol": pool.protocol,
        "runs": [
            {"name": name, "temperature": temperature, "threshold": threshold}
            for name, temperature, threshold in zip(
                pool.runs, pool.temperatures, pool.thresholds, strict=True
            )
        ],
        "clips": len(pool.ids),
        "clusters": len(set(pool.clusters)),
        "clusters_are": "clips" if pool.clusters == pool.ids else "speakers",
        "accuracy": float(pool.right.mean()),
        "ece": {
            name: {
                "value": expected_calibration_error(pool.classes, probabilities),
                "interval": _calibration_interval(pool, probabilities),
                "bins": reliability(ScoredClips(pool.ids, pool.classes, probabilities)),
            }
            for name, probabilities in (("before", pool.raw), ("after", pool.calibrated))
        },
        "ece_by_chance": calibration_error_by_chance(pool.calibrated),
        "risk_coverage": risk_coverage(pool.confidence, pool.right),
        "thresholds": {
            "90 % precision on validation clips": _at(pool, pool.thresholds),
            "the same for every model": _at(pool, [DEFAULT_MIN_CONFIDENCE] * len(pool.thresholds)),
        },
    }


def calibration_error_by_chance(probabilities: NDArray[np.float32]) -> float:
    """Mean calibration error of so many clips if every confidence were kept: it is not 0.

    Args:
        probabilities: float32 [clips, classes].
    """
    rng = np.random.default_rng(0)
    confidence, answers = probabilities.max(axis=1), probabilities.argmax(axis=1)
    errors = []
    for _ in range(_CHANCE_DRAWS):
        right = rng.random(len(confidence)) < confidence
        errors.append(expected_calibration_error(np.where(right, answers, -1), probabilities))
    return float(np.mean(errors))


def risk_coverage(
    confidence: NDArray[np.float64], right: NDArray[np.bool_]
) -> list[tuple[float, float]]:
    """Share of wrong answers among the most confident, for every share that a threshold can keep.

    Clips of equal confidence come in together, as at a threshold (El-Yaniv and Wiener, 2010).

    Args:
        confidence: float64 [clips].
        right: bool [clips].

    Returns:
        Coverage, rising to 1, and risk.
    """
    order = np.argsort(-confidence, kind="stable")
    kept = np.arange(1, len(order) + 1)
    risk = np.cumsum(~right[order]) / kept
    last_of_equals = np.append(np.diff(confidence[order]) < 0, True)
    return [
        (float(count / len(order)), float(value))
        for count, value in zip(kept[last_of_equals], risk[last_of_equals], strict=True)
    ]


def write_calibration(figures: dict[str, Any], folder: Path) -> list[Path]:
    """Write `table.md`, `calibration.json`, `reliability.png` and `risk_coverage.png`.

    Args:
        figures: Of `measure_calibration`.
        folder: Is made if it is not there.

    Returns:
        The four files.

    Raises:
        StorageError: If they cannot be written.
    """
    names = ("table.md", "calibration.json", "reliability.png", "risk_coverage.png")
    paths = [folder / name for name in names]
    write_text(paths[0], calibration_table(figures))
    write_text(paths[1], json.dumps(figures, indent=1) + "\n")
    title = f"{figures['experiment']}, {figures['protocol']}, {figures['clips']} test clips"
    bins = {name: figures["ece"][name]["bins"] for name in ("before", "after")}
    plot_reliability_before_and_after(bins, title, paths[2])
    precise = figures["thresholds"]["90 % precision on validation clips"]
    point = None if precise["precision"] is None else (precise["coverage"], precise["precision"])
    plot_risk_coverage(figures["risk_coverage"], point, title, paths[3])
    return paths


def calibration_table(figures: dict[str, Any]) -> str:
    """Calibration error, thresholds, and risk against coverage, as Markdown."""
    errors = (
        [f"{name} the temperature", with_interval(error["value"], error["interval"])]
        for name, error in figures["ece"].items()
    )
    thresholds = (
        [
            name,
            _range(row["thresholds"]),
            with_interval(row["precision"], row["precision_interval"]),
            with_interval(row["coverage"], row["coverage_interval"]),
        ]
        for name, row in figures["thresholds"].items()
    )
    temperatures = [row["temperature"] for row in figures["runs"]]
    return (
        f"# How honest the confidence of `{figures['experiment']}` is\n\n"
        f"{figures['clips']} test clips on `{figures['protocol']}`, of "
        f"{', '.join(row['name'] for row in figures['runs'])}. Accuracy "
        f"{figures['accuracy']:.3f}; 95 % intervals over {figures['clusters']} "
        f"{figures['clusters_are']}. Temperatures ({_range(temperatures)}) and thresholds were "
        "chosen on validation clips, those of each run on its own.\n\n"
        f"{markdown_table((f'ECE, {CALIBRATION_BINS} bins', 'value (95 %)'), errors)}\n"
        "If every confidence were kept, chance alone would give an ECE of "
        f"{figures['ece_by_chance']:.3f} on so many clips; drawing clips anew adds to it, so that "
        "the intervals lie rather too high.\n\n"
        + markdown_table(
            ("from this confidence on", "confidence", "right (95 %)", "share of clips (95 %)"),
            thresholds,
        )
        + "\n"
        + markdown_table(
            ("most confident clips", "wrong"),
            (
                [f"{coverage:.0%}".replace("%", " %"), f"{_risk_at(figures, coverage):.3f}"]
                for coverage in _COVERAGES
            ),
        )
    )


def _risk_at(figures: dict[str, Any], coverage: float) -> float:
    """Of the least share of clips that a threshold can keep and that is no smaller."""
    return next(risk for kept, risk in figures["risk_coverage"] if kept >= coverage - 1e-9)


def _range(values: list[float]) -> str:
    shown = ["none" if value == NEVER else f"{value:.2f}" for value in sorted(values)]
    return shown[0] if shown[0] == shown[-1] else f"{shown[0]} to {shown[-1]}"


def _at(pool: PooledPredictions, thresholds: list[float] | tuple[float, ...]) -> dict[str, Any]:
    """Precision and coverage on the test clips, each run's from its own threshold on."""
    kept = pool.confidence >= np.asarray(thresholds)[pool.run_of]
    columns = np.stack([kept & pool.right, kept, np.ones(len(kept), bool)], axis=1)
    hits, count, clips = columns.sum(axis=0)
    draws = resampled_sums(columns, pool.clusters)
    precision_draws = coverage_draws = None
    if draws is not None:
        some = np.where(draws[:, 1] > 0, draws[:, 1], np.nan)
        precision_draws, coverage_draws = draws[:, 0] / some, draws[:, 1] / draws[:, 2]
    return {
        "thresholds": list(thresholds),
        "precision": float(hits / count) if count else None,
        "precision_interval": interval(precision_draws),
        "coverage": float(count / clips),
        "coverage_interval": interval(coverage_draws),
    }


def _calibration_interval(
    pool: PooledPredictions, probabilities: NDArray[np.float32]
) -> list[float] | None:
    """Of the expected calibration error: the gap of each bin is a sum over clips."""
    confidence = probabilities.max(axis=1)
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    columns = np.zeros((len(confidence), CALIBRATION_BINS + 1))
    columns[np.arange(len(bins)), bins] = pool.right - confidence.astype(np.float64)
    columns[:, -1] = 1
    draws = resampled_sums(columns, pool.clusters)
    if draws is None:
        return None
    return interval(np.abs(draws[:, :-1]).sum(axis=1) / draws[:, -1])
