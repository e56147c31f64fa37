"""wav2vec2 to ONNX, from the waveform to probabilities, by PyTorch's exporter.

Training normalizes each clip over its own samples, pads it with zeros, and takes the mean over the
frames of the clip alone. A window does not say how long its clip is: the zeros at its end count as
padding here. They are that in a window of the runtime, but for clips that end in digital silence.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import onnx
import torch
from torch import nn

from ser_export.canonical_graph import make_canonical
from ser_export.onnx_quantization import quantize_dynamic
from ser_export.waveform_graph import INPUT
from ser_export.waveform_graph import OUTPUT
from ser_train.run_folder import RunFolder
from ser_train.wav2vec2.audio_data import WINDOW_SAMPLES
from ser_train.wav2vec2.network import Wav2Vec2Classifier
from ser_train.wav2vec2.quiet import quiet_transformers
from ser_train.wav2vec2.saving import load_model

OPSET = 18
"""The least that PyTorch's exporter writes by itself."""

# As transformers' Wav2Vec2FeatureExtractor.
_EPSILON = 1e-7


class FromWaveform(nn.Module):
    """A network behind its input normalization, and before a softmax."""

    def __init__(self, network: Wav2Vec2Classifier) -> None:
        super().__init__()
        self.network = network

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        """From float32 [batch, WINDOW_SAMPLES] to probabilities: float32 [batch, classes]."""
        counts = torch.arange(1, waveform.shape[1] + 1, device=waveform.device)
        # A silent window is one sample long, as none can have no length.
        samples = torch.where(waveform != 0, counts, 1).amax(dim=1, keepdim=True)
        inside = counts <= samples
        mean = waveform.sum(dim=1, keepdim=True) / samples
        centred = torch.where(inside, waveform - mean, 0.0)
        variance = centred.square().sum(dim=1, keepdim=True) / samples
        logits = self.network(centred / torch.sqrt(variance + _EPSILON), inside.long())
        return torch.softmax(logits, dim=1)


def convert_wav2vec2(run: RunFolder) -> onnx.ModelProto:
    """The trained network of a run, with a free batch size.

    Returns:
        A graph with the input `waveform`, float32 [batch, 48000] in [-1, 1], and the output
        `probabilities`, without metadata; the same weights give the same bytes.

    Raises:
        RunFolderError: If the model is missing or damaged.
    """
    return convert_network(load_model(run.path / "model"))


def convert_network(network: Wav2Vec2Classifier) -> onnx.ModelProto:
    """As `convert_wav2vec2`, of a network at hand."""
    with _quiet_exporter(), quiet_transformers():
        program = torch.onnx.export(
            FromWaveform(network).eval(),
            (torch.zeros(2, WINDOW_SAMPLES),),
            dynamo=True,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes={"waveform": {0: torch.export.Dim("batch")}},
            verbose=False,
        )
    assert program is not None
    graph = program.model_proto
    _drop_notes(graph)
    make_canonical(graph)
    return graph


def quantize_wav2vec2(graph: onnx.ModelProto) -> onnx.ModelProto:
    """Matrix products in int8, weights per channel; the convolutions stay in float.

    Those of the feature extractor, the first to see the waveform, lose too much in int8.

    Args:
        graph: Of `convert_wav2vec2`; stays as it is.
    """
    return quantize_dynamic(graph, ("MatMul", "Gemm"))


def _drop_notes(model: onnx.ModelProto) -> None:
    """What the exporter writes down of where each node comes from, file names among it."""
    graph = model.graph
    parts = (model, graph, *graph.node, *graph.initializer, *graph.input, *graph.output)
    for part in parts:
        part.doc_string = ""
        del part.metadata_props[:]


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Without what the exporter says of its own code, and of packages that nothing here needs."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        log.setLevel(level)
