"""Many live streams of one model on one core: CPU time for each second of audio of all of them.

    python benchmarks/many_streams.py [--streams 200] [--model NAME|FILE]

Prints a Markdown table. Each stream gets blocks of 0.1 s in turn with all others, as fast as they
are taken; their windows are due at different times, as in life. 1.0 would be a core that is just
busy. `push_many` gets the blocks of all streams at once. The rows take turns; medians of repeats.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median

import numpy as np
from endurance import NOISE_RMS
from endurance import resident_mib
from live_step_ways import SPEECH
from live_step_ways import read_mono
from numpy.typing import NDArray

from ser_runtime.model import Model
from ser_runtime.prediction import Prediction
from ser_runtime.stream import Stream
from ser_runtime.stream_batch import Push
from ser_runtime.stream_batch import push_many

BLOCK_SECONDS, REPEAT_SECONDS = 0.1, 4.0

Pushed = Callable[[list[Stream], list[NDArray[np.float32]], int], list[list[Prediction]]]


def one_by_one(
    streams: list[Stream], blocks: list[NDArray[np.float32]], rate: int
) -> list[list[Prediction]]:
    return [stream.push(block, rate) for stream, block in zip(streams, blocks, strict=True)]


def together(
    streams: list[Stream], blocks: list[NDArray[np.float32]], rate: int
) -> list[list[Prediction]]:
    pushes = [Push(stream, block, rate) for stream, block in zip(streams, blocks, strict=True)]
    return push_many(pushes)


class Fleet:
    """Streams that hear the same audio, each from another place of it on."""

    def __init__(self, model: Model, count: int, vad: str, audio: NDArray[np.float32]) -> None:
        self._rate = model.spec.sample_rate
        self._block = round(BLOCK_SECONDS * self._rate)
        self._audio = np.concatenate([audio, audio[: self._block]])
        self._place = np.linspace(0, len(audio), count, endpoint=False, dtype=int)
        self._length = len(audio)
        self.streams = [Stream(model, vad=vad) for _ in range(count)]
        lead = np.linspace(3, 4, count)  # seconds: windows of different streams end apart
        for stream, place, seconds in zip(self.streams, self._place, lead, strict=True):
            stream.push(np.resize(np.roll(audio, -place), round(seconds * self._rate)), self._rate)

    def run(self, push: Pushed) -> tuple[float, float]:
        """CPU seconds for a second of all streams, and the share of windows with voice."""
        cpu, windows, voiced = 0.0, 0, 0
        turns = round(REPEAT_SECONDS / BLOCK_SECONDS)
        for _ in range(turns):
            blocks = [self._audio[place : place + self._block] for place in self._place]
            self._place = (self._place + self._block) % self._length
            started = time.process_time()
            predictions = push(self.streams, blocks, self._rate)
            cpu += time.process_time() - started
            windows += sum(map(len, predictions))
            voiced += sum(p.voice for of_stream in predictions for p in of_stream)
        return cpu / (turns * BLOCK_SECONDS), voiced / windows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--model", default="cnn", help="of the package, or an ONNX file")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    model = Model.open(arguments.model)
    speech = read_mono(SPEECH, model.spec.sample_rate)
    noise = np.random.default_rng(0).normal(0, NOISE_RMS, len(speech)).astype(np.float32)
    before = resident_mib()
    fleets = {"speech, no gate": Fleet(model, arguments.streams, "off", speech)}
    fleets["speech, no gate"].run(one_by_one)
    each = (resident_mib() - before) / arguments.streams
    fleets["speech, energy gate"] = Fleet(model, arguments.streams, "energy", speech)
    fleets["steady noise, energy gate"] = Fleet(model, arguments.streams, "energy", noise)
    rows = [(name, push) for name in fleets for push in (one_by_one, together)]
    figures: dict[tuple[str, Pushed], list[tuple[float, float]]] = {row: [] for row in rows}
    for repeat in range(1 + arguments.repeats):
        for name, push in rows:
            measured = fleets[name].run(push)
            if repeat:
                figures[name, push].append(measured)
    how = {one_by_one: "`Stream.push`", together: "`push_many`"}
    print(
        f"| {arguments.streams} streams | by | voiced, % | CPU s for each s of audio | relative |"
        "\n| --- | --- | --- | --- | --- |"
    )
    first = median(cpu for cpu, _ in figures[rows[0]])
    for name, push in rows:
        cpu, voiced = (median(column) for column in zip(*figures[name, push], strict=True))
        print(f"| {name} | {how[push]} | {100 * voiced:.0f} | {cpu:.2f} | {cpu / first:.2f} |")
    print(f"\nMemory of a stream: {each:.2f} MiB.")


if __name__ == "__main__":
    main()
