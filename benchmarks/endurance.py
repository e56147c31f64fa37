"""A day of audio in minutes: does memory grow, do windows drift, do steps get dearer?

    python benchmarks/endurance.py [--hours 24] [--rate 44100] [--model NAME|FILE]

Prints a Markdown table. Speech, silence, steady noise, and speech in noise follow each other at
random, each in chunks of another size. Two streams of one model hear all of it: one without a
gate, one with it. "Drift" is the largest distance of a window's end from the sample where the
window rule puts it; "behind", how long a window was complete before it was predicted, at most. CPU
time is the median of the pushes that complete one window and score it. Memory: Linux only.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np
from live_step_ways import SPEECH
from live_step_ways import STEP
from live_step_ways import read_mono
from numpy.typing import NDArray

from ser_runtime.model import Model
from ser_runtime.stream import Stream

CHUNKS = (16, 160, 441, 1_024, 1_600, 4_410, 8_192, 48_000, 200_000)
SCENE_SECONDS = 2.0, 20.0
SMALL, SMALL_SHARE = 100, 0.1
WARM_UP_SECONDS = 180
NOISE_RMS = 0.02
FIRST_END = 15_232  # the first of the ends 48,000 + j * 8,192 that follows 0.95 s


def chunks_of(speech: NDArray[np.float32], rate: int, total: int) -> Iterator[NDArray[np.float32]]:
    """`total` samples of scenes, in chunks: float32 [any number]."""
    rng = np.random.default_rng(0)
    noise = rng.normal(0, NOISE_RMS, len(speech)).astype(np.float32)
    kinds = [speech, np.zeros_like(speech), noise, speech + noise]
    while total:
        chunk = int(rng.choice(CHUNKS))
        length = int(rng.uniform(*SCENE_SECONDS) * rate)
        if chunk < SMALL:  # or their pushes would take most of the time
            length = int(length * SMALL_SHARE)
        length = min(length, total)
        scene = np.resize(kinds[rng.integers(len(kinds))], length)
        for start in range(0, length, chunk):
            yield scene[start : start + chunk]
        total -= length


class Watched:
    """A stream, and what it is watched for."""

    def __init__(self, model: Model, vad: str) -> None:
        self.stream = Stream(model, vad=vad)
        self.model_rate = model.spec.sample_rate
        self.windows = 0
        self.voiced = 0
        self.drift = self.behind = 0.0
        self.costs: list[float] = []

    def push(self, samples: NDArray[np.float32], rate: int, pushed: int) -> None:
        """Push samples, the last of `pushed`."""
        started = time.process_time_ns()
        predictions = self.stream.push(samples, rate)
        cost = time.process_time_ns() - started
        for prediction in predictions:
            due = (FIRST_END + self.windows * STEP) / self.model_rate
            self.drift = max(self.drift, abs(prediction.end - due) * self.model_rate)
            # A window is complete with the first chunk that holds its end, not before.
            self.behind = max(self.behind, (pushed - len(samples)) / rate - prediction.end)
            self.windows += 1
            self.voiced += prediction.voice
        if len(predictions) == 1 and predictions[0].voice:
            self.costs.append(cost / 1e3)

    def cells(self) -> str:
        """Of the table: the worst so far, and the cost since the row before."""
        cost, self.costs = median(self.costs), []
        return f"{self.drift:g} | {1e3 * self.behind:.0f} | {cost:.0f}"


def resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hours", type=int, default=24)
    parser.add_argument("--rate", type=int, default=44_100, help="of the audio, in Hz")
    parser.add_argument("--model", default="cnn", help="of the package, or an ONNX file")
    arguments = parser.parse_args()
    rate, model = arguments.rate, Model.open(arguments.model)
    streams = [Watched(model, "off"), Watched(model, "energy")]
    columns = ["drift, samples", "behind, ms", "CPU µs a step"]
    columns = ["hours", "MiB", *columns, *(f"{column} (gate)" for column in columns)]
    print(f"| {' | '.join(columns)} |\n|{' --- |' * len(columns)}")
    marks = [WARM_UP_SECONDS, *(3600 * hour for hour in range(1, 1 + arguments.hours))]
    total, pushed, started = marks[-1] * rate, 0, time.perf_counter()
    for samples in chunks_of(read_mono(SPEECH, rate), rate, total):
        pushed += len(samples)
        for stream in streams:
            stream.push(samples, rate, pushed)
        if pushed >= marks[0] * rate:
            hours = marks.pop(0) / 3600
            cells = [f"{hours:.2g}", f"{resident_mib():.1f}", *(s.cells() for s in streams)]
            print(f"| {' | '.join(cells)} |", flush=True)
    taken = time.perf_counter() - started
    expected = round(total * model.spec.sample_rate / rate)
    for stream in streams:
        last = stream.stream.flush()[-1]
        print(
            f"\n{stream.windows + 1} windows, {stream.voiced / stream.windows:.0%} of them scored; "
            f"the last ends at sample {round(last.end * stream.model_rate)} of {expected}."
        )
    print(f"\n{taken:.0f} s for {total / rate / 3600:.0f} h of audio, twice.")


if __name__ == "__main__":
    main()
