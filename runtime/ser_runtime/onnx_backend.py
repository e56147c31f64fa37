"""ONNX files, run by ONNX Runtime."""

from __future__ import annotations

import os

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from ser_runtime.backend import reason
from ser_runtime.errors import ModelFileError


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
        session = onnxruntime.InferenceSession(
            content, _session_options(), providers=["CPUExecutionProvider"]
        )
        return OnnxBackend(session), session.get_modelmeta().custom_metadata_map
    except Exception as error:
        # onnxruntime raises a dozen types of its own, none of them public.
        raise ModelFileError(
            f"it is neither a LiteRT model nor a readable ONNX model: {reason(error)}"
        ) from error


def _session_options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    # A small model is fastest on one thread; idle threads that spin would cost more than it does.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # A model is one file: this is where its external data would be looked for.
    options.add_session_config_entry(
        "session.model_external_initializers_file_folder_path", os.devnull
    )
    options.log_severity_level = 4
    return options
