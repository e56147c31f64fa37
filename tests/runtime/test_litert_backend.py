"""LiteRT files in the runtime: the predictions of their ONNX twins, and what is refused."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper

from ser_runtime.errors import FeatureSpecError
from ser_runtime.errors import MissingExtraError
from ser_runtime.errors import ModelFileError
from ser_runtime.features import compute_features
from ser_runtime.litert_metadata import write_litert_metadata
from ser_runtime.model import Model
from ser_runtime.model_metadata import ModelMetadata
from ser_runtime.standardization import Standardization

HERE = Path(__file__).resolve().parent
RUN = HERE.parents[1] / "train" / "results" / "cnn-report-seed0"
Opened = Callable[[str], Model]


@pytest.fixture(scope="module")
def trained(metadata: ModelMetadata) -> ModelMetadata:
    """Metadata that fit the committed weights of the CNN."""
    fields = json.loads((RUN / "standardization.json").read_text())
    return dataclasses.replace(metadata, standardization=Standardization.from_dict(fields))


@pytest.fixture(scope="module")
def windows(speech_16k: NDArray[np.float32], metadata: ModelMetadata) -> NDArray[np.float32]:
    """Speech, soft speech, noise and silence: float32 [windows, coefficients, frames]."""
    speech = [speech_16k[start : start + 48_000] for start in range(0, 96_000, 8192)]
    noise = np.random.default_rng(0).normal(0, 0.1, 48_000).astype(np.float32)
    clips = [*speech, 0.01 * speech[0], noise, 0 * noise]
    return np.stack([compute_features(clip, metadata.spec) for clip in clips])


@pytest.fixture(scope="module")
def files(
    trained: ModelMetadata, windows: NDArray[np.float32], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Folder of files as the converters made them, without metadata."""
    folder = tmp_path_factory.mktemp("litert")
    np.save(folder / "features.npy", trained.standardization(windows))
    command = [sys.executable, HERE / "litert_files.py", folder, folder / "features.npy"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def opened(files: Path, trained: ModelMetadata) -> Opened:
    """Opens one of `files`, with the metadata of the trained CNN."""

    def open_stamped(name: str) -> Model:
        path = files / name
        stamped = path.with_stem(f"{path.stem}_stamped")
        if path.suffix == ".onnx":
            graph = onnx.load(path)
            helper.set_model_props(graph, trained.to_properties())
            onnx.save(graph, stamped)
        else:
            stamped.write_bytes(write_litert_metadata(path.read_bytes(), trained.to_properties()))
        return Model.open(stamped)

    return open_stamped


@pytest.mark.parametrize("name", ["cnn.tflite", "cnn_any_batch.tflite"])
def test_predictions_are_those_of_the_onnx_file(
    opened: Opened, windows: NDArray[np.float32], name: str
) -> None:
    wanted = opened("cnn.onnx").predict(windows)
    assert len(set(wanted.argmax(axis=1))) > 1
    np.testing.assert_allclose(opened(name).predict(windows), wanted, rtol=0, atol=1e-5)


def test_recognizing_audio_gives_the_emotions_of_the_onnx_file(
    opened: Opened, speech_16k: NDArray[np.float32]
) -> None:
    wanted = opened("cnn.onnx").recognize(speech_16k[:40_000])
    np.testing.assert_allclose(
        opened("cnn.tflite").recognize(speech_16k[:40_000]), wanted, rtol=0, atol=1e-5
    )


def test_a_file_that_takes_the_waveform_gets_it(
    files: Path, metadata: ModelMetadata, speech_16k: NDArray[np.float32]
) -> None:
    rows, frames = metadata.spec.shape
    neutral = Standardization(np.zeros((rows, 1), np.float32), np.ones((rows, 1), np.float32))
    opened = {}
    for name, takes in (("dense", "features"), ("waveform", "waveform")):
        own = dataclasses.replace(metadata, standardization=neutral, input=takes)
        path = files / f"{name}_{takes}.tflite"
        content = (files / f"{name}.tflite").read_bytes()
        path.write_bytes(write_litert_metadata(content, own.to_properties()))
        opened[takes] = Model.open(path)
    # What the graph makes its features of.
    as_features = speech_16k[: rows * frames].reshape(1, rows, frames)
    wanted = opened["features"].predict(as_features)[0]
    found = opened["waveform"].recognize(speech_16k)
    assert np.ptp(wanted) > 1e-3
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["cnn.tflite", "cnn_any_batch.tflite", "cnn_int8.tflite"])
def test_a_window_does_not_depend_on_its_batch(
    opened: Opened, windows: NDArray[np.float32], name: str
) -> None:
    model = opened(name)
    alone = [model.predict(window[None])[0] for window in windows]
    np.testing.assert_array_equal(model.predict(windows), alone)
    assert model.predict(windows[:0]).shape == (0, len(model.labels))


@pytest.mark.parametrize("name", ["cnn_int8.tflite", "cnn_uint8.tflite"])
def test_integer_inputs_and_outputs_are_scaled_as_the_file_itself_would(
    opened: Opened, windows: NDArray[np.float32], name: str
) -> None:
    wanted = opened("cnn_int8_inside.tflite").raw_probabilities(windows)
    assert len(set(wanted.argmax(axis=1))) > 1
    probabilities = opened(name).raw_probabilities(windows)
    assert probabilities.dtype == np.float32
    np.testing.assert_array_equal(probabilities, wanted)


@pytest.mark.parametrize("name", ["cnn.tflite", "cnn_int8.tflite"])
def test_threads_that_share_a_model_get_equal_answers(
    opened: Opened, windows: NDArray[np.float32], name: str
) -> None:
    model = opened(name)
    batches = [windows[i % len(windows)][None] for i in range(200)]
    alone = [model.predict(batch) for batch in batches]
    with ThreadPoolExecutor(max_workers=4) as threads:
        together = list(threads.map(model.predict, batches))
    np.testing.assert_array_equal(together, alone)


