"""How ONNX Runtime is best set up for a file: other than by default only where it pays."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ser_export.latency import undisturbed_seconds
from ser_runtime.onnx_backend import onnxruntime

LEVELS = {
    "all": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
    "extended": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "basic": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
}
DEFAULT = ("all", 1)
WORTH = 0.9
"""A setting replaces the default if a window takes less than this part of its time."""

_REPEATS, _WARM_UP = 60, 3


def choose_settings(path: Path, inputs: NDArray[np.float32]) -> tuple[str, int]:
    """Graph-optimization level and threads for a file.

    Args:
        path: Of an ONNX file.
        inputs: As its graph takes them: float32 [windows, ...].

    Returns:
        Key of `LEVELS` and a number of threads: the default unless another is over 10 % faster.
    """
    threads = (1, 2) if (os.cpu_count() or 1) > 1 else (1,)
    settings = [(level, count) for level in LEVELS for count in threads]
    sessions = [_session(path, *setting) for setting in settings]
    name = sessions[0].get_inputs()[0].name
    times = np.zeros((len(sessions), _REPEATS))
    for turn in range(-_WARM_UP, _REPEATS):
        feed = {name: inputs[turn % len(inputs)][None]}
        for row, session in enumerate(sessions):
            session.run(None, feed)
            seconds = undisturbed_seconds(lambda: session.run(None, feed))  # noqa: B023
            if turn >= 0:
                times[row, turn] = seconds
    relative = np.median(times / times[settings.index(DEFAULT)], axis=1)
    return best_setting(dict(zip(settings, relative.tolist(), strict=True)))


def best_setting(relative: dict[tuple[str, int], float]) -> tuple[str, int]:
    """The fastest setting, if it is over 10 % faster than the default.

    Args:
        relative: Time of each by that of the default.
    """
    fastest = min(relative, key=lambda setting: relative[setting])
    return fastest if relative[fastest] < WORTH else DEFAULT


def _session(path: Path, level: str, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = LEVELS[level]
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
