"""Means over the runs of one recipe that differ in seed or fold alone."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ser_train.bootstrap import interval
from ser_train.bootstrap import resampled_sums
from ser_train.experiments import recipe_of
from ser_train.markdown_table import markdown_table
from ser_train.markdown_table import with_interval
from ser_train.pooled_predictions import PooledPredictions
from ser_train.pooled_predictions import pool_predictions
from ser_train.run_folder import RunFolder

_HEADER = (
    "runs of one recipe",
    "which",
    "accuracy, mean (95 %)",
    "worst and best",
    "macro-F1, mean",
)
_NOTE = (
    "Intervals are of the mean of these runs: their test clips (their speakers, where those are "
    "held out) drawn with replacement. Another training would differ besides."
)


def means_table(runs: Sequence[RunFolder]) -> str:
    """A row for each recipe that was trained more than once on a protocol, as Markdown.

    Args:
        runs: Complete ones, of any experiments.

    Returns:
        The table and a note; nothing if no recipe was.

    Raises:
        RunFolderError: If a run is damaged.
    """
    groups: dict[str, list[RunFolder]] = defaultdict(list)
    for run in runs:
        config = run.config()
        recipe = [recipe_of(config["experiment"]), config["protocol"], _taught(config)]
        groups[json.dumps(recipe)].append(run)
    rows = [_row(group) for group in groups.values() if len(group) > 1]
    return f"{markdown_table(_HEADER, rows)}\n{_NOTE}\n" if rows else ""


def _taught(config: dict[str, Any]) -> list[Any] | None:
    """What runs of one recipe share of their teaching; the teachers of each fold are its own."""
    teaching = config.get("teaching")
    if not teaching:
        return None
    teachers = [teacher["experiment"] for teacher in teaching["teachers"]]
    return [teachers, teaching["share"], teaching["views"]]


def _row(runs: Sequence[RunFolder]) -> list[str]:
    pooled = pool_predictions(runs)
    metrics = [run.metrics() for run in runs]
    taught = ", taught," if runs[0].config().get("teaching") else ""
    accuracies = [figures["accuracy"] for figures in metrics]
    return [
        f"{pooled.experiment}{taught} on {pooled.protocol}",
        _which(metrics),
        with_interval(float(np.mean(accuracies)), interval(_draws(pooled))),
        f"{min(accuracies):.3f}–{max(accuracies):.3f}",
        f"{np.mean([figures['macro_f1'] for figures in metrics]):.3f}",
    ]


def _draws(pooled: PooledPredictions) -> NDArray[np.float64] | None:
    """Means of the runs' accuracies over resampled clusters: float64 [draws]."""
    of_run = pooled.run_of[:, None] == np.arange(len(pooled.runs))
    right = resampled_sums(pooled.right[:, None] & of_run, pooled.clusters)
    clips = resampled_sums(of_run, pooled.clusters)
    return None if right is None or clips is None else (right / clips).mean(axis=1)


def _which(metrics: Sequence[dict[str, Any]]) -> str:
    """`seeds 0, 1`, `folds 1, 2`, or both."""
    words = []
    for plural, name in (("folds", "fold"), ("seeds", "seed")):
        found = list(dict.fromkeys(str(figures[name]) for figures in metrics))
        if len(found) > 1:
            words.append(f"{plural} {', '.join(found)}")
    return "; ".join(words)
