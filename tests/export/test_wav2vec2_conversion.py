"""wav2vec2 from the waveform to probabilities, in one graph, with the answers of PyTorch."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from corpus_clips import some_clips
from onnx import helper
from synthetic_corpora import voice
from tiny_wav2vec2 import save_tiny_backbone

from ser_export.wav2vec2_conversion import convert_wav2vec2
from ser_export.wav2vec2_conversion import quantize_wav2vec2
from ser_runtime.errors import RunFolderError
from ser_runtime.features import fit_window
from ser_runtime.model import Model
from ser_runtime.model_metadata import ModelMetadata
from ser_runtime.stream import Stream
from ser_train.run_folder import RunFolder
from ser_train.wav2vec2.inputs import encode
from ser_train.wav2vec2.inputs import make_feature_extractor
from ser_train.wav2vec2.network import Wav2Vec2Classifier
from ser_train.wav2vec2.saving import save_model
from ser_train.wav2vec2.weights import load_pretrained

CLIPS = [
    voice("happy", 0, 3.0),
    voice("sad", 1, 1.0),
    0.01 * voice("angry", 2, 2.0),
    voice("fear", 3, 0.1),
    voice("neutral", 4, 5.0),
    np.random.default_rng(0).normal(0.2, 0.1, 30_000).astype(np.float32),
]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Wav2Vec2Classifier:
    """With a head large enough that probabilities differ from 1/7."""
    network = load_pretrained(save_tiny_backbone(tmp_path_factory.mktemp("weights")))
    with torch.no_grad():
        network.head.weight.normal_(0, 1, generator=torch.Generator().manual_seed(0))
        network.head.bias.normal_(0, 1, generator=torch.Generator().manual_seed(1))
    return network.eval()


@pytest.fixture(scope="module")
def run(network: Wav2Vec2Classifier, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = RunFolder(tmp_path_factory.mktemp("run"))
    save_model(folder.path / "model", network)
    return folder


@pytest.fixture(scope="module")
def graph(run: RunFolder) -> onnx.ModelProto:
    return convert_wav2vec2(run)


@pytest.fixture(scope="module")
def quantized(graph: onnx.ModelProto) -> onnx.ModelProto:
    return quantize_wav2vec2(graph)


def by_torch(network: Wav2Vec2Classifier, clips: list[np.ndarray]) -> np.ndarray:
    """As ser_train evaluates clips."""
    batch = encode(make_feature_extractor(), clips)
    with torch.inference_mode():
        return torch.softmax(network(batch.input_values, batch.attention_mask), dim=1).numpy()


def by_onnx(graph: onnx.ModelProto, clips: list[np.ndarray]) -> np.ndarray:
    session = onnxruntime.InferenceSession(graph.SerializeToString())
    windows = np.stack([fit_window(clip, 48_000) for clip in clips])
    return session.run(["probabilities"], {"waveform": windows})[0]


def test_the_graph_is_valid_and_takes_any_batch_of_windows(graph: onnx.ModelProto) -> None:
    onnx.checker.check_model(graph, full_check=True)
    (taken,), (given,) = graph.graph.input, graph.graph.output
    shapes = [
        [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim] for v in (taken, given)
    ]
    assert shapes == [["batch", 48_000], ["batch", 7]]


def test_probabilities_are_pytorchs(graph: onnx.ModelProto, network: Wav2Vec2Classifier) -> None:
    wanted = by_torch(network, CLIPS)
    assert np.ptp(wanted, axis=0).max() > 0.1
    np.testing.assert_allclose(by_onnx(graph, CLIPS), wanted, rtol=0, atol=1e-5)
    for clip, row in zip(CLIPS, wanted, strict=True):
        np.testing.assert_allclose(by_onnx(graph, [clip])[0], row, rtol=0, atol=1e-5)


def test_probabilities_of_real_clips_are_pytorchs(
    graph: onnx.ModelProto, network: Wav2Vec2Classifier, corpora: Path
) -> None:
    # Of every corpus, shorter and longer than a window; a few end in some zeros.
    clips = some_clips(corpora, 24)
    wanted = by_torch(network, clips)
    found = by_onnx(graph, clips)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4)
    np.testing.assert_array_equal(found.argmax(axis=1), wanted.argmax(axis=1))


def test_zeros_at_the_end_are_padding(graph: onnx.ModelProto) -> None:
    clip = CLIPS[1]
    padded = np.concatenate([clip, np.zeros(7_000, np.float32)])
    np.testing.assert_array_equal(by_onnx(graph, [clip]), by_onnx(graph, [padded]))
    longer = np.concatenate([padded, clip[:1_000]])
    assert np.abs(by_onnx(graph, [longer]) - by_onnx(graph, [clip])).max() > 1e-3


def test_silence_has_probabilities_too(graph: onnx.ModelProto) -> None:
    (row,) = by_onnx(graph, [np.zeros(0, np.float32)])
    assert row.sum() == pytest.approx(1.0)


def test_the_same_weights_give_the_same_bytes(graph: onnx.ModelProto, run: RunFolder) -> None:
    assert convert_wav2vec2(run).SerializeToString() == graph.SerializeToString()


def test_nothing_of_the_converting_machine_is_in_the_file(graph: onnx.ModelProto) -> None:
    content = graph.SerializeToString()
    assert b".py" not in content
    assert b"site-packages" not in content


def test_converting_prints_nothing(run: RunFolder, capfd: pytest.CaptureFixture[str]) -> None:
    convert_wav2vec2(run)
    assert capfd.readouterr() == ("", "")


def test_int8_has_integer_products_and_convolutions_in_float(
    graph: onnx.ModelProto, quantized: onnx.ModelProto
) -> None:
    before, after = ([node.op_type for node in model.graph.node] for model in (graph, quantized))
    assert before.count("Conv") == after.count("Conv") == 8
    assert "ConvInteger" not in after
    # What is left multiplies activations with each other: two in each of the two blocks.
    assert (after.count("MatMul"), after.count("Gemm")) == (4, 0)
    assert after.count("MatMulInteger") == before.count("MatMul") + before.count("Gemm") - 4


def test_int8_is_smaller_and_has_the_same_labels(
    graph: onnx.ModelProto, quantized: onnx.ModelProto
) -> None:
    assert len(quantized.SerializeToString()) < len(graph.SerializeToString())
    wanted, found = by_onnx(graph, CLIPS), by_onnx(quantized, CLIPS)
    np.testing.assert_array_equal(found.argmax(axis=1), wanted.argmax(axis=1))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=0.05)


@pytest.fixture(scope="module")
def opened(
    graph: onnx.ModelProto, metadata: ModelMetadata, tmp_path_factory: pytest.TempPathFactory
) -> Model:
    """The stamped file, in the runtime."""
    stamped = onnx.ModelProto()
    stamped.CopyFrom(graph)
    own = dataclasses.replace(metadata, name="wav2vec2", input="waveform", temperature=1.0)
    helper.set_model_props(stamped, own.to_properties())
    path = tmp_path_factory.mktemp("exports") / "wav2vec2.onnx"
    onnx.save(stamped, path)
    return Model.open(path)


@pytest.mark.parametrize("clip", CLIPS[:3], ids=["full", "short", "soft"])
def test_a_clips_last_prediction_in_the_runtime_is_pytorchs(
    opened: Model, network: Wav2Vec2Classifier, clip: np.ndarray
) -> None:
    stream = Stream(opened, vad="off", smoothing=0)
    last = (stream.push(clip, 16_000) + stream.flush())[-1]
    found: Any = list((last.probabilities or {}).values())
    np.testing.assert_allclose(found, by_torch(network, [clip])[0], rtol=0, atol=1e-5)


def test_a_run_without_its_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"cannot read the model .*/model"):
        convert_wav2vec2(RunFolder(tmp_path))
