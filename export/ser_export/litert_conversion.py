"""Keras to LiteRT (TensorFlow Lite), by TensorFlow's own converter."""

from __future__ import annotations

import re
from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from ser_runtime.backend import reason
from ser_runtime.errors import VerificationError

KINDS = ("fp32", "fp16", "dynamic", "int8")

_OPERATOR = re.compile(r"\btf\.([A-Z]\w*)")


def convert_to_litert(
    model: keras.Model, kind: str = "fp32", calibration: NDArray[np.float32] | None = None
) -> bytes:
    """The inference graph of a model for one window at a time, LiteRT's own operators alone.

    Args:
        model: Takes float32 [batch, coefficients, frames], standardized.
        kind: One of `KINDS`: `fp16` keeps weights as float16, `dynamic` as int8, with activations
            quantized as they come; `int8` computes in int8 throughout, between float32 inputs and
            outputs.
        calibration: Inputs that the ranges of `int8` come from: float32 [windows, ...].

    Returns:
        Content of a file with the input `features`, float32 [1, ...], and the output
        `probabilities`; without metadata.

    Raises:
        VerificationError: If the model has operators that LiteRT has not (Flex); it names them.
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {kind!r}")
    if (kind == "int8") != (calibration is not None):
        raise ValueError("calibration inputs belong to int8, and to nothing else")
    converter = tf.lite.TFLiteConverter.from_concrete_functions([_frozen(model)])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if kind != "fp32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind == "fp16":
        converter.target_spec.supported_types = [tf.float16]
    if calibration is not None:
        converter.representative_dataset = lambda: _windows(calibration)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    try:
        content = converter.convert()
    except Exception as error:  # The converter has errors of its own, of no public type.
        names = sorted(set(_OPERATOR.findall(str(error)))) or [reason(error)]
        raise VerificationError(
            f"nothing published: LiteRT cannot run {', '.join(names)} (Flex operators, which the "
            "interpreter on a device does not have)"
        ) from error
    if names := _foreign_operators(content):
        raise VerificationError(
            f"nothing published: the file has operators that LiteRT has not: {', '.join(names)}"
        )
    return content


def _frozen(model: keras.Model) -> tf.types.experimental.ConcreteFunction:
    """The model for one window, its variables as constants.

    Without the latter the converter writes a file without weights, and says nothing.
    """
    signature = [tf.TensorSpec((1, *model.input_shape[1:]), tf.float32, name="features")]
    function = tf.function(
        lambda features: {"probabilities": model(features, training=False)},
        input_signature=signature,
        autograph=False,
    )
    return convert_variables_to_constants_v2(function.get_concrete_function())


def _windows(calibration: NDArray[np.float32]) -> Iterator[list[NDArray[np.float32]]]:
    for window in calibration:
        yield [window[None]]


def _foreign_operators(content: bytes) -> list[str]:
    """Names of the operators in a file that are not LiteRT's own."""
    from tensorflow.lite.python import schema_py_generated as schema

    codes = schema.ModelT.InitFromPackedBuf(content, 0).operatorCodes
    custom = {code.customCode for code in codes if code.customCode}
    return sorted(name.decode() if isinstance(name, bytes) else name for name in custom)
