"""Intervals by the bootstrap: those of `metrics`, from sums."""

from __future__ import annotations

import numpy as np
import pytest

from ser_runtime.labels import EMOTIONS
from ser_train.bootstrap import FEWEST_CLUSTERS
from ser_train.bootstrap import interval
from ser_train.bootstrap import resampled_sums
from ser_train.metrics import score

CLIPS = 300


@pytest.mark.parametrize("per_cluster", [1, 20])
def test_the_interval_of_an_accuracy_is_that_of_the_metrics(per_cluster: int) -> None:
    rng = np.random.default_rng(0)
    classes = rng.integers(len(EMOTIONS), size=CLIPS)
    probabilities = rng.random((CLIPS, len(EMOTIONS))).astype(np.float32)
    clusters = [f"{number // per_cluster:03d}" for number in range(CLIPS)]
    right = probabilities.argmax(axis=1) == classes
    draws = resampled_sums(np.stack([right, np.ones(CLIPS)], axis=1), clusters)
    wanted = score(classes, probabilities, clusters, ["TESS"] * CLIPS)["accuracy_interval"]
    assert interval(draws[:, 0] / draws[:, 1]) == pytest.approx(wanted, abs=1e-12)


def test_clips_of_a_cluster_are_drawn_together() -> None:
    values = np.array([[1.0], [10.0]] * FEWEST_CLUSTERS)
    draws = resampled_sums(values, np.repeat(np.arange(FEWEST_CLUSTERS), 2).astype(str))
    assert set(draws[:, 0]) == {11.0 * FEWEST_CLUSTERS}


@pytest.mark.parametrize("clusters", [1, 2, FEWEST_CLUSTERS - 1])
def test_too_few_clusters_have_no_interval(clusters: int) -> None:
    draws = resampled_sums(np.ones((8, 1)), [str(number % clusters) for number in range(8)])
    assert draws is None
    assert interval(draws) is None


def test_draws_without_the_figure_are_left_out() -> None:
    assert interval(np.array([np.nan, 2.0, 2.0])) == [2.0, 2.0]
    assert interval(np.array([np.nan, np.nan])) is None
