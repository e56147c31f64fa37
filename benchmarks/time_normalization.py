"""Normalization over time in ONNX Runtime: as the converter writes it, and as we rewrite it.

    python benchmarks/time_normalization.py

The committed `cnn`, one window, one thread; interleaved, medians of CPU time. Prints a
Markdown table.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import onnxruntime

from ser_train.backend import use_backend

ROUNDS, RUNS = 200, 5
RESULTS = Path(__file__).resolve().parents[1] / "train" / "results"


def main() -> None:
    use_backend("tensorflow", 1)
    from ser_export import onnx_conversion
    from ser_export.source import load_model
    from ser_train.run_folder import RunFolder

    model = load_model(RunFolder(RESULTS / "cnn-report-seed0"))
    rewritten = onnx_conversion.convert_to_onnx(model)
    onnx_conversion.speed_up_time_normalization = lambda _: 0
    sessions = {
        "transposed, multiplied, added (the converter)": opened(
            onnx_conversion.convert_to_onnx(model).SerializeToString()
        ),
        "BatchNormalization, ReLU after the pooling (ours)": opened(rewritten.SerializeToString()),
    }
    inputs = np.random.default_rng(0).standard_normal((1, 128, 94), np.float32)
    microseconds: dict[str, list[float]] = {name: [] for name in sessions}
    answers = {}
    for _ in range(ROUNDS):
        for name, session in sessions.items():
            for _ in range(RUNS):
                started = time.process_time_ns()
                answers[name] = session.run(None, {"features": inputs})[0]
                microseconds[name].append((time.process_time_ns() - started) / 1000)
    first, second = answers.values()
    slowest = np.median(next(iter(microseconds.values())))
    print("| normalization over time | µs a window | relative |\n| --- | --- | --- |")
    for name, values in microseconds.items():
        print(f"| {name} | {np.median(values):.0f} | {np.median(values) / slowest:.2f} |")
    print(f"\nLargest difference of a probability: {np.abs(first - second).max():.1e}.")


def opened(content: bytes) -> onnxruntime.InferenceSession:
    """A session as the runtime opens it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


if __name__ == "__main__":
    main()
