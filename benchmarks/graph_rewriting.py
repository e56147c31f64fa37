"""Networks in ONNX Runtime: as the converter writes them, and as we rewrite them.

    python benchmarks/graph_rewriting.py

The committed `cnn`, `parallel` and `compact` in float, one window, one thread; interleaved, medians
of CPU time, back to back and after half a second of sleep. Prints a Markdown table.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from ser_train.backend import use_backend

ROUNDS, RUNS, PACED, SLEEP = 100, 5, 12, 0.5
RESULTS = Path(__file__).resolve().parents[1] / "train" / "results"
MODELS = {
    "cnn": "cnn-report-seed0",
    "parallel": "parallel-mfcc-aug-report-seed0",
    "compact": "compact-report-seed0",
}


def main() -> None:
    use_backend("tensorflow", 1)
    print("| model | form | nodes | µs a window | relative | µs, after sleep | relative |")
    print(f"|{' --- |' * 7}")
    apart = 0.0
    for name, run in MODELS.items():
        forms = forms_of(run)
        inputs = np.random.default_rng(0).standard_normal((1, *shape_of(forms)), np.float32)
        busy, paced, answers = measure(
            [opened(graph.SerializeToString()) for graph in forms.values()], inputs
        )
        for i, (form, graph) in enumerate(forms.items()):
            cells = [name, form, str(len(graph.graph.node))]
            for figures in (busy, paced):
                cells += [f"{figures[i]:.0f}", f"{figures[i] / figures[0]:.2f}"]
            print(f"| {' | '.join(cells)} |", flush=True)
        apart = max(apart, np.ptp(answers, axis=0).max())
    print(f"\nLargest difference of a probability: {apart:.1e}.")


def forms_of(run: str) -> dict[str, onnx.ModelProto]:
    """Graphs of a run's network, each with one rewriting more than the one before."""
    from ser_export import onnx_conversion
    from ser_export.source import load_model
    from ser_train.run_folder import RunFolder

    model = load_model(RunFolder(RESULTS / run))
    rewritings = {"normalization over time": "speed_up_time_normalization"}
    rewritings["and fewer nodes"] = "simplify"
    originals = {name: getattr(onnx_conversion, name) for name in rewritings.values()}
    forms = {}
    for name in rewritings.values():
        setattr(onnx_conversion, name, lambda _: 0)
    forms["the converter's"] = onnx_conversion.convert_to_onnx(model)
    for form, name in rewritings.items():
        setattr(onnx_conversion, name, originals[name])
        graph = onnx_conversion.convert_to_onnx(model)
        if graph != next(reversed(forms.values())):
            forms[form] = graph
    return forms


def shape_of(forms: dict[str, onnx.ModelProto]) -> list[int]:
    graph = next(iter(forms.values())).graph
    return [dim.dim_value for dim in graph.input[0].type.tensor_type.shape.dim[1:]]


def opened(content: bytes) -> onnxruntime.InferenceSession:
    """A session as the runtime opens it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def measure(
    sessions: list[onnxruntime.InferenceSession], inputs: NDArray[np.float32]
) -> tuple[list[float], list[float], NDArray[np.float32]]:
    """Medians of CPU µs, back to back and after a sleep, and the answers."""
    busy: list[list[float]] = [[] for _ in sessions]
    paced: list[list[float]] = [[] for _ in sessions]
    answers = [session.run(None, {"features": inputs})[0] for session in sessions]

    def timed(session: onnxruntime.InferenceSession) -> float:
        started = time.process_time_ns()
        session.run(None, {"features": inputs})
        return (time.process_time_ns() - started) / 1000

    for _ in range(ROUNDS):
        for session, values in zip(sessions, busy, strict=True):
            values += [timed(session) for _ in range(RUNS)]
    for _ in range(PACED):
        for session, values in zip(sessions, paced, strict=True):
            time.sleep(SLEEP)
            values.append(timed(session))
    medians = [[float(np.median(values)) for values in kind] for kind in (busy, paced)]
    return medians[0], medians[1], np.stack(answers)


if __name__ == "__main__":
    main()