def test_the_content_tells_the_format_not_the_name(
    files: Path, trained: ModelMetadata, windows: NDArray[np.float32], tmp_path: Path
) -> None:
    path = tmp_path / "model.onnx"
    content = write_litert_metadata((files / "cnn.tflite").read_bytes(), trained.to_properties())
    path.write_bytes(content)
    assert Model.open(path).predict(windows).shape == (len(windows), 7)


def test_an_opened_model_no_longer_needs_its_file(
    opened: Opened, windows: NDArray[np.float32]
) -> None:
    model = opened("dense.tflite")
    before = model.predict(windows)
    Path(model.source).write_bytes(b"")
    np.testing.assert_array_equal(model.predict(windows), before)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("batch_of_4", "batches of 4 windows"),
        ("two_inputs", "2 inputs and 1 outputs"),
        ("two_outputs", "1 inputs and 2 outputs"),
        ("whole_numbers", "is int32"),
        ("flex", "not a readable LiteRT model: Select TensorFlow op"),
        ("other_features", "does not take its own features"),
        ("six_classes", "each of its labels"),
        ("not_a_number", "each of its labels"),
    ],
)
def test_a_network_for_something_else_is_refused(opened: Opened, name: str, message: str) -> None:
    with pytest.raises(ModelFileError, match=rf"{name}_stamped\.tflite: it.*{message}"):
        opened(f"{name}.tflite")


def test_a_file_of_others_is_refused(files: Path) -> None:
    with pytest.raises(ModelFileError, match=r"dense\.tflite.*no ser-edge metadata"):
        Model.open(files / "dense.tflite")


@pytest.mark.parametrize(
    ("field", "value", "kind", "named"),
    [
        ("labels", None, ModelFileError, "labels"),
        ("format_version", 3, ModelFileError, "metadata version 3"),
        ("spec", {"pre_emphasis": 0.97}, FeatureSpecError, "pre_emphasis"),
        ("spec", {"window": "kaiser"}, FeatureSpecError, "kaiser"),
        ("spec", {"window_samples": 10**17}, FeatureSpecError, "window_samples"),
    ],
)
def test_metadata_that_cannot_be_used_are_refused_by_the_files_name(
    files: Path,
    trained: ModelMetadata,
    tmp_path: Path,
    field: str,
    value: Any,
    kind: type[ModelFileError],
    named: str,
) -> None:
    if field == "spec":
        value = trained.spec.to_dict() | value
    properties = trained.to_properties() | {f"ser_edge.{field}": json.dumps(value)}
    path = tmp_path / "model.tflite"
    path.write_bytes(write_litert_metadata((files / "dense.tflite").read_bytes(), properties))
    with pytest.raises(kind, match=rf"model\.tflite.*{named}"):
        Model.open(path)


OPEN_DAMAGED = """
import random
import sys
from pathlib import Path
from ser_runtime.errors import ModelFileError
from ser_runtime.litert_metadata import read_litert_metadata
from ser_runtime.litert_metadata import write_litert_metadata
from ser_runtime.model import Model

plain, stamped, path = (Path(name) for name in sys.argv[1:])
properties = read_litert_metadata(stamped.read_bytes())

def flipped(content, seed):
    content, rng = bytearray(content), random.Random(seed)
    for _ in range(rng.choice((1, 1, 4))):
        content[rng.randrange(len(content))] ^= rng.randrange(1, 256)
    return bytes(content)

def opens(content):
    path.write_bytes(content)
    try:
        Model.open(path)
    except ModelFileError as error:
        assert path.name in str(error), error
        return False
    return True

whole = stamped.read_bytes()
assert opens(whole)
cut = [whole[: len(whole) * part // 50] for part in range(50)] + [whole[:-1], whole + b"more"]
print(sum(opens(content) for content in cut + [flipped(whole, seed) for seed in range(300)]))

# Damage from before the checksum: it is the interpreter that has to find it.
for seed in range(300):
    content = flipped(plain.read_bytes(), seed)
    try:
        content = write_litert_metadata(content, properties)
    except ModelFileError:
        continue
    opens(content)
print("alive")
"""


def test_a_damaged_file_is_refused_and_never_ends_the_process(
    files: Path, opened: Opened, tmp_path: Path
) -> None:
    stamped = opened("dense.tflite").source
    arguments = [files / "dense.tflite", stamped, tmp_path / "damaged.tflite"]
    command = [sys.executable, "-c", OPEN_DAMAGED, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == ["0", "alive"]


def test_without_the_extra_it_is_named(
    opened: Opened, wav: Path, run_without: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    source = opened("dense.tflite").source
    done = run_without("ai_edge_litert", "ser_runtime", "--model", source, wav)
    assert done.returncode == MissingExtraError.exit_code, done.stderr
    assert "dense_stamped.tflite" in done.stderr
    assert "pip install 'ser-edge[litert]'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("format", ["onnx", "litert"])
def test_only_the_library_that_a_file_needs_is_loaded(
    opened: Opened, made_up_model: Path, format: str
) -> None:
    source, wanted = {
        "onnx": (made_up_model, ["onnxruntime"]),
        "litert": (opened("dense.tflite").source, ["ai_edge_litert", "flatbuffers"]),
    }[format]
    code = (
        "import sys; from ser_runtime import Model; Model.open(sys.argv[1]); "
        "libraries = {'ai_edge_litert', 'flatbuffers', 'onnxruntime', 'tensorflow'}; "
        "print(*sorted(libraries & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, str(source)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == wanted
