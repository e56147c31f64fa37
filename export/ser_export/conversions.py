"""What makes the content of each format's file: the functions of the table in `formats.py`.

The converters take seconds to import: each function imports those that it needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ser_export.source import Source

_CONVOLUTION = ("Conv",)
_PRODUCTS = ("MatMul", "Gemm")


def onnx_fp32(source: Source) -> bytes:
    """The graph as it is."""
    return source.graph.SerializeToString(deterministic=True)


def onnx_int8_weights(source: Source) -> bytes:
    """Weights kept as int8, computed with in float."""
    from ser_export.onnx_quantization import quantize_weights

    graph = quantize_weights(source.graph, _CONVOLUTION + _PRODUCTS)
    return graph.SerializeToString(deterministic=True)


def onnx_int8_dynamic(source: Source) -> bytes:
    """Matrix products in int8."""
    if source.family == "wav2vec2":
        from ser_export.wav2vec2_conversion import quantize_wav2vec2

        return quantize_wav2vec2(source.graph).SerializeToString(deterministic=True)
    from ser_export.onnx_quantization import quantize_dynamic

    return quantize_dynamic(source.graph, _PRODUCTS).SerializeToString(deterministic=True)


def onnx_int8_weights_dynamic(source: Source) -> bytes:
    """Matrix products in int8, all other weights kept as int8."""
    from ser_export.onnx_quantization import quantize_dynamic
    from ser_export.onnx_quantization import quantize_weights

    dynamic = quantize_dynamic(source.graph, _PRODUCTS, small=False)
    graph = quantize_weights(dynamic, _CONVOLUTION + _PRODUCTS)
    return graph.SerializeToString(deterministic=True)


def onnx_int8_static(source: Source) -> bytes:
    """Convolutions and matrix products in int8, calibrated; weights of small ones kept as int8."""
    from ser_export.onnx_quantization import quantize_static
    from ser_export.onnx_quantization import quantize_weights

    static = quantize_static(source.graph, _CONVOLUTION + _PRODUCTS, source.calibration())
    return quantize_weights(static, _PRODUCTS).SerializeToString(deterministic=True)


def onnx_int8_static_dynamic(source: Source) -> bytes:
    """Convolutions in int8, calibrated; products quantized as they come, weights of small ones."""
    from ser_export.onnx_quantization import quantize_dynamic
    from ser_export.onnx_quantization import quantize_static
    from ser_export.onnx_quantization import quantize_weights

    static = quantize_static(source.graph, _CONVOLUTION, source.calibration())
    graph = quantize_weights(quantize_dynamic(static, _PRODUCTS, small=False), _PRODUCTS)
    return graph.SerializeToString(deterministic=True)


def onnx_waveform(source: Source) -> bytes:
    """The graph behind one that computes its features."""
    from ser_export.waveform_graph import add_features

    graph = add_features(source.graph, source.spec, source.standardization)
    return graph.SerializeToString(deterministic=True)


def litert_fp32(source: Source) -> bytes:
    """All in float32."""
    from ser_export.litert_conversion import convert_to_litert

    return convert_to_litert(source.model)


def litert_fp16(source: Source) -> bytes:
    """Weights kept as float16."""
    from ser_export.litert_conversion import convert_to_litert

    return convert_to_litert(source.model, "fp16")


def litert_dynamic(source: Source) -> bytes:
    """Weights kept as int8, activations quantized as they come."""
    from ser_export.litert_conversion import convert_to_litert

    return convert_to_litert(source.model, "dynamic")


def litert_int8(source: Source) -> bytes:
    """All in int8, calibrated."""
    from ser_export.litert_conversion import convert_to_litert

    return convert_to_litert(source.model, "int8", source.calibration())
