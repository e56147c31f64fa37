"""CPU time of a step of live recognition: this runtime, and what else one would write.

    python benchmarks/live_step.py [--model NAME|FILE] [--run FOLDER] [--ways WAY...]
        [--instructions]

Prints Markdown tables. Each way runs in a process of its own and they take turns; figures are
medians of all steps. "Paced": one step each 0.512 s, asleep in between, as in a live stream; the
CPU time is that of the whole process, from step to step. `--instructions` counts them too, with
valgrind's callgrind, which must be there (minutes). openSMILE is measured where it is installed,
`keras.predict` where the model's run folder is given; that of `cnn` is known. The file may be
quantized, and that network is not: how far apart their answers are is printed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from live_step_floor import print_floor
from live_step_ways import ONE_THREAD
from live_step_ways import SHIPPED_RUNS
from live_step_ways import SPEECH
from live_step_ways import STEP
from live_step_ways import WAYS

from ser_runtime.model import Model

SETTLING = 2
BACK_TO_BACK = 40
COUNTED_WAYS = ("stream", "gated", "noise", "recomputed")
COUNTED_STEPS = 10, 60
LARGEST_DIFFERENCE = 1e-3


class Worker:
    """A process that measures when asked."""

    def __init__(self, command: list[str], settings: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(settings),
        )
        self.hello = self._answer()

    def ask(self, question: str) -> dict[str, list[float]]:
        print(question, file=self._process.stdin, flush=True)
        return self._answer()

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()

    def _answer(self) -> dict[str, Any]:
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self._process.args} ended with {self._process.wait()}")
        return json.loads(line)


class Measured:
    """Figures of one way or part: seconds of each step, by their names."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = defaultdict(list)

    def add(self, figures: dict[str, list[float]], prefix: str = "", skip: int = 0) -> None:
        for name, values in figures.items():
            self.seconds[prefix + name] += values[skip:]

    def __getitem__(self, name: str) -> float:
        return median(self.seconds[name])


def program(name: str, *options: object) -> list[str]:
    return [sys.executable, str(Path(__file__).with_name(name)), *map(str, options)]


def environment(settings: dict[str, str]) -> dict[str, str]:
    """That of this process, with no settings of threads but these."""
    return {k: v for k, v in os.environ.items() if k not in ONE_THREAD} | settings


def measure(
    arguments: argparse.Namespace, options: list[object]
) -> tuple[dict[str, Measured | str], Measured]:
    """Of each way the figures, or what it lacks; of the parts of a step the figures."""
    results: dict[str, Measured | str] = {}
    workers: dict[str, Worker] = {}
    for name in arguments.ways:
        way = WAYS[name]
        worker = Worker(program("live_step_ways.py", name, *options), way.environment)
        if missing := worker.hello.get("missing"):
            results[name] = f"not measured: no {missing}"
            worker.close()
        else:
            results[name], workers[name] = Measured(), worker
    report_agreement({name: worker.hello["answer"] for name, worker in workers.items()})
    parts, floor = Measured(), Worker(program("live_step_floor.py", *options[:4]), ONE_THREAD)
    try:
        for _ in range(arguments.turns):
            parts.add(floor.ask("measure"))
            for name, worker in workers.items():
                for pacing, count in (("busy", BACK_TO_BACK), ("paced", arguments.steps)):
                    figures = worker.ask(f"{pacing} {SETTLING + count}")
                    results[name].add(figures, f"{pacing} ", SETTLING)
    finally:
        for worker in [floor, *workers.values()]:
            worker.close()
    return results, parts


def report_agreement(answers: dict[str, list[float] | None]) -> None:
    """How far the probabilities of the same window lie apart: what differs is no peer."""
    of_keras = answers.pop("librosa-keras", None)
    of_the_file = np.array([answer for answer in answers.values() if answer is not None])
    apart = np.ptp(of_the_file, axis=0).max()
    if apart > LARGEST_DIFFERENCE:
        raise SystemExit(f"the ways that run the file differ by {apart:.2g}")
    print(f"The {len(of_the_file)} ways that run the file differ by {apart:.0e} at most", end="")
    if of_keras is None:
        print(".\n")
        return
    if np.argmax(of_keras) != np.argmax(of_the_file[0]):
        raise SystemExit("; another label by Keras: is --run the run of --model?")
    print(f", Keras from them by {np.abs(of_keras - of_the_file[0]).max():.0e}.\n")


def count_instructions(way: str, options: list[object]) -> float:
    """Million instructions of a step: the difference between two runs of different length."""
    counts = []
    for steps in COUNTED_STEPS:
        command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
        command += program("live_step_ways.py", way, *options, "--steps", steps)
        settings = environment(ONE_THREAD | {"PYTHONHASHSEED": "0"})
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=settings)
        counts.append(int(re.search(r"Collected : (\d+)", done.stderr)[1]))
    return (counts[1] - counts[0]) / (COUNTED_STEPS[1] - COUNTED_STEPS[0]) / 1e6


def print_ways(
    results: dict[str, Measured | str], rate: int, instructions: dict[str, float]
) -> None:
    columns = ["a step of 0.512 s", "CPU ms, paced", "relative", "CPU ms, back to back"]
    columns += ["relative", "real-time factor"] + ["M instructions"] * bool(instructions)
    print(f"| {' | '.join(columns)} |\n|{' --- |' * len(columns)}")
    first = results["stream"]
    for name, figures in results.items():
        if isinstance(figures, str):
            cells = [figures] + [""] * (len(columns) - 2)
        else:
            cells = []
            for key in ("paced cpu", "busy cpu"):
                cells += [f"{1e3 * figures[key]:.2f}", f"{figures[key] / first[key]:.2f}"]
            cells.append(f"{figures['busy wall'] / (STEP / rate):.4f}")
            if instructions:
                cells.append(f"{instructions[name]:.1f}" if name in instructions else "")
        print(f"| {WAYS[name].title} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--audio", type=Path, default=SPEECH)
    parser.add_argument("--model", default="cnn", help="of the package, or an ONNX file")
    parser.add_argument("--run", type=Path, help="run folder of that model, for keras.predict")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS), metavar="WAY")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--steps", type=int, default=20, help="paced ones in a turn")
    parser.add_argument("--instructions", action="store_true", help="count them with valgrind")
    arguments = parser.parse_args()
    if arguments.ways[0] != "stream":
        parser.error("the first way is that to which the others are compared: stream")
    options: list[object] = ["--audio", arguments.audio, "--model", arguments.model]
    if run := arguments.run or SHIPPED_RUNS.get(arguments.model):
        options += ["--run", run]
    results, parts = measure(arguments, options)
    counted = set(COUNTED_WAYS) & set(arguments.ways) if arguments.instructions else ()
    instructions = {way: count_instructions(way, options) for way in counted}
    rate = Model.open(arguments.model).spec.sample_rate
    print_ways(results, rate, instructions)
    print_floor(parts, arguments.model, results["stream"]["busy cpu"])


if __name__ == "__main__":
    main()
