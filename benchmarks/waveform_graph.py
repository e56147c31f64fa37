"""Features in an ONNX graph: ONNX's own Fourier transform, a product with sines, and numpy.

    python benchmarks/waveform_graph.py

One window, one thread; interleaved, medians of CPU time. Differences are from the features of the
runtime, in dB or a coefficient's unit, on the speech of the examples. Prints a Markdown table.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import soundfile
import soxr
from numpy.typing import NDArray
from onnx import TensorProto
from onnx import helper

from ser_export import waveform_graph
from ser_runtime.feature_spec import MEL
from ser_runtime.feature_spec import MFCC
from ser_runtime.feature_spec import FeatureSpec
from ser_runtime.features import compute_features
from ser_runtime.standardization import Standardization

ROUNDS = 100
SPEECH = Path(__file__).resolve().parents[1] / "examples" / "speech.flac"
SPECS = {
    "MFCC, n_fft 2048": MFCC,
    "mel, n_fft 2048": MEL,
    "mel, n_fft 512": FeatureSpec(n_fft=512, win_length=512, hop=160, n_mels=64),
    "mel, n_fft 400": FeatureSpec(n_fft=400, win_length=400, hop=160, n_mels=64),
}


def main() -> None:
    audio, rate = soundfile.read(SPEECH, dtype="float32")
    window = soxr.resample(audio, rate, MFCC.sample_rate)[: MFCC.window_samples]
    print("| features | by | µs a window | relative | file, kB | largest difference |")
    print("| --- | --- | --- | --- | --- | --- |")
    for title, spec in SPECS.items():
        graphs = {"DFT": graph_of(spec, True), "product with sines": graph_of(spec, False)}
        ways = {"numpy": lambda window, spec=spec: compute_features(window, spec)}
        ways |= {name: opened(content) for name, content in graphs.items()}
        microseconds = timed(ways, window)
        wanted = ways["numpy"](window)
        for name, way in ways.items():
            size = f"{len(graphs[name]) / 1000:.0f}" if name in graphs else ""
            difference = np.abs(way(window) - wanted).max()
            relative = microseconds[name] / microseconds["DFT"]
            print(
                f"| {title} | {name} | {microseconds[name]:.0f} | {relative:.2f} | {size} | "
                f"{difference:.1e} |"
            )


def graph_of(spec: FeatureSpec, by_operator: bool) -> bytes:
    """A graph that gives features, not standardized."""
    waveform_graph._is_power_of_two = lambda _: by_operator
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *spec.shape])
        for name in ("features", "same")
    ]
    node = helper.make_node("Identity", ["features"], ["same"])
    graph = helper.make_graph([node], "features", values[:1], values[1:])
    opset = helper.make_opsetid("", waveform_graph.LEAST_OPSET)
    body = helper.make_model(graph, opset_imports=[opset], ir_version=8)
    shape = (spec.coefficients, 1)
    unchanged = Standardization(np.zeros(shape, np.float32), np.ones(shape, np.float32))
    return waveform_graph.add_features(body, spec, unchanged).SerializeToString()


def opened(content: bytes) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """A session as the runtime opens it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return lambda window: session.run(None, {"waveform": window[None]})[0][0]


def timed(ways: dict[str, Callable[..., object]], window: NDArray[np.float32]) -> dict[str, float]:
    """Microseconds of CPU time of each."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            started = time.process_time_ns()
            way(window)
            times[name].append((time.process_time_ns() - started) / 1000)
    return {name: float(np.median(values)) for name, values in times.items()}


if __name__ == "__main__":
    main()
