"""The layers of wav2vec2 as a table: `ser-train describe wav2vec2`."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn
from transformers import Wav2Vec2Config

from ser_runtime.labels import EMOTIONS
from ser_train.describe import LayerRow
from ser_train.describe import NetworkLayers
from ser_train.experiments import Experiment
from ser_train.wav2vec2.audio_data import WINDOW_SAMPLES
from ser_train.wav2vec2.network import Wav2Vec2Classifier
from ser_train.wav2vec2.network import classifier_config
from ser_train.wav2vec2.network import freeze_as_asked


def base_layers(experiment: Experiment) -> NetworkLayers:
    """The layers of an experiment on wav2vec2-base; without weights, which take no memory so."""
    with torch.device("meta"):
        network = Wav2Vec2Classifier(classifier_config(Wav2Vec2Config().to_dict()))
    freeze_as_asked(network, experiment.options)
    trained = (part.numel() for part in network.parameters() if part.requires_grad)
    return NetworkLayers(tuple(_in_a_row(network)), _count(network), sum(trained))


def _in_a_row(network: Wav2Vec2Classifier) -> Iterator[LayerRow]:
    """Every layer feeds the next one; those inside an encoder block are not taken apart."""
    before: tuple[str, ...] = ()
    for name, kind, shape, parameters in _layers(network):
        yield LayerRow(name, kind, shape, parameters, before)
        before = (name,)


def _layers(
    network: Wav2Vec2Classifier,
) -> Iterator[tuple[str, str, tuple[int, ...], int]]:
    config, backbone = network.config, network.wav2vec2
    yield "input_values", "Waveform", (WINDOW_SAMPLES,), 0
    frames = WINDOW_SAMPLES
    strides = zip(
        backbone.feature_extractor.conv_layers, config.conv_kernel, config.conv_stride, strict=True
    )
    for number, (layer, kernel, stride) in enumerate(strides):
        frames = (frames - kernel) // stride + 1
        shape = (frames, config.conv_dim[number])
        yield f"conv_{number}", f"Conv1d {kernel}/{stride}", shape, _count(layer)
    shape = (frames, config.hidden_size)
    yield "projection", "LayerNorm, Linear", shape, _count(backbone.feature_projection)
    yield "masked_spec_embed", "unused", shape, backbone.masked_spec_embed.numel()
    encoder = backbone.encoder
    yield "positions", "Conv1d", shape, _count(encoder.pos_conv_embed)
    yield "layer_norm", "LayerNorm", shape, _count(encoder.layer_norm)
    for number, layer in enumerate(encoder.layers):
        yield f"block_{number}", "Transformer", shape, _count(layer)
    yield "mean", "Mean over frames", (config.hidden_size,), 0
    yield "dropout", f"Dropout {network.dropout.p}", (config.hidden_size,), 0
    yield "head", "Linear", (len(EMOTIONS),), _count(network.head)


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
