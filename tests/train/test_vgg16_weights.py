"""Pretrained weights of VGG16: both formats load, and what is no such file is refused, at once."""

from __future__ import annotations

import http.server
import json
import pickle
import shutil
import threading
import zipfile
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess
from types import ModuleType
from typing import Any

import h5py
import numpy as np
import pytest

from ser_runtime.errors import WeightsError

Command = Callable[..., CompletedProcess[str]]
Arrays = dict[str, tuple[np.ndarray, np.ndarray]]
FORMATS = ("older.h5", "newer.weights.h5", "newer.keras", "whole.h5")


@pytest.fixture(scope="module")
def weights(tensorflow: None) -> ModuleType:
    """`ser_train.vgg16.weights`, which imports Keras."""
    import ser_train.vgg16.weights

    return ser_train.vgg16.weights


@pytest.fixture(scope="module")
def make_base(tensorflow: None) -> Callable[[], Any]:
    """Makes a VGG16 of Keras with random weights."""
    import keras

    def make() -> Any:
        return keras.applications.VGG16(include_top=False, weights=None, input_shape=(32, 32, 3))

    return make


@pytest.fixture(scope="module")
def files(make_base: Callable[[], Any], vgg16_arrays: Arrays, vgg16_file: Path) -> dict[str, Path]:
    """The same weights in every format that Keras writes."""
    base = make_base()
    for name, arrays in vgg16_arrays.items():
        base.get_layer(name).set_weights(arrays)
    paths = {name: vgg16_file.with_name(name) for name in FORMATS}
    base.save_weights(paths["newer.weights.h5"])
    base.save(paths["newer.keras"])
    base.save(paths["whole.h5"])
    return paths


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_of_keras_loads(
    weights: ModuleType,
    make_base: Callable[[], Any],
    files: dict[str, Path],
    vgg16_arrays: Arrays,
    name: str,
) -> None:
    found, base = weights.find_weights(str(files[name])), make_base()
    weights.load_vgg16(base, found)
    for layer, arrays in vgg16_arrays.items():
        for loaded, saved in zip(base.get_layer(layer).get_weights(), arrays, strict=True):
            np.testing.assert_array_equal(loaded, saved)


def test_runs_are_told_apart_by_the_content_of_the_file(
    weights: ModuleType, files: dict[str, Path], tmp_path: Path
) -> None:
    copy = tmp_path / "copy.h5"
    shutil.copyfile(files["older.h5"], copy)
    first, again = (weights.find_weights(str(path)) for path in (files["older.h5"], copy))
    assert first.sha256 == again.sha256
    assert again.to_dict() == {"source": "copy.h5", "sha256": first.sha256}


def test_a_file_that_was_changed_since_is_refused(
    weights: ModuleType, make_base: Callable[[], Any], files: dict[str, Path], tmp_path: Path
) -> None:
    copy = tmp_path / "copy.h5"
    shutil.copyfile(files["older.h5"], copy)
    found = weights.find_weights(str(copy))
    with h5py.File(copy, "a") as file:
        file["block1_conv1/block1_conv1/block1_conv1_b_1:0"][0] = 7
    with pytest.raises(WeightsError, match="changed or removed"):
        weights.load_vgg16(make_base(), found)


def missing(path: Path, files: dict[str, Path]) -> None:
    """Nothing is there."""


def a_folder(path: Path, files: dict[str, Path]) -> None:
    path.mkdir()


def empty(path: Path, files: dict[str, Path]) -> None:
    path.touch()


