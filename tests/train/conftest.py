"""Fixtures of the training tests: the real clips read once, Keras set up once, tiny clips."""

from __future__ import annotations

import dataclasses
import importlib
import subprocess
from collections.abc import Callable
from contextlib import redirect_stderr
from contextlib import redirect_stdout
from importlib import resources
from io import StringIO
from pathlib import Path
from pathlib import PurePath
from types import ModuleType

import numpy as np
import pytest
from tiny_wav2vec2 import save_tiny_backbone

from ser_runtime.feature_spec import FeatureSpec
from ser_runtime.standardization import Standardization
from ser_train.corpora import Clip
from ser_train.corpora import CorpusIndex
from ser_train.corpora import parse_clip
from ser_train.corpora import read_corpora
from ser_train.dataset import Dataset
from ser_train.dataset import Samples
from ser_train.experiments import EXPERIMENTS
from ser_train.experiments import Experiment
from ser_train.features.cache import ClipFeatures
from ser_train.splits import Split

SMALL_SPEC = FeatureSpec(window_samples=31 * 512, n_mels=32)

ROOT = Path(__file__).resolve().parent.parent.parent

Command = Callable[..., subprocess.CompletedProcess[str]]
MakeClip = Callable[..., Clip]


@pytest.fixture(scope="session")
def real_index(corpora: Path, tmp_path_factory: pytest.TempPathFactory) -> CorpusIndex:
    """All 12,162 clips; reading them takes a minute."""
    return read_corpora(corpora, tmp_path_factory.mktemp("memory") / "corpora.json")


@pytest.fixture(scope="session")
def named_clips(make_clip: MakeClip) -> tuple[Clip, ...]:
    """The 12,162 clips by name, without audio; `test_split_manifest` ties them to the real ones."""
    manifest = resources.files("ser_train") / "data" / "splits.csv"
    ids = [line.split(",")[0] for line in manifest.read_text(encoding="utf-8").splitlines()[1:]]
    names = [parse_clip(PurePath(f"{clip_id}.wav")) for clip_id in ids]
    return tuple(make_clip(name.id, name.speaker, name.emotion) for name in names)


@pytest.fixture(scope="session")
def tiny_index(tiny_corpora: Path) -> CorpusIndex:
    """The 226 made-up clips."""
    return read_corpora(tiny_corpora)


@pytest.fixture(scope="session")
def make_clip() -> MakeClip:
    """Makes a clip from its id, without a file."""

    def make(clip_id: str, speaker: str = "DC", emotion: str = "sad", **facts: object) -> Clip:
        corpus = clip_id.split("/")[0]
        known = {"path": Path(f"{clip_id}.wav"), "sha256": clip_id, "sample_rate": 16_000}
        known |= {"channels": 1, "seconds": 1.0, "peak": 0.5, "audio_hash": clip_id}
        return Clip(clip_id, corpus, speaker, emotion, **(known | facts))

    return make


@pytest.fixture(scope="session")
def tensorflow() -> None:
    """Keras on TensorFlow with one thread: it can be set up only once in a process."""
    from ser_train.backend import use_backend

    use_backend("tensorflow", 1)


@pytest.fixture(scope="session")
def training(tensorflow: None) -> ModuleType:
    """`ser_train.training`, which imports Keras."""
    return importlib.import_module("ser_train.training")


@pytest.fixture(scope="session")
def vgg16_arrays() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Random kernel and bias of each convolution layer of VGG16, in order.

    Variances keep the size of what passes through, from pixels down to about one.
    """
    rng, arrays, channels = np.random.default_rng(0), {}, 3
    for block, (count, filters) in enumerate(((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)), 1):
        for number in range(1, count + 1):
            kernel = rng.standard_normal((3, 3, channels, filters), np.float32)
            kernel *= np.float32((2 / (9 * channels)) ** 0.5 / (64 if channels == 3 else 1))
            bias = rng.normal(0, 0.01, filters).astype(np.float32)
            arrays[f"block{block}_conv{number}"] = kernel, bias
            channels = filters
    return arrays


@pytest.fixture(scope="session")
def vgg16_file(
    vgg16_arrays: dict[str, tuple[np.ndarray, np.ndarray]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Those arrays in Keras' older format, as in the file that keras.applications downloads."""
    import h5py

    path = tmp_path_factory.mktemp("vgg16") / "older.h5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [name.encode() for name in vgg16_arrays]
        for name, arrays in vgg16_arrays.items():
            names = [f"{name}/{name}_{letter}_1:0" for letter in "Wb"]
            file.create_group(name).attrs["weight_names"] = [text.encode() for text in names]
            for text, array in zip(names, arrays, strict=True):
                file[name].create_dataset(text, data=array)
    return path


@pytest.fixture(scope="session")
def small_data() -> Dataset:
    """84 training, 28 validation and 28 test samples of 32 x 32: a step for each class, in noise.

    Standard normal, with three added to the class' four coefficients.
    """
    sizes = {"train": 84, "validation": 28, "test": 28}
    count = sum(sizes.values())
    classes = np.arange(count) % 7
    values = np.random.default_rng(0).standard_normal((count, 1, 32, 32), np.float32)
    for row, own in enumerate(classes):
        values[row, :, 4 * own : 4 * own + 4] += 3
    features = ClipFeatures(tuple(f"clip{row:03d}" for row in range(count)), values)
    standard = Standardization(np.zeros((32, 1), np.float32), np.ones((32, 1), np.float32))
    rows = np.split(np.arange(count), np.cumsum(list(sizes.values()))[:-1])
    rows_of = dict(zip(sizes, rows, strict=True))
    samples = {
        name: Samples(
            tuple(features.ids[row] for row in rows),
            rows,
            np.zeros_like(rows),
            classes[rows],
            features,
            standard,
        )
        for name, rows in rows_of.items()
    }
    ids = {name: part.ids for name, part in samples.items()}
    return Dataset(Split("report", None, **ids), standard, **samples)


@pytest.fixture(scope="session")
def small_experiment() -> Experiment:
    """`cnn` on features of 32 x 32."""
    return dataclasses.replace(
        EXPERIMENTS["cnn"], spec=SMALL_SPEC, noisy_copies=0, batch_size=28, learning_rate=3e-3
    )


@pytest.fixture(scope="session")
def small_compact() -> Experiment:
    """`compact`, narrow, on few bands: TensorFlow is through with it sooner."""
    row = EXPERIMENTS["compact"]
    return dataclasses.replace(
        row,
        spec=dataclasses.replace(row.spec, n_mels=32, hop=512),
        options={"widths": [4, 4, 8, 8]},
        batch_size=32,
        finish={},
    )


@pytest.fixture(scope="session")
def ser_train(tensorflow: None) -> Command:
    """Runs `ser-train` in this process, on one thread; returns exit code, stdout and stderr."""
    from ser_train.cli import main

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        out, err = StringIO(), StringIO()
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        return subprocess.CompletedProcess(
            arguments, ended.value.code, out.getvalue(), err.getvalue()
        )

    return run


@pytest.fixture(scope="session")
def train_cnn(tiny_corpora: Path, cache: Path, tiny_run: Path) -> list[object]:
    """The arguments of `tiny_run`, but for `--out`; it has filled the cache."""
    return [
        "cnn", "--corpora", tiny_corpora, "--cache", cache, "--max-epochs", 3, "--threads", 1,
    ]  # fmt: skip


@pytest.fixture(scope="session")
def tiny_backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of a tiny wav2vec 2.0, as `--weights` takes them; tests do not change them."""
    return save_tiny_backbone(tmp_path_factory.mktemp("weights") / "tiny")
