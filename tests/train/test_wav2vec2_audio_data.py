"""The waveforms that wav2vec2 is trained on, and how they are normalized."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import soundfile
from synthetic_corpora import voice

from ser_runtime.errors import CorporaError
from ser_runtime.labels import EMOTIONS
from ser_train.corpora import CorpusIndex
from ser_train.corpora import read_corpora
from ser_train.corpora.clip import read_clip
from ser_train.splits import Split
from ser_train.splits import label_of
from ser_train.wav2vec2.audio_data import SAMPLE_RATE
from ser_train.wav2vec2.audio_data import WINDOW_SAMPLES
from ser_train.wav2vec2.audio_data import AudioDataset
from ser_train.wav2vec2.audio_data import load_audio
from ser_train.wav2vec2.inputs import encode
from ser_train.wav2vec2.inputs import make_feature_extractor

LENGTHS = (400, 20_000, 47_999, 48_000, 48_001, 70_000)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> CorpusIndex:
    """Clips shorter than the window, as long as it, and longer; one is silent, one overloaded."""
    folder = tmp_path_factory.mktemp("corpora") / "DC"
    folder.mkdir()
    for number, samples in enumerate(LENGTHS, 1):
        audio = voice("sad", number, seconds=samples / SAMPLE_RATE)
        soundfile.write(folder / f"sa{number:02d}.wav", audio, SAMPLE_RATE, subtype="FLOAT")
    soundfile.write(folder / "n01.wav", np.zeros(20_000), SAMPLE_RATE)
    soundfile.write(folder / "n02.wav", np.full(20_000, 1.5), SAMPLE_RATE, subtype="FLOAT")
    return read_corpora(folder.parent)


@pytest.fixture(scope="module")
def split(index: CorpusIndex) -> Split:
    ids = tuple(clip.id for clip in index.clips)
    return Split("report-labels", None, ids, ids[:2], ids[2:3])


@pytest.fixture(scope="module")
def audio_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def data(index: CorpusIndex, split: Split, audio_cache: Path) -> AudioDataset:
    return load_audio(index, split, audio_cache, workers=1)


def test_waveforms_are_the_first_3_s_of_each_clip(index: CorpusIndex, data: AudioDataset) -> None:
    for number, clip in enumerate(index.clips):
        wanted = np.clip(read_clip(clip.path, SAMPLE_RATE)[:WINDOW_SAMPLES], -1, 1)
        (waveform,) = data.train.waveforms([number])
        assert waveform.dtype == np.float32
        np.testing.assert_allclose(waveform, wanted, atol=1 / 32768, err_msg=clip.id)


def test_waveforms_come_in_the_order_asked_for(data: AudioDataset) -> None:
    first, last = data.train.waveforms([0]), data.train.waveforms([len(data.train) - 1])
    both = data.train.waveforms(np.array([len(data.train) - 1, 0]))
    np.testing.assert_array_equal(both[0], last[0])
    np.testing.assert_array_equal(both[1], first[0])


def test_each_set_holds_the_clips_of_the_split(data: AudioDataset, split: Split) -> None:
    for name in ("train", "validation", "test"):
        samples = getattr(data, name)
        assert samples.ids == getattr(split, name)
        assert len(samples) == len(samples.classes) == len(samples.ids)
    np.testing.assert_array_equal(data.test.waveforms([0])[0], data.train.waveforms([2])[0])


def test_classes_are_the_labels_of_the_protocol(index: CorpusIndex, data: AudioDataset) -> None:
    labels = [label_of(clip, "report-labels") for clip in index.clips]
    assert [EMOTIONS[number] for number in data.train.classes] == labels
    assert set(labels) == {"surprise"}


def test_a_second_call_decodes_nothing(
    index: CorpusIndex, split: Split, data: AudioDataset, audio_cache: Path
) -> None:
    def refuse(done: int, total: int) -> None:
        raise AssertionError("clips are decoded")

    again = load_audio(index, split, audio_cache, refuse)
    np.testing.assert_array_equal(again.train.audio, data.train.audio)


def test_a_clip_that_is_gone_is_a_corpora_error(
    tiny_index: CorpusIndex, split: Split, tmp_path: Path
) -> None:
    gone = dataclasses.replace(tiny_index.clips[0], path=tmp_path / "gone.wav")
    index = dataclasses.replace(tiny_index, clips=(gone,))
    with pytest.raises(CorporaError, match=r"cannot read .*gone\.wav any more"):
        load_audio(index, split, tmp_path, workers=1)


def test_a_clip_is_normalized_over_its_own_samples_and_padded_with_zeros() -> None:
    audio = voice("happy", 0, seconds=1.0) + 0.3
    batch = encode(make_feature_extractor(), [audio])
    values, mask = batch.input_values[0].numpy(), batch.attention_mask[0].numpy()
    assert values.shape == mask.shape == (WINDOW_SAMPLES,)
    assert mask.sum() == len(audio) == mask[: len(audio)].sum()
    assert not values[len(audio) :].any()
    deviation = np.sqrt(audio.var() + 1e-7)
    np.testing.assert_allclose(values[: len(audio)], (audio - audio.mean()) / deviation, atol=1e-4)


def test_of_a_longer_clip_the_first_3_s_are_taken_before_normalizing() -> None:
    audio = np.concatenate([voice("sad", 0, seconds=3.0), np.full(8_000, 0.9, np.float32)])
    extractor = make_feature_extractor()
    long, cut = (encode(extractor, [clip]) for clip in (audio, audio[:WINDOW_SAMPLES]))
    np.testing.assert_array_equal(long.input_values, cut.input_values)
    assert long.attention_mask.all()


def test_silence_stays_finite() -> None:
    batch = encode(make_feature_extractor(), [np.zeros(16_000, np.float32)])
    assert not batch.input_values.any()