def truncated(path: Path, files: dict[str, Path]) -> None:
    name = "newer.keras" if path.suffix == ".keras" else "older.h5"
    content = files[name].read_bytes()
    path.write_bytes(content[: len(content) // 2])


def a_pickle(path: Path, files: dict[str, Path]) -> None:
    path.write_bytes(pickle.dumps(Trap(path.with_name("trapped"))))


def without_a_layer(path: Path, files: dict[str, Path]) -> None:
    shutil.copyfile(files["older.h5"], path)
    with h5py.File(path, "a") as file:
        del file["block5_conv3"]


def with_its_classifier(path: Path, files: dict[str, Path]) -> None:
    shutil.copyfile(files["older.h5"], path)
    with h5py.File(path, "a") as file:
        file["fc2/fc2_b_1:0"] = np.zeros(4096, np.float32)


def of_vgg19(path: Path, files: dict[str, Path]) -> None:
    import keras

    other = keras.applications.VGG19(include_top=False, weights=None, input_shape=(32, 32, 3))
    other.save_weights(path)


def not_a_number(path: Path, files: dict[str, Path]) -> None:
    shutil.copyfile(files["older.h5"], path)
    with h5py.File(path, "a") as file:
        file["block3_conv2/block3_conv2/block3_conv2_b_1:0"][5] = np.nan


def of_text(path: Path, files: dict[str, Path]) -> None:
    shutil.copyfile(files["older.h5"], path)
    with h5py.File(path, "a") as file:
        name = "block1_conv1/block1_conv1/block1_conv1_b_1:0"
        del file[name]
        file[name] = [b"text"] * 64


def linked_elsewhere(path: Path, files: dict[str, Path]) -> None:
    with h5py.File(path, "w") as file:
        file["layer"] = h5py.ExternalLink(str(files["older.h5"]), "/")


@pytest.mark.parametrize(
    ("name", "make", "told"),
    [
        ("a.h5", missing, "no file .*a.h5, where the weights of VGG16 were looked for"),
        ("a.h5", a_folder, "is a folder"),
        ("a.h5", empty, "no HDF5 file"),
        ("a.h5", truncated, "cannot read the weights .*truncated"),
        ("a.h5", a_pickle, "no HDF5 file"),
        ("a.keras", a_pickle, "no .keras file"),
        ("a.keras", truncated, "no .keras file"),
        ("a.pt", empty, "none of .h5, .hdf5, .keras"),
        ("a.h5", without_a_layer, "24 arrays"),
        ("a.h5", with_its_classifier, "with its classifier of 1000 classes"),
        ("a.weights.h5", of_vgg19, "32 arrays with 20,024,384 numbers; expected are the 13"),
        ("a.h5", not_a_number, "damaged: .*block3_conv2.* no number"),
        ("a.h5", of_text, "no plain numbers"),
        ("a.h5", linked_elsewhere, "0 arrays"),
    ],
)
def test_what_is_no_vgg16_is_refused(
    weights: ModuleType,
    files: dict[str, Path],
    tmp_path: Path,
    name: str,
    make: Callable[[Path, dict[str, Path]], None],
    told: str,
) -> None:
    path = tmp_path / name
    make(path, files)
    with pytest.raises(WeightsError, match=told):
        weights.find_weights(str(path))
    assert not (tmp_path / "trapped").exists()


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self._path,)


def test_a_keras_file_with_code_in_it_is_refused_and_does_not_run(
    weights: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras

    monkeypatch.chdir(tmp_path)
    code = keras.layers.Lambda(lambda x: (open("trapped", "w").close(), x)[1])  # noqa: PTH123
    keras.Sequential([keras.layers.Input((32, 32, 3)), code]).save("code.keras")
    Path("trapped").unlink()  # it ran while the model was made
    with pytest.raises(WeightsError, match="layers of the kind Lambda"):
        weights.find_weights("code.keras")
    assert not Path("trapped").exists()


def test_a_keras_file_without_weights_is_refused(weights: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "bare.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps({"config": {"layers": []}}))
    with pytest.raises(WeightsError, match=r"model\.weights\.h5"):
        weights.find_weights(str(path))


def test_arrays_that_keras_finds_no_layer_for_are_an_error(
    weights: ModuleType, make_base: Callable[[], Any], files: dict[str, Path], tmp_path: Path
) -> None:
    path = tmp_path / "renamed.weights.h5"
    shutil.copyfile(files["newer.weights.h5"], path)
    with h5py.File(path, "a") as file:
        file.move("layers/conv2d_12", "layers/other")
    found = weights.find_weights(str(path))
    with pytest.raises(WeightsError, match="renamed"):
        weights.load_vgg16(make_base(), found)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keras' folder, empty."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def server(weights: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server on this machine in the place of Keras': it has the file of `site`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/file.h5"
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_file_in_keras_cache_is_taken(
    weights: ModuleType, files: dict[str, Path], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import hashlib

    cached = home / "models" / "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
    cached.parent.mkdir()
    shutil.copyfile(files["older.h5"], cached)
    digest = hashlib.md5(cached.read_bytes()).hexdigest()
    monkeypatch.setattr(weights, "_MD5", digest)
    found = weights.find_weights("imagenet")
    assert (found.path, found.to_dict()["source"]) == (cached, "imagenet")


def test_a_damaged_file_in_keras_cache_is_named(
    weights: ModuleType, files: dict[str, Path], home: Path
) -> None:
    cached = home / "models" / "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
    cached.parent.mkdir()
    shutil.copyfile(files["older.h5"], cached)
    with pytest.raises(WeightsError, match=f"{cached} is damaged: remove it"):
        weights.find_weights("imagenet")


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/file.h5", "http://nowhere.invalid/file.h5"])
def test_a_closed_network_is_told_with_both_places(
    weights: ModuleType, home: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setattr(weights, "_URL", url)
    with pytest.raises(WeightsError, match=f"not at {home}.*{url} is out of reach.*--weights"):
        weights.find_weights("imagenet")


def test_a_server_without_the_file_is_told(
    weights: ModuleType, home: Path, monkeypatch: pytest.MonkeyPatch, server: str
) -> None:
    monkeypatch.setattr(weights, "_URL", server)
    with pytest.raises(WeightsError, match=r"out of reach .*Not Found"):
        weights.find_weights("imagenet")


def test_a_network_that_does_not_answer_is_not_waited_for(
    weights: ModuleType, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    monkeypatch.setattr(weights, "_ANSWER_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(weights, "_URL", f"http://127.0.0.1:{silent.getsockname()[1]}/a")
        with pytest.raises(WeightsError, match="out of reach"):
            weights.find_weights("imagenet")


@pytest.mark.parametrize("command", ["vgg16-1", "vgg16-5", "vgg16-0"])
def test_the_command_ends_with_12_before_the_clips_are_read(
    ser_train: Command, tmp_path: Path, command: str
) -> None:
    done = ser_train(
        command, "--corpora", tmp_path / "none", "--out", tmp_path / "runs",
        "--weights", tmp_path / "mistyped.h5",
    )  # fmt: skip
    assert done.returncode == 12
    assert f"no file {tmp_path / 'mistyped.h5'}" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_all_ends_with_12_before_anything_is_trained(ser_train: Command, tmp_path: Path) -> None:
    done = ser_train(
        "all", "--corpora", tmp_path / "none", "--out", tmp_path / "runs",
        "--vgg16-weights", tmp_path / "mistyped.h5",
    )  # fmt: skip
    assert done.returncode == 12
    assert not (tmp_path / "runs").exists()


def test_without_weights_the_command_says_what_they_may_be(
    ser_train: Command, tmp_path: Path
) -> None:
    done = ser_train("vgg16-1", "--corpora", tmp_path)
    assert done.returncode == 2
    assert "--weights" in done.stderr
