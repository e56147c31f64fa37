"""LiteRT (TensorFlow Lite) files, run by the interpreter of the extra `litert`."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ser_runtime.backend import reason
from ser_runtime.errors import ModelFileError
from ser_runtime.extras import require_extra
from ser_runtime.litert_metadata import read_litert_metadata

if TYPE_CHECKING:
    from ai_edge_litert.interpreter import Interpreter


class LiteRTBackend:
    """An interpreter, used by one thread at a time: it computes in memory of its own.

    One for each thread would cost 2.5 MiB a thread with `cnn`, 10 MiB with `parallel`. Windows go
    through it one by one: a batch of 8 costs more a window than a batch of 1 (0.50 against 0.42 ms
    with `cnn`), and so a result never depends on what else is in the batch.
    """

    def __init__(self, interpreter: Interpreter) -> None:
        self._interpreter = interpreter
        self._input = interpreter.get_input_details()[0]
        self._output = interpreter.get_output_details()[0]
        self._lock = threading.Lock()

    def run(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """As `Backend.run`."""
        given = _quantized(inputs, self._input)
        outputs = np.empty((len(inputs), *self._output["shape"][1:]), self._output["dtype"])
        with self._lock:
            for i in range(len(inputs)):
                self._interpreter.set_tensor(self._input["index"], given[i : i + 1])
                self._interpreter.invoke()
                outputs[i] = self._interpreter.get_tensor(self._output["index"])[0]
        return _dequantized(outputs, self._output)


def open_litert(content: bytes) -> tuple[LiteRTBackend, dict[str, str]]:
    """Open the content of a LiteRT file.

    Returns:
        The network, and the properties by `write_litert_metadata`; none in a file of others.

    Raises:
        MissingExtraError: If the extra `litert` is not installed.
        ModelFileError: If it is damaged, or its inputs or outputs are not those of a recognizer.
    """
    require_extra("litert", ["ai_edge_litert"])
    properties = read_litert_metadata(content)
    from ai_edge_litert.interpreter import Interpreter

    try:
        interpreter = Interpreter(model_content=content, num_threads=1)
        interpreter.allocate_tensors()
        inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    except Exception as error:
        # Which types it raises is documented nowhere.
        raise ModelFileError(f"it is not a readable LiteRT model: {reason(error)}") from error
    if len(inputs) != 1 or len(outputs) != 1:
        raise ModelFileError(
            f"it has {len(inputs)} inputs and {len(outputs)} outputs: one of each is needed"
        )
    for tensor in (inputs[0], outputs[0]):
        _check_tensor(tensor)
    return LiteRTBackend(interpreter), properties


def _check_tensor(tensor: dict[str, Any]) -> None:
    batch = tensor["shape"][0] if tensor["shape"].size else 0
    if batch != 1:
        raise ModelFileError(
            f"it was converted for batches of {batch} windows, not for one or for any number"
        )
    dtype = np.dtype(tensor["dtype"])
    if dtype == np.float32:
        return
    scale, _ = tensor["quantization"]
    if dtype not in (np.int8, np.uint8) or not (np.isfinite(scale) and scale > 0):
        raise ModelFileError(
            f"its tensor {tensor['name']!r} is {dtype.name} of scale {scale}: float32, or int8 or "
            "uint8 of a positive scale, is needed"
        )


def _quantized(values: NDArray[np.float32], tensor: dict[str, Any]) -> NDArray[Any]:
    """Numbers as a tensor takes them: the nearest of its steps."""
    dtype = np.dtype(tensor["dtype"])
    if dtype == np.float32:
        return values
    scale, zero_point = tensor["quantization"]
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values / scale) + zero_point, limits.min, limits.max).astype(dtype)


def _dequantized(values: NDArray[Any], tensor: dict[str, Any]) -> NDArray[np.float32]:
    if values.dtype == np.float32:
        return values
    scale, zero_point = tensor["quantization"]
    return np.float32(scale) * (values.astype(np.float32) - np.float32(zero_point))
