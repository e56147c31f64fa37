"""Time of one inference, as the runtime runs it: one window at a time.

Models are timed in turn, window by window, so that a busy machine slows all of them alike: the
ratios hold where the milliseconds do not. An inference that the system breaks off, to let another
process run, is timed again: the wait is many times what a small network takes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ser_runtime.model import Model

try:
    import resource
except ImportError:  # Windows, where all inferences count
    resource = None  # type: ignore[assignment]

_WARM_UP, _REPEATS = 5, 200
_ATTEMPTS = 10


@dataclass(frozen=True)
class Latency:
    """Of one model among several.

    Attributes:
        p50_ms: Median of the milliseconds that a window takes.
        p95_ms: 95th percentile.
        relative: Median of the ratio to the first model's time of the same turn.
        relative_p95: 95th percentile by the first model's.
    """

    p50_ms: float
    p95_ms: float
    relative: float
    relative_p95: float


def measure_latencies(
    models: Mapping[str, Model],
    windows: Mapping[str, NDArray[np.float32]],
    repeats: int = _REPEATS,
) -> dict[str, Latency]:
    """Times of models, measured in turn.

    Args:
        models: Opened; the first is what the others are relative to.
        windows: What each takes: float32 [windows, ...]; used in turn.
        repeats: How often each is timed.
    """
    names = list(models)
    times = np.zeros((len(names), repeats))
    for turn in range(-_WARM_UP, repeats):
        # Another one begins each turn: none is always behind the same neighbour.
        for i in range(len(names)):
            row = (i + turn) % len(names)
            model, inputs = models[names[row]], windows[names[row]]
            window = inputs[turn % len(inputs)][None]
            model.predict(window)  # brings its weights back into the caches
            seconds = undisturbed_seconds(lambda: model.predict(window))  # noqa: B023
            if turn >= 0:
                times[row, turn] = 1000 * seconds
    high = np.percentile(times, 95, axis=1)
    return {
        name: Latency(
            p50_ms=float(np.median(times[row])),
            p95_ms=float(high[row]),
            relative=float(np.median(times[row] / times[0])),
            relative_p95=float(high[row] / high[0]),
        )
        for row, name in enumerate(names)
    }


def undisturbed_seconds(call: Callable[[], object]) -> float:
    """How long a call takes that other processes leave alone; the least of some, if none is."""
    least = float("inf")
    for _ in range(_ATTEMPTS):
        before, started = _interruptions(), time.perf_counter()
        call()
        seconds = time.perf_counter() - started
        if _interruptions() == before:
            return seconds
        least = min(least, seconds)
    return least


def _interruptions() -> int:
    """How often the system made this process wait for another one so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw if resource else 0
