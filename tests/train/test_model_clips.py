"""The clips that a model file was measured on, by its metadata alone."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import numpy as np
import pytest

from ser_runtime.errors import CorporaError
from ser_runtime.errors import ModelFileError
from ser_runtime.labels import EMOTIONS
from ser_runtime.model import Model
from ser_runtime.model_metadata import ModelMetadata
from ser_train.corpora import Clip
from ser_train.corpora import CorpusIndex
from ser_train.model_clips import model_clips
from ser_train.split_manifest import committed_split

ROOT = Path(__file__).resolve().parents[2]
PREDICTIONS = ROOT / "train" / "results" / "cnn-report-seed0" / "predictions.csv"


@pytest.fixture(scope="module")
def index(named_clips: tuple[Clip, ...]) -> CorpusIndex:
    return CorpusIndex(Path("corpora"), named_clips, ())


def model_of(metadata: ModelMetadata, **facts: object) -> Model:
    """A model that nothing will be asked of but its metadata."""
    return Model(None, dataclasses.replace(metadata, **facts), "some.onnx")


@pytest.mark.parametrize("name", ["validation", "test"])
def test_clips_and_classes_are_those_of_the_run_that_the_model_was_exported_from(
    index: CorpusIndex, name: str
) -> None:
    clips = model_clips(Model.open("cnn"), index, name)
    with PREDICTIONS.open(newline="", encoding="utf-8") as lines:
        rows = [row for row in csv.DictReader(lines) if row["set"] == name]
    assert [clip.id for clip in clips.clips] == [row["clip"] for row in rows]
    assert [EMOTIONS[number] for number in clips.classes] == [row["emotion"] for row in rows]


def test_labels_are_those_of_the_models_protocol(
    index: CorpusIndex, metadata: ModelMetadata
) -> None:
    split = committed_split("report-labels")
    clips = model_clips(
        model_of(metadata, protocol="report-labels", split_hash=split.hash), index, "test"
    )
    savee = [clip.corpus == "SAVEE" for clip in clips.clips]
    assert {EMOTIONS[number] for number in clips.classes[savee]} == {"surprise"}


def test_the_fold_is_part_of_the_splits_name(index: CorpusIndex, metadata: ModelMetadata) -> None:
    split = committed_split("speaker-independent", "3")
    clips = model_clips(
        model_of(metadata, protocol="speaker-independent-3", split_hash=split.hash), index
    )
    assert tuple(clip.id for clip in clips.clips) == split.test
    assert clips.clusters[0] == f"{clips.clips[0].corpus} {clips.clips[0].speaker}"


def test_shared_speakers_are_no_clusters(index: CorpusIndex) -> None:
    clips = model_clips(Model.open("cnn"), index)
    assert clips.clusters == tuple(clip.id for clip in clips.clips)


def test_a_split_without_the_odd_clips_is_found(
    index: CorpusIndex, metadata: ModelMetadata
) -> None:
    from ser_train.splits import make_split

    silent = dataclasses.replace(index.clips[7], peak=0.0)
    with_odd = dataclasses.replace(index, clips=(*index.clips[:7], silent, *index.clips[8:]))
    split = make_split(with_odd.without_odd().clips, "report")
    clips = model_clips(model_of(metadata, split_hash=split.hash), with_odd)
    assert tuple(clip.id for clip in clips.clips) == split.test


def test_other_clips_are_refused_with_both_hashes(
    index: CorpusIndex, metadata: ModelMetadata
) -> None:
    hashes = f"{'0' * 16}, of theirs {committed_split('report').hash}"
    with pytest.raises(CorporaError, match=hashes):
        model_clips(model_of(metadata), index)


def test_missing_corpora_are_refused(index: CorpusIndex) -> None:
    only_tess = tuple(clip for clip in index.clips if clip.corpus == "TESS")
    with pytest.raises(CorporaError, match=r"measured on other clips than those in corpora"):
        model_clips(Model.open("cnn"), dataclasses.replace(index, clips=only_tess))


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"protocol": "random"}, "'random', which this version does not know"),
        ({"labels": ("good", "bad")}, "recognizes good, bad"),
    ],
)
def test_a_foreign_model_is_refused(
    index: CorpusIndex, metadata: ModelMetadata, facts: dict[str, object], message: str
) -> None:
    with pytest.raises(ModelFileError, match=message):
        model_clips(model_of(metadata, **facts), index)


def test_a_sample_is_the_same_for_a_seed_and_in_order(index: CorpusIndex) -> None:
    clips = model_clips(Model.open("cnn"), index)
    sample = clips.sample(50, seed=1)
    assert sample.clips == clips.sample(50, seed=1).clips != clips.sample(50, seed=2).clips
    assert list(sample.clips) == sorted(set(sample.clips))
    rows = [clips.clips.index(clip) for clip in sample.clips]
    np.testing.assert_array_equal(sample.classes, clips.classes[rows])


def test_a_sample_of_more_clips_than_there_are_is_all_of_them(index: CorpusIndex) -> None:
    clips = model_clips(Model.open("cnn"), index)
    assert clips.sample(10_000, seed=0) is clips
