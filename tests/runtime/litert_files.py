"""Makes the LiteRT files of the tests: `python litert_files.py FOLDER FEATURES.npy`.

A program of its own, so that TensorFlow stays out of the process of the tests. FEATURES are
float32 [windows, coefficients, frames], standardized: what int8 files are calibrated on.
"""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "tensorflow"

import sys
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import onnx
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from ser_export.onnx_conversion import convert_to_onnx
from ser_train.architectures import cnn
from ser_train.weights import load_weights

RUN = Path(__file__).resolve().parents[2] / "train" / "results" / "cnn-report-seed0"
SHAPE = (128, 94)
SAMPLES = 48_000


def trained_cnn() -> keras.Model:
    """The CNN with its committed weights."""
    model = cnn(SHAPE)
    load_weights(RUN / "weights.npz", model)
    return model


def dense(shape: tuple[int, int] = SHAPE, classes: int = 7, scale: float = 0.3) -> Callable:
    """Softmax of one dense layer over the mean of the frames, with fixed random weights."""
    weights = np.random.default_rng(0).normal(0, scale, (shape[0], classes)).astype(np.float32)
    return lambda features: tf.nn.softmax(tf.reduce_mean(features, axis=2) @ weights)


def converter(
    function: Callable, *shapes: tuple[int | None, ...], dtype: tf.DType = tf.float32
) -> tf.lite.TFLiteConverter:
    """A converter of a function, frozen first: a fixed batch loses its weights otherwise."""
    signature = [tf.TensorSpec(shape, dtype) for shape in shapes]
    graph = tf.function(function, signature, autograph=False).get_concrete_function()
    frozen = convert_variables_to_constants_v2(graph)
    return tf.lite.TFLiteConverter.from_concrete_functions([frozen])


def int8(function: Callable, features: np.ndarray, dtype: tf.DType) -> tf.lite.TFLiteConverter:
    """As `converter`, all in integers, with inputs and outputs of `dtype`.

    With float32 the file itself scales them, by operators of its own.
    """
    made = converter(function, (1, *SHAPE))
    made.optimizations = [tf.lite.Optimize.DEFAULT]
    made.representative_dataset = lambda: ([window[None]] for window in features)
    made.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    made.inference_input_type = made.inference_output_type = dtype
    return made


def flex(function: Callable) -> tf.lite.TFLiteConverter:
    """As `converter`, where operators of TensorFlow itself may remain."""
    made = converter(function, (1, *SHAPE))
    made.target_spec.supported_ops = [
        tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS
    ]  # fmt: skip
    return made


def of_audio(audio: tf.Tensor) -> tf.Tensor:
    """A stand-in for features: the first samples, in the shape of features."""
    return tf.reshape(audio[:, : SHAPE[0] * SHAPE[1]], (1, *SHAPE))


def main(folder: Path, features: np.ndarray) -> None:
    """Write the files."""
    model = trained_cnn()
    one, simple = (1, *SHAPE), dense()

    def infer(inputs: tf.Tensor) -> tf.Tensor:
        return model(inputs, training=False)

    onnx.save(convert_to_onnx(model), folder / "cnn.onnx")
    made = {
        "cnn": converter(infer, one),
        "cnn_any_batch": converter(infer, (None, *SHAPE)),
        "cnn_int8": int8(infer, features, tf.int8),
        "cnn_int8_inside": int8(infer, features, tf.float32),
        "cnn_uint8": int8(infer, features, tf.uint8),
        "dense": converter(simple, one),
        "batch_of_4": converter(simple, (4, *SHAPE)),
        "other_features": converter(dense((94, 128)), (1, 94, 128)),
        "six_classes": converter(dense(classes=6), one),
        "not_a_number": converter(dense(scale=float("nan")), one),
        "two_inputs": converter(lambda a, b: simple(a + b), one, one),
        "two_outputs": converter(lambda a: (simple(a), tf.reduce_sum(a)), one),
        "whole_numbers": converter(lambda a: simple(tf.cast(a, tf.float32)), one, dtype=tf.int32),
        "waveform": converter(lambda audio: simple(of_audio(audio)), (1, SAMPLES)),
        "flex": flex(lambda a: simple(tf.math.erf(a))),
    }
    for name, each in made.items():
        (folder / f"{name}.tflite").write_bytes(each.convert())


if __name__ == "__main__":
    main(Path(sys.argv[1]), np.load(sys.argv[2]))
