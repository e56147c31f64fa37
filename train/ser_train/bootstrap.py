"""95 % intervals by the bootstrap: clusters of clips, drawn with replacement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

FEWEST_CLUSTERS = 5
_DRAWS = 2000
_PERCENTILES = (2.5, 97.5)


def resampled_sums(
    values: NDArray[Any], clusters: Sequence[str] | NDArray[np.str_], seed: int = 0
) -> NDArray[np.float64] | None:
    """Sums over the clips of resampled clusters, the same draws every time.

    Any ratio of sums has its interval from these: an accuracy is the sum of the right clips by
    the sum of ones.

    Args:
        values: [clips, columns], what is summed.
        clusters: What is drawn, of each clip: its speaker where speakers are held out, else itself.
        seed: Of the draws.

    Returns:
        float64 [draws, columns]; None if there are fewer than `FEWEST_CLUSTERS`: the percentiles of
        two are but the worse and the better one.
    """
    _, cluster = np.unique(np.asarray(clusters), return_inverse=True)
    count = int(cluster.max()) + 1
    if count < FEWEST_CLUSTERS:
        return None
    sums = np.zeros((count, values.shape[1]))
    np.add.at(sums, cluster, values)
    rng = np.random.default_rng(seed)
    return rng.multinomial(count, np.full(count, 1 / count), _DRAWS) @ sums


def interval(draws: NDArray[np.float64] | None) -> list[float] | None:
    """The 95 % interval of a figure's draws: float64 [draws], NaN where a draw has no such figure.

    None where there are no draws.
    """
    if draws is None or np.isnan(draws).all():
        return None
    return [float(value) for value in np.nanpercentile(draws, _PERCENTILES)]
