"""How far the parts of a step are from what they must cost at least; a process of `live_step.py`.

The floor of the network: its multiplications at the rate of a large float32 matrix product. That
of the features: the Fourier transforms of the frames that no window before could have had, by
`numpy.fft.rfft` alone, and the multiplications of mel filters (their non-zero weights) and DCT for
these frames, at the same rate. Nothing is granted for windowing, logarithms, memory or Python.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from live_step_ways import STEP
from live_step_ways import looped_steps
from live_step_ways import model_path
from onnx import shape_inference

from ser_runtime.feature_kernels import mel_filters_of
from ser_runtime.feature_spec import FeatureSpec
from ser_runtime.model import Model
from ser_runtime.window_buffer import WindowBuffer

MATRIX, PRODUCTS, REPEATS = 1024, 5, 40


def new_frames(spec: FeatureSpec) -> int:
    """Frames that a step has to compute: those that see new samples, or a window's zeros."""
    at_an_edge = -(-spec.n_fft // 2 // spec.hop)
    return STEP // spec.hop + 2 * at_an_edge


def feature_multiplications(spec: FeatureSpec) -> int:
    """Of mel filters and DCT, for the frames of a step."""
    filters = mel_filters_of(spec)
    of_a_frame = np.count_nonzero(filters) + spec.n_mels * (spec.n_mfcc or 0)
    return new_frames(spec) * int(of_a_frame)


def network_multiplications(path: Path) -> int:
    """Of convolutions and matrix products of an ONNX file, for one window."""
    network = onnx.load(path)
    network.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    graph = shape_inference.infer_shapes(network, data_prop=True).graph
    shapes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in [*graph.input, *graph.value_info, *graph.output]
    }
    shapes |= {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    total = 0
    for node in graph.node:
        if node.op_type == "Conv":
            each = np.prod(shapes[node.input[1]][1:])
        elif node.op_type in ("MatMul", "Gemm"):
            each = shapes[node.input[0]][-1]
        else:
            continue
        total += int(np.prod(shapes[node.output[0]]) * each)
    return total


class Floor:
    """Measures the parts of a step, and what their floors are made of."""

    def __init__(self, model: str, audio: Path) -> None:
        self.model = Model.open(model)
        self.spec = self.model.spec
        self.steps = looped_steps(audio, self.spec.sample_rate, REPEATS)
        self.buffer = WindowBuffer(self.spec)
        self.buffer.append(np.resize(self.steps, self.spec.window_samples))
        self.frames = np.random.default_rng(0).normal(size=(new_frames(self.spec), self.spec.n_fft))
        self.spectrum = np.fft.rfft(self.frames)
        self.matrix = np.ones((MATRIX, MATRIX), np.float32)

    def measure(self) -> dict[str, list[float]]:
        """CPU seconds of each part, each time."""
        taken: dict[str, list[float]] = {"features": [], "network": []}
        for samples in self.steps:
            self.buffer.append(samples)
            start = self.buffer.total - self.spec.window_samples
            features = timed(lambda start=start: self.buffer.features(start), taken["features"])
            timed(lambda features=features: self.model.predict(features[None]), taken["network"])
        for name, call, repeats in (
            ("transforms", lambda: np.fft.rfft(self.frames, out=self.spectrum), REPEATS),
            ("product", lambda: self.matrix @ self.matrix, PRODUCTS),
        ):
            taken[name] = []
            for _ in range(repeats):
                timed(call, taken[name])
        return taken


def timed(call: Callable[[], np.ndarray], taken: list[float]) -> np.ndarray:
    started = time.process_time_ns()
    result = call()
    taken.append((time.process_time_ns() - started) / 1e9)
    return result


def print_floor(taken: dict[str, float], model: str, step: float) -> None:
    """The table, from medians of `Floor.measure`, and the CPU seconds of a whole step."""
    spec = Model.open(model).spec
    seconds_per_mac = taken["product"] / MATRIX**3
    macs = network_multiplications(model_path(model))
    network = macs * seconds_per_mac
    features = taken["transforms"] + feature_multiplications(spec) * seconds_per_mac
    rest = step - taken["features"] - taken["network"]
    print(
        f"\nOne thread's matrix product: {1e-9 / seconds_per_mac:.0f} GMAC/s. "
        f"Network: {macs / 1e6:.1f} MMAC. Transforms of {new_frames(spec)} frames.\n\n"
        "| part of a step, back to back | µs | floor, µs | times the floor |\n"
        "| --- | --- | --- | --- |"
    )
    for part, seconds, least in (
        ("features", taken["features"], features),
        ("network", taken["network"], network),
        ("the rest of `Stream.push`", rest, None),
        ("all", step, features + network),
    ):
        cells = "| | |" if least is None else f"| {1e6 * least:.0f} | {seconds / least:.1f} |"
        print(f"| {part} | {1e6 * seconds:.0f} {cells}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--audio", type=Path, required=True)
    parser.add_argument("--model", required=True)
    arguments = parser.parse_args()
    floor = Floor(arguments.model, arguments.audio)
    floor.measure()
    print(json.dumps({}), flush=True)
    for _ in sys.stdin:
        print(json.dumps(floor.measure()), flush=True)


if __name__ == "__main__":
    main()
