"""Features, labels and split brought together."""

from __future__ import annotations

import numpy as np
import pytest

from ser_runtime.feature_spec import FeatureSpec
from ser_runtime.labels import EMOTIONS
from ser_train.corpora import Clip
from ser_train.dataset import Dataset
from ser_train.dataset import make_dataset
from ser_train.features.cache import ClipFeatures
from ser_train.splits import Split
from ser_train.splits import make_split

Clips = tuple[Clip, ...]
NOISY_COPIES = 2


@pytest.fixture(scope="module")
def features(named_clips: Clips) -> ClipFeatures:
    """One value a clip and copy: row + copy / 10."""
    rows, copies = np.arange(len(named_clips))[:, None], np.arange(1 + NOISY_COPIES) / 10
    values = (rows + copies).astype(np.float32)[:, :, None, None]
    return ClipFeatures(tuple(clip.id for clip in named_clips), values)


@pytest.fixture(scope="module")
def split(named_clips: Clips) -> Split:
    return make_split(named_clips, "report-labels")


@pytest.fixture(scope="module")
def data(named_clips: Clips, split: Split, features: ClipFeatures) -> Dataset:
    return make_dataset(named_clips, split, features, NOISY_COPIES)


def test_9728_training_clips_with_two_noisy_copies_are_29184_samples(data: Dataset) -> None:
    assert len(data.train) == 29_184


def test_features_may_be_as_large_as_the_real_ones(named_clips: Clips, split: Split) -> None:
    shape = (len(named_clips), 3, *FeatureSpec(n_mfcc=128).shape)
    values = np.broadcast_to(np.float32(0), shape)
    fake = ClipFeatures(tuple(clip.id for clip in named_clips), values)
    assert make_dataset(named_clips[:], split, fake, 2).train.raw(slice(5)).shape == (5, 128, 94)


@pytest.mark.parametrize("name", ["validation", "test"])
def test_validation_and_test_stay_clean(data: Dataset, name: str) -> None:
    samples = getattr(data, name)
    assert len(samples) == 1_217
    assert not samples.copies.any()


@pytest.mark.parametrize("name", ["train", "validation", "test"])
def test_each_sample_is_of_its_clip_and_copy(
    data: Dataset, features: ClipFeatures, name: str
) -> None:
    samples = getattr(data, name)
    row_of = {clip_id: row for row, clip_id in enumerate(features.ids)}
    wanted = np.array([row_of[clip_id] for clip_id in samples.ids]) + samples.copies / 10
    np.testing.assert_array_equal(samples.raw()[:, 0, 0], wanted.astype(np.float32))


@pytest.mark.parametrize("name", ["train", "validation", "test"])
def test_each_sample_has_the_class_of_its_clip(
    data: Dataset, named_clips: Clips, name: str
) -> None:
    samples = getattr(data, name)
    emotion_of = {
        clip.id: "surprise" if clip.corpus == "SAVEE" else clip.emotion for clip in named_clips
    }
    assert [EMOTIONS[i] for i in samples.classes] == [emotion_of[i] for i in samples.ids]


def test_training_holds_every_copy_of_every_training_clip(data: Dataset, split: Split) -> None:
    wanted = {(clip_id, copy) for clip_id in split.train for copy in range(3)}
    assert set(zip(data.train.ids, data.train.copies.tolist(), strict=True)) == wanted


def test_savee_has_its_own_labels_under_right_labels(
    named_clips: Clips, features: ClipFeatures
) -> None:
    data = make_dataset(named_clips, make_split(named_clips, "report"), features, 0)
    savee = [i for i, clip_id in enumerate(data.test.ids) if clip_id.startswith("SAVEE/")]
    assert len(set(data.test.classes[savee])) == 7


def test_standardization_is_of_the_clean_training_clips(
    data: Dataset, features: ClipFeatures, split: Split
) -> None:
    clean = features.values[features.rows(split.train), 0].astype(np.float64)
    assert data.standardization.mean[0, 0] == pytest.approx(clean.mean(), rel=1e-6)
    assert data.standardization.deviation[0, 0] == pytest.approx(clean.std(), rel=1e-6)


@pytest.mark.parametrize("name", ["train", "validation", "test"])
def test_all_sets_share_the_standardization(data: Dataset, name: str) -> None:
    samples = getattr(data, name)
    which = np.array([3, 1])
    np.testing.assert_array_equal(
        samples.standardized(which), data.standardization(samples.raw(which))
    )
