"""Keras to ONNX, by way of tf2onnx on the TensorFlow backend."""

from __future__ import annotations

import logging

import keras
import onnx
import tensorflow as tf
import tf2onnx

from ser_export.canonical_graph import make_canonical
from ser_export.graph_simplification import simplify
from ser_export.time_normalization import speed_up_time_normalization

OPSET = 17
_INPUT, _OUTPUT = "features", "probabilities"


def convert_to_onnx(model: keras.Model) -> onnx.ModelProto:
    """The inference graph of a model, with a free batch size.

    Args:
        model: Takes float32 [batch, coefficients, frames], standardized.

    Returns:
        A graph with the input `features` and the output `probabilities`; the same weights give
        the same bytes.
    """
    logging.getLogger("tf2onnx").setLevel(logging.WARNING)
    signature = [tf.TensorSpec((None, *model.input_shape[1:]), tf.float32, name=_INPUT)]
    function = tf.function(
        lambda x: {_OUTPUT: model(x, training=False)}, input_signature=signature, autograph=False
    )
    graph, _ = tf2onnx.convert.from_function(function, input_signature=signature, opset=OPSET)
    for value in (*graph.graph.input, *graph.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    speed_up_time_normalization(graph)
    simplify(graph)
    make_canonical(graph)
    return graph
