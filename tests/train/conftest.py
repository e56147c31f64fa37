"""Fixtures of the training tests: the real clips read once, Keras set up once, tiny clips."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from pathlib import PurePath
from types import ModuleType

import pytest

from ser_train.corpora import Clip
from ser_train.corpora import CorpusIndex
from ser_train.corpora import parse_clip
from ser_train.corpora import read_corpora

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
