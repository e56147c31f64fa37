"""Features inside the graph: those of the runtime, in front of any body, for any host."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import soundfile
from conftest import made_up_graph
from corpus_clips import some_clips
from onnx import TensorProto
from onnx import helper
from onnx import numpy_helper
from synthetic_corpora import voice

from ser_export.waveform_graph import add_features
from ser_runtime.feature_spec import MEL
from ser_runtime.feature_spec import MFCC
from ser_runtime.feature_spec import FeatureSpec
from ser_runtime.features import compute_features
from ser_runtime.features import fit_window
from ser_runtime.model import Model
from ser_runtime.model_metadata import ModelMetadata
from ser_runtime.standardization import Standardization
from ser_train.run_folder import RunFolder

ROOT = Path(__file__).resolve().parents[2]
JAVASCRIPT = ROOT / "examples" / "javascript"
TRAINED = RunFolder(ROOT / "train" / "results" / "cnn-report-seed0")
SPECS = {
    "mfcc": MFCC,
    "mel": MEL,
    "ln": FeatureSpec(log="ln", top_db=None, floor=1e-6),
    "mfcc of ln": FeatureSpec(log="ln", top_db=None, floor=1e-6, n_mfcc=20),
    "db without a limit": FeatureSpec(top_db=None, n_mfcc=40),
    "hamming, htk, shorter window than transform": FeatureSpec(
        window="hamming",
        win_length=400,
        n_fft=512,
        hop=160,
        n_mels=40,
        mel_scale="htk",
        mel_norm=None,
        n_mfcc=13,
    ),
    "no power of two": FeatureSpec(n_fft=400, win_length=400, hop=160, n_mels=40, fmin=20.0),
    "nothing in common": FeatureSpec(n_fft=1024, win_length=1001, hop=333, n_mels=64, n_mfcc=30),
    "hop beyond the window": FeatureSpec(n_fft=256, win_length=256, hop=1000, n_mels=20),
    "few bands": FeatureSpec(n_fft=256, win_length=256, n_mels=3, n_mfcc=3, fmax=4_000.0),
    "bands without a bin": FeatureSpec(n_fft=128, win_length=128, n_mels=80),
    "another window and rate": FeatureSpec(window_samples=23_333, sample_rate=22_050, n_mfcc=40),
}
CLIPS = [
    voice("happy", 0, 3.0),
    1e-3 * voice("sad", 1, 2.0),
    np.zeros(10, np.float32),
    np.random.default_rng(0).normal(0, 0.1, 48_000).astype(np.float32),
]
# In dB, ln, or a coefficient's unit: float32 against float64, most for coefficient 0 of silence.
CLOSE = 2e-3


def passing(shape: tuple[int, ...], opset: int = 17) -> onnx.ModelProto:
    """A body that gives what it takes."""
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape])
        for name in ("features", "same")
    ]
    node = helper.make_node("Identity", ["features"], ["same"])
    graph = helper.make_graph([node], "passing", values[:1], values[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def unchanged(spec: FeatureSpec) -> Standardization:
    shape = (spec.coefficients, 1)
    return Standardization(np.zeros(shape, np.float32), np.ones(shape, np.float32))


def run(graph: onnx.ModelProto, windows: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(graph.SerializeToString())
    return session.run(["probabilities"], {"waveform": windows})[0]


def windows_of(spec: FeatureSpec) -> np.ndarray:
    return np.stack([fit_window(clip, spec.window_samples) for clip in CLIPS])


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_features_are_those_of_the_runtime(spec: FeatureSpec) -> None:
    graph = add_features(passing(spec.shape), spec, unchanged(spec))
    onnx.checker.check_model(graph, full_check=True)
    windows = windows_of(spec)
    wanted = np.stack([compute_features(window, spec) for window in windows])
    np.testing.assert_allclose(run(graph, windows), wanted, rtol=0, atol=CLOSE)


@pytest.mark.parametrize("opset", [17, 18, 20, 21])
def test_every_opset_that_has_the_transform_does(opset: int) -> None:
    graph = add_features(passing(MFCC.shape, opset), MFCC, unchanged(MFCC))
    onnx.checker.check_model(graph, full_check=True)
    assert graph.opset_import[0].version == opset
    wanted = run(add_features(passing(MFCC.shape), MFCC, unchanged(MFCC)), windows_of(MFCC))
    np.testing.assert_array_equal(run(graph, windows_of(MFCC)), wanted)


@pytest.mark.parametrize("frames", [1, MFCC.frames], ids=["by coefficient", "by frame"])
def test_features_are_standardized(frames: int) -> None:
    rng = np.random.default_rng(1)
    shape = (MFCC.coefficients, frames)
    mean = rng.normal(0, 50, shape).astype(np.float32)
    standardization = Standardization(mean, rng.uniform(5, 90, shape).astype(np.float32))
    graph = add_features(passing(MFCC.shape), MFCC, standardization)
    windows = windows_of(MFCC)
    wanted = [standardization(compute_features(window, MFCC)) for window in windows]
    np.testing.assert_allclose(run(graph, windows), wanted, rtol=0, atol=CLOSE / 5)


def test_features_that_are_taken_as_they_are_cost_no_standardization() -> None:
    graph = add_features(passing(MEL.shape), MEL, unchanged(MEL))
    kinds = [node.op_type for node in graph.graph.node]
    # One to measure from the loudest value.
    assert (kinds.count("Sub"), kinds.count("Div")) == (1, 0)


def test_a_window_does_not_depend_on_its_batch(metadata: ModelMetadata) -> None:
    graph = add_features(made_up_graph(MFCC.shape), MFCC, metadata.standardization)
    windows = windows_of(MFCC)
    alone = np.concatenate([run(graph, window[None]) for window in windows])
    np.testing.assert_allclose(run(graph, windows), alone, rtol=0, atol=1e-6)


def test_input_and_output_have_their_names_and_shapes(metadata: ModelMetadata) -> None:
    body = made_up_graph(MFCC.shape)
    helper.set_model_props(body, metadata.to_properties())
    body.graph.input[0].name = body.graph.node[0].input[0] = "constant0"
    body.graph.output[0].name = body.graph.node[-1].output[0] = "waveform"
    graph = add_features(body, MFCC, metadata.standardization)
    onnx.checker.check_model(graph, full_check=True)
    shapes = {
        value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*graph.graph.input, *graph.graph.output)
    }
    assert shapes == {"waveform": ["batch", 48_000], "probabilities": ["batch", 7]}
    assert not graph.metadata_props


def test_equal_arguments_give_equal_bytes(metadata: ModelMetadata) -> None:
    body = made_up_graph(MFCC.shape)
    before = body.SerializeToString()
    first, second = (add_features(body, MFCC, metadata.standardization) for _ in range(2))
    assert first.SerializeToString() == second.SerializeToString()
    assert body.SerializeToString() == before


def test_features_add_little_to_a_file() -> None:
    # The matrix of the mel filters alone would take half a megabyte.
    graph = add_features(passing(MFCC.shape), MFCC, unchanged(MFCC))
    sizes = [numpy_helper.to_array(tensor).nbytes for tensor in graph.graph.initializer]
    assert sum(sizes) < 200_000


def test_a_body_for_other_features_is_refused() -> None:
    with pytest.raises(ValueError, match=r"128, 188.*not the features \(128, 94\)"):
        add_features(passing(MEL.shape), MFCC, unchanged(MFCC))


def test_a_body_of_an_opset_without_the_transform_is_refused() -> None:
    with pytest.raises(ValueError, match="opset 16"):
        add_features(passing(MFCC.shape, 16), MFCC, unchanged(MFCC))


def test_a_trained_model_gives_real_clips_the_probabilities_of_their_features(
    tensorflow: None, corpora: Path
) -> None:
    from ser_export.onnx_conversion import convert_to_onnx
    from ser_train.architectures import make_architecture
    from ser_train.weights import load_weights

    spec, standardization = TRAINED.spec(), TRAINED.standardization()
    model = make_architecture("cnn", spec.shape)
    load_weights(TRAINED.weights, model)
    graph = add_features(convert_to_onnx(model), spec, standardization)
    clips = some_clips(corpora, 40)
    features = np.stack([standardization(compute_features(clip, spec)) for clip in clips])
    wanted = model.predict(features, verbose=0)
    assert len(set(wanted.argmax(axis=1))) > 3
    windows = np.stack([fit_window(clip, spec.window_samples) for clip in clips])
    np.testing.assert_allclose(run(graph, windows), wanted, rtol=0, atol=5e-5)


def test_a_transformer_can_be_the_body_too(tensorflow: None) -> None:
    import keras

    from ser_export.onnx_conversion import convert_to_onnx
    from ser_train.architectures import make_architecture

    spec = FeatureSpec(n_fft=1024, win_length=1024, n_mels=128, n_mfcc=128)
    keras.utils.set_random_seed(0)
    model = make_architecture("parallel", spec.shape)
    rng = np.random.default_rng(0)
    shape = (spec.coefficients, 1)
    standardization = Standardization(
        rng.normal(0, 5, shape).astype(np.float32), np.full(shape, 40, np.float32)
    )
    graph = add_features(convert_to_onnx(model), spec, standardization)
    windows = windows_of(spec)
    features = np.stack([standardization(compute_features(window, spec)) for window in windows])
    wanted = model.predict(features, verbose=0)
    assert np.ptp(wanted, axis=0).max() > 0.01
    np.testing.assert_allclose(run(graph, windows), wanted, rtol=0, atol=5e-5)


@pytest.fixture(scope="module")
def javascript() -> Path:
    """The example, with its packages; in CI they must be there."""
    needed = "needs Node.js and `make test-javascript`"
    there = shutil.which("node") and (JAVASCRIPT / "node_modules" / "onnxruntime-web").is_dir()
    if not there and os.environ.get("SER_EDGE_REQUIRE_NODE"):
        pytest.fail(needed)
    if not there:
        pytest.skip(needed)
    return JAVASCRIPT


def listen(javascript: Path, model: Path, wav: Path) -> subprocess.CompletedProcess[str]:
    command = ["node", javascript / "recognize.mjs", model, wav]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("seconds", [1.0, 3.0, 4.0])
def test_a_host_without_our_code_gives_the_runtimes_probabilities(
    javascript: Path, metadata: ModelMetadata, made_up_model: Path, tmp_path: Path, seconds: float
) -> None:
    graph = add_features(made_up_graph(MFCC.shape), MFCC, metadata.standardization)
    helper.set_model_props(graph, dataclasses.replace(metadata, input="waveform").to_properties())
    onnx.save(graph, tmp_path / "model.onnx")
    soundfile.write(tmp_path / "clip.wav", voice("happy", 0, seconds), 16_000)
    done = listen(javascript, tmp_path / "model.onnx", tmp_path / "clip.wav")
    assert (done.returncode, done.stderr) == (0, "")
    label, *rows = done.stdout.splitlines()
    found = {name: float(value) for name, value in (row.split("\t") for row in rows)}
    audio, _ = soundfile.read(tmp_path / "clip.wav", dtype="float32")
    probabilities = Model.open(made_up_model).recognize(audio)
    assert list(found) == list(metadata.labels)
    np.testing.assert_allclose(list(found.values()), probabilities, rtol=0, atol=1e-5)
    assert label == metadata.labels[int(probabilities.argmax())]


def test_that_host_refuses_a_file_that_takes_features(
    javascript: Path, made_up_model: Path, tmp_path: Path
) -> None:
    soundfile.write(tmp_path / "clip.wav", voice("happy", 0, 1.0), 16_000)
    done = listen(javascript, made_up_model, tmp_path / "clip.wav")
    assert done.returncode == 1
    assert done.stderr == (
        "error: this model takes features: export it with --format onnx-waveform\n"
    )
