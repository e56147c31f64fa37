"""Measuring the times of inferences, one model beside another."""

from __future__ import annotations

import subprocess
import sys
import time
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest

from ser_export import latency
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
    for times in measured.values():
        assert 0 < times.p50_ms <= times.p95_ms


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
    # One to warm up and one that is timed, or more on a busy machine.
    in_turn = {name: [value for value, _ in groupby(values)] for name, values in seen.items()}
    assert in_turn["a"][-6:] == [1, 2, 3, 1, 2, 3]
    assert in_turn["b"][-6:] == [10, 20, 10, 20, 10, 20]
    assert all(len(values) >= 2 * 6 for values in seen.values())


@pytest.mark.parametrize(
    ("interruptions", "calls", "expected"),
    [
        pytest.param([0, 0], 1, 5.0, id="left alone"),
        pytest.param([0, 1, 1, 3, 3, 3], 3, 3.0, id="left alone the third time"),
        pytest.param([0, 1] * 10, 10, 3.0, id="never: the least counts"),
    ],
)
def test_an_interrupted_call_is_timed_again(
    interruptions: list[int], calls: int, expected: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = [5.0, 4.0, *[3.0, 6.0] * 4]
    clock = iter(np.cumsum([value for seconds in taken for value in (100.0, seconds)]))
    monkeypatch.setattr(latency, "_interruptions", iter(interruptions).__next__)
    monkeypatch.setattr(latency.time, "perf_counter", clock.__next__)
    made = []
    assert latency.undisturbed_seconds(lambda: made.append(1)) == expected
    assert len(made) == calls


def test_a_process_that_waits_for_others_counts_that() -> None:
    pytest.importorskip("resource")
    before = latency._interruptions()
    deadline = time.monotonic() + 60
    spinners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(8)]
    try:
        while latency._interruptions() == before and time.monotonic() < deadline:
            pass
    finally:
        for spinner in spinners:
            spinner.kill()
            spinner.wait()
    assert latency._interruptions() > before
