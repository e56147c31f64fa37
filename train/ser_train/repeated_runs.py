"""Means over the runs of one recipe that differ in seed or fold alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ser_train.bootstrap import interval
from ser_train.bootstrap import resampled_sums
from ser_train.markdown_table import markdown_table
from ser_train.markdown_table import with_interval
from ser_train.pooled_predictions import PooledPredictions
from ser_train.pooled_predictions import pool_predictions
from ser_train.pooled_predictions import recipe_key
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
        groups[recipe_key(run.config())].append(run)
    rows = [_row(group) for group in groups.values() if len(group) > 1]
    return f"{markdown_table(_HEADER, rows)}\n{_NOTE}\n" if rows else ""


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
    """Means of the runs' accuracies over resampled clusters: float64 [draws].

    Where no cluster is in two runs, as with folds, each run's are drawn by themselves: no draw is
    without a run then. Runs that share clips share the draws.
    """
    clusters = np.asarray(pooled.clusters)
    of_run = pooled.run_of[:, None] == np.arange(len(pooled.runs))
    counted = np.concatenate([pooled.right[:, None] & of_run, of_run], axis=1)
    if sum(len(np.unique(clusters[own])) for own in of_run.T) > len(np.unique(clusters)):
        sums = resampled_sums(counted, clusters)
    else:
        each = [resampled_sums(counted[own], clusters[own], n) for n, own in enumerate(of_run.T)]
        found = [sums for sums in each if sums is not None]
        sums = np.sum(found, axis=0) if len(found) == len(each) else None
    if sums is None:
        return None
    right, clips = np.split(sums, 2, axis=1)
    return (right / clips).mean(axis=1)


def _which(metrics: Sequence[dict[str, Any]]) -> str:
    """`seeds 0, 1`, `folds 1, 2`, or both."""
    words = []
    for plural, name in (("folds", "fold"), ("seeds", "seed")):
        found = list(dict.fromkeys(str(figures[name]) for figures in metrics))
        if len(found) > 1:
            words.append(f"{plural} {', '.join(found)}")
    return "; ".join(words)
