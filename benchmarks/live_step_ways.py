"""The ways of `live_step.py` to take a step, each run in a process of its own: no setting leaks.

The process answers on stdout, a line of JSON to each line on stdin: `paced STEPS` or `busy STEPS`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

import ser_runtime
from ser_runtime.model import Model
from ser_runtime.model import packaged_models
from ser_runtime.stream import Stream
from ser_runtime.temperature import apply_temperature
from ser_runtime.window_buffer import WindowBuffer

ROOT = Path(__file__).parent.parent
SPEECH = ROOT / "examples" / "speech.flac"
RESULTS = ROOT / "train" / "results"
SHIPPED_RUNS = {
    "compact": RESULTS / "compact-report-seed0",
    "cnn": RESULTS / "cnn-report-seed0",
    "parallel": RESULTS / "parallel-mfcc-aug-report-seed0",
}
STEP = 8192
LOOPED_STEPS, WARM_UP = 120, 3
QUIET_RMS = 0.01
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")}

Samples = NDArray[np.float32]
Step = Callable[[Samples], "Samples | None"]


class LackingError(Exception):
    """Something that a way needs is not there."""


class Newest:
    """The newest window, as whoever computes all of it anew keeps it."""

    def __init__(self, window: Samples) -> None:
        self._samples = window.copy()

    def after(self, samples: Samples) -> Samples:
        self._samples[: -len(samples)] = self._samples[len(samples) :]
        self._samples[-len(samples) :] = samples
        return self._samples


def nothing(model: Model, window: Samples, arguments: argparse.Namespace) -> Step:
    return lambda samples: None


def streamed(model: Model, window: Samples, arguments: argparse.Namespace) -> Step:
    return in_stream(Stream(model, vad="off"), window)


def gated(model: Model, window: Samples, arguments: argparse.Namespace) -> Step:
    return in_stream(Stream(model, vad="energy"), window)


def gated_in_noise(model: Model, window: Samples, arguments: argparse.Namespace) -> Step:
    noise = np.random.default_rng(0).normal(0, QUIET_RMS, len(window)).astype(np.float32)
    step = in_stream(Stream(model, vad="energy"), noise)
    return lambda samples: step(noise[: len(samples)])


def in_stream(stream: Stream, window: Samples) -> Step:
    rate = stream.model.spec.sample_rate
    stream.push(window, rate)

    def step(samples: Samples) -> Samples | None:
        (prediction,) = stream.push(samples, rate)
        probabilities = prediction.probabilities
        return None if probabilities is None else np.array(list(probabilities.values()))

    return step


def incremental(model: Model, window: Samples, arguments: argparse.Namespace) -> Step:
    """No more than `librosa_onnx` does: no rate, gate, smoothing or record of a prediction."""
    buffer = WindowBuffer(model.spec)
    buffer.append(window)

    def step(samples: Samples) -> Samples:
        buffer.append(samples)
        return model.predict(buffer.features(buffer.total - len(window))[None])[0]

    return step


def recomputed(model: Model, window: Samples, arguments: argparse.Namespace) -> Step:
    newest = Newest(window)
    return lambda samples: model.recognize(newest.after(samples))


def librosa_onnx_tuned(model: Model, window: Samples, arguments: argparse.Namespace) -> Step:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return librosa_onnx(model, window, arguments, options)


def librosa_onnx(
    model: Model, window: Samples, arguments: argparse.Namespace, options: Any = None
) -> Step:
    import onnxruntime

    session = onnxruntime.InferenceSession(
        model_path(arguments.model), options, providers=["CPUExecutionProvider"]
    )
    name = session.get_inputs()[0].name
    return by_librosa(model, window, lambda inputs: session.run(None, {name: inputs})[0])


def librosa_keras(model: Model, window: Samples, arguments: argparse.Namespace) -> Step:
    if arguments.run is None:
        raise LackingError("run folder (--run)")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    from ser_export.source import load_model
    from ser_train.run_folder import RunFolder

    network = load_model(RunFolder(arguments.run))
    return by_librosa(model, window, lambda inputs: network.predict(inputs, verbose=0))


def by_librosa(model: Model, window: Samples, infer: Callable[[Samples], Samples]) -> Step:
    from librosa_features import librosa_features

    newest = Newest(window)

    def step(samples: Samples) -> Samples:
        features = librosa_features(newest.after(samples), model.spec)
        inputs = model.metadata.standardization(features[None])
        return apply_temperature(infer(inputs), model.metadata.temperature)[0]

    return step


def opensmile_functionals(model: Model, window: Samples, arguments: argparse.Namespace) -> Step:
    import opensmile

    smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)
    newest, rate = Newest(window), model.spec.sample_rate

    def step(samples: Samples) -> None:
        smile.process_signal(newest.after(samples), rate)

    return step


@dataclass(frozen=True)
class Way:
    """How a step can be taken.

    Attributes:
        title: In the table.
        make: Gives the step that follows a first window.
        environment: The only variables of thread settings that the process gets.
    """

    title: str
    make: Callable[[Model, Samples, argparse.Namespace], Step]
    environment: dict[str, str] = field(default_factory=dict)


WAYS = {
    "stream": Way("`Stream`, without a gate", streamed),
    "gated": Way("`Stream`, energy gate", gated),
    "noise": Way("`Stream`, energy gate, in steady noise", gated_in_noise),
    "incremental": Way("incremental features + `Model.predict`", incremental),
    "recomputed": Way("`Model.recognize`: whole windows", recomputed),
    "librosa-onnx-1": Way(
        "librosa + ONNX Runtime, one thread, no spinning", librosa_onnx_tuned, ONE_THREAD
    ),
    "librosa-onnx": Way("librosa + ONNX Runtime, default settings", librosa_onnx),
    "librosa-keras": Way(
        "librosa + `keras.predict` (TensorFlow)", librosa_keras, {"TF_CPP_MIN_LOG_LEVEL": "3"}
    ),
    "opensmile": Way("openSMILE eGeMAPS functionals, no classifier", opensmile_functionals),
    "nothing": Way("nothing: what waking up costs", nothing),
}


def model_path(model: str) -> Path:
    """Of a model of the package, or a file."""
    if model in packaged_models():
        return Path(ser_runtime.__file__).parent / "models" / f"{model}.onnx"
    return Path(model)


def read_mono(audio: Path, rate: int) -> Samples:
    """float32 [samples] at this rate."""
    samples, source_rate = soundfile.read(audio, dtype="float32", always_2d=True)
    return soxr.resample(samples.mean(axis=1), source_rate, rate)


def looped_steps(audio: Path, rate: int, count: int) -> Samples:
    """float32 [count, step]: the audio at this rate, over and over."""
    return np.resize(read_mono(audio, rate), (count, STEP))


def take_steps(step: Step, steps: Samples, first: int, count: int, pace: float) -> dict[str, Any]:
    """Take steps: back to back, or one each `pace` seconds.

    Returns:
        CPU seconds of the process for each step, up to the next one: threads that spin while they
        wait are in it. And the seconds that each took.
    """
    cpu, wall, due = [], [], time.perf_counter()
    for number in range(first, first + count + 1):
        due += pace
        time.sleep(max(0.0, due - time.perf_counter()) if pace else 0.0)
        cpu.append(time.process_time_ns())
        if number < first + count:
            started = time.perf_counter_ns()
            step(steps[number % len(steps)])
            wall.append((time.perf_counter_ns() - started) / 1e9)
    return {"cpu": (np.diff(cpu) / 1e9).tolist(), "wall": wall}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("way", choices=WAYS)
    parser.add_argument("--audio", type=Path, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--steps", type=int, help="take so many and end")
    arguments = parser.parse_args()
    model = Model.open(arguments.model)
    rate = model.spec.sample_rate
    steps = looped_steps(arguments.audio, rate, LOOPED_STEPS)
    window = np.resize(steps[-6:], model.spec.window_samples)
    try:
        step = WAYS[arguments.way].make(model, window, arguments)
    except (ModuleNotFoundError, LackingError) as error:
        print(json.dumps({"missing": getattr(error, "name", None) or str(error)}))
        return
    answers = [step(samples) for samples in steps[:WARM_UP]]
    if arguments.steps:
        take_steps(step, steps, WARM_UP, arguments.steps, 0)
        return
    answer = None if answers[-1] is None else answers[-1].tolist()
    print(json.dumps({"answer": answer}), flush=True)
    done = WARM_UP
    for line in sys.stdin:
        pacing, count = line.split()
        pace = STEP / rate if pacing == "paced" else 0.0
        print(json.dumps(take_steps(step, steps, done, int(count), pace)), flush=True)
        done += int(count)


if __name__ == "__main__":
    main()
