"""CPU time of one step's features: incremental, computed anew, and by librosa.

    python benchmarks/streaming_features.py [--step-hops 16] [--instructions]

Prints a Markdown table. One thread; the ways take turns, and each figure is the median of all
steps. "Idle before": 64 MB of other memory are read before each step, so that its data have left
the caches, as they have in a live stream that takes a step every 0.5 s. `--instructions` counts
them too, with valgrind's callgrind, which must be there (minutes).
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from ser_runtime.feature_spec import LOG_MEL
from ser_runtime.feature_spec import MEL
from ser_runtime.feature_spec import MFCC
from ser_runtime.feature_spec import FeatureSpec
from ser_runtime.features import compute_features
from ser_runtime.window_buffer import WindowBuffer

SPEECH = Path(__file__).parent.parent / "examples" / "speech.flac"
SPECS = {"MFCC, 128 x 94": MFCC, "mel in dB, 128 x 188": MEL, "ln mel, 64 x 188": LOG_MEL}
TURNS, WARM_UP, STEPS = 10, 5, 25
COUNTED = 10, 60

Step = Callable[[NDArray[np.float32]], None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--step-hops", type=int, help="default: 8192 samples (0.512 s)")
    parser.add_argument("--instructions", action="store_true", help="count them with valgrind")
    parser.add_argument("--only", nargs=3, metavar=("SPEC", "WAY", "STEPS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        spec, way, steps = arguments.only
        run(SPECS[spec], way, int(steps), arguments.step_hops)
        return
    columns = [
        "features",
        "way",
        "µs, back to back",
        "relative",
        "µs, idle before",
        "relative",
        "faults",
    ]
    print(f"| {' | '.join(columns + ['M instructions'] * arguments.instructions)} |")
    print("| --- | --- |" + " --- |" * (len(columns) - 2 + arguments.instructions))
    for name, spec in SPECS.items():
        hops = arguments.step_hops or 8192 // spec.hop
        busy, faults = measure(spec, hops * spec.hop, idle=False)
        idle, _ = measure(spec, hops * spec.hop, idle=True)
        for way in WAYS:
            row = [name, way, f"{busy[way]:.0f}", f"{busy[way] / busy['anew']:.2f}"]
            row += [f"{idle[way]:.0f}", f"{idle[way] / idle['anew']:.2f}", f"{faults[way]:.1f}"]
            if arguments.instructions:
                row.append("" if way == "librosa" else f"{count_instructions(name, way, hops):.1f}")
            print(f"| {' | '.join(row)} |", flush=True)


def incremental(spec: FeatureSpec, window: NDArray[np.float32]) -> Step:
    buffer = WindowBuffer(spec)
    buffer.append(window)

    def step(samples: NDArray[np.float32]) -> None:
        buffer.append(samples)
        buffer.features(buffer.total - spec.window_samples)

    return step


def anew(spec: FeatureSpec, window: NDArray[np.float32]) -> Step:
    newest = window.copy()

    def step(samples: NDArray[np.float32]) -> None:
        newest[: -len(samples)] = newest[len(samples) :]
        newest[-len(samples) :] = samples
        compute_features(newest, spec)

    return step


def by_librosa(spec: FeatureSpec, window: NDArray[np.float32]) -> Step:
    import librosa

    newest = window.copy()
    options = {"sr": spec.sample_rate, "n_fft": spec.n_fft, "hop_length": spec.hop}
    options |= {"n_mels": spec.n_mels, "pad_mode": "constant"}

    def step(samples: NDArray[np.float32]) -> None:
        newest[: -len(samples)] = newest[len(samples) :]
        newest[-len(samples) :] = samples
        if spec.log == "ln":
            np.log(librosa.feature.melspectrogram(y=newest, **options) + spec.floor)
        elif spec.n_mfcc is None:
            librosa.power_to_db(librosa.feature.melspectrogram(y=newest, **options))
        else:
            librosa.feature.mfcc(y=newest, n_mfcc=spec.n_mfcc, **options)

    return step


WAYS = {"incremental": incremental, "anew": anew, "librosa": by_librosa}


def measure(
    spec: FeatureSpec, step_samples: int, idle: bool
) -> tuple[dict[str, float], dict[str, float]]:
    """Median CPU time in µs, and mean page faults, of a step by each way."""
    speech = looped_speech(spec)
    steps = {way: make(spec, speech[: spec.window_samples]) for way, make in WAYS.items()}
    other = np.zeros(16 << 20, np.float32)
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    faults: dict[str, list[int]] = {way: [] for way in WAYS}
    for turn in range(TURNS):
        for way, step in steps.items():
            for number in range(WARM_UP + STEPS):
                samples = step_of(speech, turn * STEPS + number, step_samples)
                if idle:
                    other.sum()
                faults_before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
                started = time.process_time_ns()
                step(samples)
                taken = time.process_time_ns() - started
                faults_after = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
                if number >= WARM_UP:
                    times[way].append(taken / 1e3)
                    faults[way].append(faults_after - faults_before)
    medians = {way: float(np.median(values)) for way, values in times.items()}
    return medians, {way: float(np.mean(values)) for way, values in faults.items()}


def run(spec: FeatureSpec, way: str, steps: int, hops: int) -> None:
    """Take steps by one way; the process is counted from outside."""
    speech = looped_speech(spec)
    step = WAYS[way](spec, speech[: spec.window_samples])
    for repeat in range(steps):
        step(step_of(speech, repeat, hops * spec.hop))


def count_instructions(name: str, way: str, hops: int) -> float:
    """Million instructions of a step: the difference between two runs of different length."""
    counts = []
    for steps in COUNTED:
        command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
        command += [sys.executable, __file__, "--step-hops", str(hops)]
        command += ["--only", name, way, str(steps)]
        environment = os.environ | {"PYTHONHASHSEED": "0"}
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        counts.append(int(re.search(r"Collected : (\d+)", done.stderr)[1]))
    return (counts[1] - counts[0]) / (COUNTED[1] - COUNTED[0]) / 1e6


def looped_speech(spec: FeatureSpec) -> NDArray[np.float32]:
    audio, rate = soundfile.read(SPEECH, dtype="float32")
    return soxr.resample(audio, rate, spec.sample_rate)


def step_of(speech: NDArray[np.float32], number: int, size: int) -> NDArray[np.float32]:
    return np.take(speech, np.arange(number * size, (number + 1) * size), mode="wrap")


if __name__ == "__main__":
    main()
