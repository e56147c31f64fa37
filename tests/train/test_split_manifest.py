"""The committed splits."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import pytest

from ser_runtime.errors import CorporaError
from ser_runtime.errors import StorageError
from ser_train.corpora import CORPORA
from ser_train.corpora import Clip
from ser_train.corpora import CorpusIndex
from ser_train.split_manifest import ALL_SPLITS
from ser_train.split_manifest import committed_split
from ser_train.split_manifest import write_manifest
from ser_train.splits import FOLDS
from ser_train.splits import TESS_FOLDS
from ser_train.splits import make_split

COMMITTED = resources.files("ser_train") / "data"


def test_all_splits_are_in_the_manifest() -> None:
    random = ("report", "report-labels", "report-90-5-5", "report-90-5-5-labels")
    speakers = (("speaker-independent", fold) for fold in FOLDS + TESS_FOLDS)
    corpora = (("corpus-independent", corpus) for corpus in CORPORA)
    assert list(ALL_SPLITS) == [*((name, None) for name in random), *speakers, *corpora]


@pytest.mark.parametrize("name", ["splits.csv", "splits.json"])
def test_the_generated_file_is_the_committed_one(
    real_index: CorpusIndex, tmp_path: Path, name: str
) -> None:
    write_manifest(real_index.clips, tmp_path)
    assert (tmp_path / name).read_bytes() == (COMMITTED / name).read_bytes()


@pytest.mark.parametrize(("protocol", "fold"), ALL_SPLITS)
def test_a_committed_split_is_the_one_that_is_made(
    real_index: CorpusIndex, protocol: str, fold: str | None
) -> None:
    assert committed_split(protocol, fold) == make_split(real_index.clips, protocol, fold)


@pytest.mark.parametrize(("protocol", "fold"), ALL_SPLITS)
def test_a_committed_split_has_its_committed_hash(protocol: str, fold: str | None) -> None:
    split = committed_split(protocol, fold)
    facts = json.loads((COMMITTED / "splits.json").read_text(encoding="utf-8"))
    assert split.hash == facts[split.name]["hash"]


def test_a_split_that_is_not_committed_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        committed_split("speaker-independent", "6")


def test_the_files_written_are_returned(named_clips: tuple[Clip, ...], tmp_path: Path) -> None:
    paths = write_manifest(named_clips, tmp_path / "new")
    assert paths == [tmp_path / "new/splits.csv", tmp_path / "new/splits.json"]
    assert all(path.is_file() for path in paths)


def test_nothing_is_written_when_corpora_are_missing(
    named_clips: tuple[Clip, ...], tmp_path: Path
) -> None:
    clips = [clip for clip in named_clips if clip.corpus != "TESS"]
    with pytest.raises(CorporaError):
        write_manifest(clips, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_folder_that_cannot_be_made_is_a_storage_error(named_clips: tuple[Clip, ...]) -> None:
    with pytest.raises(StorageError, match=r"/sys/.*"):
        write_manifest(named_clips, Path("/sys/ser-edge"))
