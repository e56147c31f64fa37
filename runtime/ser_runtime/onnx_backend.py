"""ONNX files, run by ONNX Runtime."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ser_runtime.backend import reason
from ser_runtime.errors import ModelFileError
from ser_runtime.model_metadata import PREFIX
from ser_runtime.model_metadata import ModelMetadata

# From 1.29 on, ONNX Runtime reports its use to its maker, from a thread of its own, and keeps a
# database in the user's cache. It reads this once, when it is first imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import onnxruntime

_LEVELS = {
    "all": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
    "extended": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "basic": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
}


class OnnxBackend:
    """An ONNX Runtime session: stateless, and safe to share by threads."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
        self._input = session.get_inputs()[0].name

    def run(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """As `Backend.run`."""
        return self._session.run(None, {self._input: inputs})[0]


def open_onnx(content: bytes) -> tuple[OnnxBackend, dict[str, str]]:
    """Open the content of an ONNX file.

    Returns:
        The network, and the file's metadata properties.

    Raises:
        ModelFileError: If it is not a readable ONNX model.
    """
    try:
        session = _open(content)
        properties = session.get_modelmeta().custom_metadata_map
        if settings := _settings(properties):
            # Only a session tells what stands in the file.
            session = _open(content, *settings)
        return OnnxBackend(session), properties
    except ModelFileError:
        raise
    except Exception as error:
        # onnxruntime raises a dozen types of its own, none of them public.
        raise ModelFileError(
            f"it is neither a LiteRT model nor a readable ONNX model: {reason(error)}"
        ) from error


def _settings(properties: Mapping[str, str]) -> tuple[str, int] | None:
    """Level and threads that a file asks for in place of the defaults; None if it does not."""
    if not any(f"{PREFIX}{name}" in properties for name in ("graph_optimization", "threads")):
        return None
    metadata = ModelMetadata.from_properties(properties)
    return metadata.graph_optimization, metadata.threads


def _open(content: bytes, level: str = "all", threads: int = 1) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(
        content,
        _session_options(level, threads),
        providers=["CPUExecutionProvider"],
        # Otherwise it prints what it cannot open to standard output, and tries once more.
        enable_fallback=0,
    )


def _session_options(level: str, threads: int) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = _LEVELS[level]
    # A small model is fastest on one thread; idle threads that spin would cost more than it does.
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # A model is one file: this is where its external data would be looked for.
    options.add_session_config_entry(
        "session.model_external_initializers_file_folder_path", os.devnull
    )
    options.log_severity_level = 4
    return options
