"""Measuring the times of inferences, one model beside another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ser_export.latency import measure_latencies
from ser_runtime.model import Model


@pytest.mark.parametrize("windows", [1, 3])
def test_the_first_model_is_the_measure_of_the_others(made_up_model: Path, windows: int) -> None:
    model = Model.open(made_up_model)
    inputs = np.zeros((windows, *model.spec.shape), np.float32)
    names = ("a", "b")
    measured = measure_latencies(
        dict.fromkeys(names, model), dict.fromkeys(names, inputs), repeats=9
    )
    assert list(measured) == ["a", "b"]
    assert measured["a"].relative == measured["a"].relative_p95 == 1.0
    for latency in measured.values():
        assert 0 < latency.p50_ms <= latency.p95_ms


def test_every_model_gets_its_own_windows_in_turn(made_up_model: Path) -> None:
    model = Model.open(made_up_model)
    seen: dict[str, list[float]] = {"a": [], "b": []}

    class Watched:
        def __init__(self, name: str) -> None:
            self.name = name

        def predict(self, window: np.ndarray) -> None:
            seen[self.name].append(float(window.max()))
            model.predict(np.broadcast_to(window, (1, *model.spec.shape)).astype(np.float32))

    windows = {"a": np.float32([[[1]], [[2]], [[3]]]), "b": np.float32([[[10]], [[20]]])}
    measure_latencies({name: Watched(name) for name in seen}, windows, repeats=6)
    assert seen["a"][-12:] == [1, 1, 2, 2, 3, 3, 1, 1, 2, 2, 3, 3]
    assert seen["b"][-12:] == [10, 10, 20, 20, 10, 10, 20, 20, 10, 10, 20, 20]
