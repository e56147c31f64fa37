"""Measuring the time of an inference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ser_export.latency import measure_latency
from ser_runtime.model import Model


@pytest.mark.parametrize("windows", [1, 3])
def test_the_median_is_positive_and_below_the_95th_percentile(
    made_up_model: Path, windows: int
) -> None:
    model = Model.open(made_up_model)
    median, high = measure_latency(model, np.zeros((windows, *model.spec.shape), np.float32))
    assert 0 < median <= high
