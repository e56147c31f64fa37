"""Finding the clips under a folder, and what is wrong with them."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from synthetic_corpora import voice
from synthetic_corpora import write_corpora

from ser_runtime.errors import CorporaError
from ser_runtime.labels import EMOTIONS
from ser_train.corpora import CorpusIndex
from ser_train.corpora import read_corpora

SAME_AUDIO = {
    ("CREMA-D/1006_TIE_HAP_XX", "CREMA-D/1006_TIE_NEU_XX"),
    ("CREMA-D/1013_WSI_DIS_XX", "CREMA-D/1013_WSI_SAD_XX"),
    ("CREMA-D/1017_IWW_ANG_XX", "CREMA-D/1017_IWW_FEA_XX"),
    ("RAVDESS/03-01-03-01-02-01-07", "RAVDESS/03-01-03-01-02-02-07"),
}


def write(path: Path, emotion: str = "sad", seed: int = 0, rate: int = 16_000, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, voice(emotion, seed, seconds=0.2, rate=rate), rate, **options)
    return path


def ids(index: CorpusIndex) -> list[str]:
    return [clip.id for clip in index.clips]


def reasons(index: CorpusIndex) -> dict[str, str]:
    return {item.path.name: item.reason for item in index.left_out}


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """A folder with one good clip."""
    write(tmp_path / "SAVEE/AudioData/DC/sa01.wav")
    return tmp_path


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_all_made_up_clips_are_found(tmp_path: Path, suffix: str) -> None:
    count = write_corpora(tmp_path, suffix=suffix)
    index = read_corpora(tmp_path)
    assert len(index.clips) == count
    assert not index.left_out


def test_opus_files_are_found(tmp_path: Path) -> None:
    write(tmp_path / "DC_sa01.opus", format="OGG", subtype="OPUS")
    assert ids(read_corpora(tmp_path)) == ["SAVEE/DC_sa01"]


def test_clips_are_sorted_by_id(tiny_index: CorpusIndex) -> None:
    assert ids(tiny_index) == sorted(ids(tiny_index))


def test_facts_of_a_clip_are_those_of_its_file(tmp_path: Path) -> None:
    audio = np.zeros((4_410, 2), np.float32)
    audio[7, 1] = -0.5
    path = tmp_path / "KL_su03.wav"
    soundfile.write(path, audio, 44_100, subtype="FLOAT")
    (clip,) = read_corpora(tmp_path).clips
    assert (clip.corpus, clip.speaker, clip.emotion) == ("SAVEE", "KL", "surprise")
    assert (clip.sample_rate, clip.channels, clip.seconds, clip.peak) == (44_100, 2, 0.1, 0.5)


def test_a_clip_in_doubled_folders_counts_once(tmp_path: Path) -> None:
    inner = write(tmp_path / "RAVDESS/Actor_02/03-01-04-01-01-01-02.wav")
    doubled = tmp_path / "RAVDESS/audio_speech_actors_01-24/Actor_02" / inner.name
    doubled.parent.mkdir(parents=True)
    shutil.copy(inner, doubled)
    index = read_corpora(tmp_path)
    assert [clip.path for clip in index.clips] == [inner]
    assert [(item.path, item.reason) for item in index.left_out] == [
        (doubled, "duplicate name (same audio as the one used)")
    ]


def test_a_duplicate_name_with_other_audio_is_told_apart(good: Path) -> None:
    write(good / "a/copy/deeper/down/DC_sa01.wav", "happy")
    index = read_corpora(good)
    assert reasons(index) == {"DC_sa01.wav": "duplicate name (OTHER audio as the one used)"}


def test_the_first_copy_that_decodes_is_used(tmp_path: Path) -> None:
    (tmp_path / "DC_sa01.wav").write_bytes(b"no audio")
    write(tmp_path / "SAVEE/AudioData/DC/sa01.wav")
    assert ids(read_corpora(tmp_path)) == ["SAVEE/DC_sa01"]


def test_aiff_content_under_a_wav_name_is_read(good: Path) -> None:
    write(good / "TESS/OAF_back_sad.wav", format="AIFF")
    assert "TESS/OAF_back_sad" in ids(read_corpora(good))


def test_a_96_khz_file_among_others_keeps_its_own_rate(tmp_path: Path) -> None:
    write(tmp_path / "TESS/OAF_back_sad.wav", rate=24_414)
    write(tmp_path / "TESS/OAF_food_sad.wav", rate=96_000)
    rates = {clip.id: clip.sample_rate for clip in read_corpora(tmp_path).clips}
    assert rates == {"TESS/OAF_back_sad": 24_414, "TESS/OAF_food_sad": 96_000}


@pytest.mark.parametrize("content", [b"", b"no audio at all", b"RIFF\x10\x00\x00\x00WAVEfmt "])
def test_an_undecodable_file_is_left_out_with_a_reason(good: Path, content: bytes) -> None:
    (good / "DC_sa02.wav").write_bytes(content)
    index = read_corpora(good)
    assert ids(index) == ["SAVEE/DC_sa01"]
    assert reasons(index)["DC_sa02.wav"].startswith("undecodable: ")


def test_a_file_without_samples_is_left_out(good: Path) -> None:
    soundfile.write(good / "DC_sa02.wav", np.zeros(0), 16_000)
    assert reasons(read_corpora(good)) == {"DC_sa02.wav": "undecodable: no samples in it"}


def test_audio_that_is_no_clip_is_left_out_and_other_files_are_not_mentioned(good: Path) -> None:
    write(good / "music.wav")
    (good / "README.txt").write_text("hello")
    write(good / "._DC_sa09.wav")
    assert set(reasons(read_corpora(good))) == {"music.wav"}


def test_a_folder_with_an_audio_name_is_left_out(good: Path) -> None:
    (good / "DC_sa02.wav").mkdir()
    assert reasons(read_corpora(good))["DC_sa02.wav"].startswith("unreadable: ")


def test_corpora_behind_links_are_found_once(good: Path, tmp_path: Path) -> None:
    folder = tmp_path / "links"
    folder.mkdir()
    (folder / "SAVEE").symlink_to(good / "SAVEE")
    (folder / "SAVEE too").symlink_to(good / "SAVEE")
    (folder / "loop").symlink_to(folder)
    index = read_corpora(folder)
    assert [clip.id for clip in index.clips] == [
        clip.id for clip in read_corpora(good).clips if clip.id.startswith("SAVEE")
    ]
    assert index.left_out == ()


def test_a_silent_clip_is_counted_and_kept(good: Path) -> None:
    soundfile.write(good / "DC_sa02.wav", np.zeros(1_000), 16_000)
    index = read_corpora(good)
    assert [clip.id for clip in index.silent] == ["SAVEE/DC_sa02"]
    assert len(index.clips) == 2


def test_the_same_audio_under_two_labels_is_counted_and_kept(good: Path) -> None:
    shutil.copy(good / "SAVEE/AudioData/DC/sa01.wav", good / "DC_n01.wav")
    index = read_corpora(good)
    assert [[clip.id for clip in group] for group in index.same_audio] == [
        ["SAVEE/DC_n01", "SAVEE/DC_sa01"]
    ]
    assert len(index.clips) == 2


def test_without_odd_drops_silence_and_doubtful_labels_and_keeps_one_of_equals(
    tmp_path: Path,
) -> None:
    groups = (("DC_sa01", "DC_n01"), ("JE_h01", "JE_h02"), ("KL_a01",))
    for seed, names in enumerate(groups):
        first = write(tmp_path / f"{names[0]}.wav", seed=seed)
        for name in names[1:]:
            shutil.copy(first, tmp_path / f"{name}.wav")
    soundfile.write(tmp_path / "JK_a01.wav", np.zeros(1_000), 16_000)
    index = read_corpora(tmp_path).without_odd()
    assert ids(index) == ["SAVEE/JE_h01", "SAVEE/KL_a01"]
    assert sorted(reasons(index)) == ["DC_n01.wav", "DC_sa01.wav", "JE_h02.wav", "JK_a01.wav"]


def test_a_second_reading_from_memory_is_equal(tiny_corpora: Path, tmp_path: Path) -> None:
    memory = tmp_path / "memory.json"
    first = read_corpora(tiny_corpora, memory)
    assert memory.exists()
    assert read_corpora(tiny_corpora, memory) == first


def test_a_file_that_changed_is_noticed_in_spite_of_the_memory(good: Path) -> None:
    memory = good / "memory.json"
    before = read_corpora(good, memory)
    soundfile.write(good / "SAVEE/AudioData/DC/sa01.wav", np.full(500, 0.75), 8_000)
    (clip,) = read_corpora(good, memory).clips
    assert clip.sample_rate == 8_000
    assert clip.audio_hash != before.clips[0].audio_hash


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"version": 2, "fac',
        b"\xff\xfe",
        b"[]",
        b'{"version": 99, "facts": {}}',
        b'{"version": 2, "facts": []}',
        b'{"version": 2, "checksum": "", "facts": {"SHA": {}}}',
    ],
)
def test_a_corrupt_memory_is_ignored(good: Path, content: bytes) -> None:
    wanted = read_corpora(good)
    memory = good / "memory.json"
    memory.write_bytes(content.replace(b"SHA", wanted.clips[0].sha256.encode()))
    assert read_corpora(good, memory) == wanted


@pytest.mark.parametrize("value", [0.0, "loud"])
def test_a_changed_fact_is_not_believed(good: Path, value: object) -> None:
    memory = good / "memory.json"
    wanted = read_corpora(good, memory)
    content = json.loads(memory.read_text())
    content["facts"][wanted.clips[0].sha256]["peak"] = value
    memory.write_text(json.dumps(content))
    assert read_corpora(good, memory) == wanted


def test_content_hash_changes_when_a_file_changes(good: Path) -> None:
    before = read_corpora(good).content_hash
    write(good / "SAVEE/AudioData/DC/sa01.wav", seed=1)
    assert read_corpora(good).content_hash != before


def test_content_hash_stays_when_files_move_to_another_layout(good: Path) -> None:
    before = read_corpora(good).content_hash
    (good / "ALL").mkdir()
    shutil.move(good / "SAVEE/AudioData/DC/sa01.wav", good / "ALL/DC_sa01.wav")
    assert read_corpora(good).content_hash == before


def test_progress_reports_every_clip(good: Path) -> None:
    write(good / "DC_sa02.wav", seed=2)
    calls = []
    read_corpora(good, progress=lambda *call: calls.append(call))
    assert calls == [(1, 2), (2, 2)]


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorporaError, match=r"no such corpora folder: .*nowhere"):
        read_corpora(tmp_path / "nowhere")


def test_a_folder_without_clips_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "music.wav")
    with pytest.raises(CorporaError, match=r"no clip of RAVDESS.*1 other audio files"):
        read_corpora(tmp_path)


def test_real_corpora_have_the_clips_of_each_class(real_index: CorpusIndex) -> None:
    counts = Counter(clip.emotion for clip in real_index.clips)
    assert [counts[emotion] for emotion in EMOTIONS] == [1923, 1923, 1923, 1923, 1895, 1923, 652]


def test_real_corpora_have_the_clips_of_each_corpus(real_index: CorpusIndex) -> None:
    counts = Counter(clip.corpus for clip in real_index.clips)
    assert counts == {"RAVDESS": 1440, "SAVEE": 480, "TESS": 2800, "CREMA-D": 7442}


def test_real_corpora_have_121_speakers(real_index: CorpusIndex) -> None:
    speakers = {(clip.corpus, clip.speaker) for clip in real_index.clips}
    counts = Counter(corpus for corpus, _ in speakers)
    assert counts == {"RAVDESS": 24, "SAVEE": 4, "TESS": 2, "CREMA-D": 91}


def test_real_corpora_leave_nothing_out(real_index: CorpusIndex) -> None:
    assert real_index.left_out == ()


def test_one_real_clip_is_silent(real_index: CorpusIndex) -> None:
    assert [clip.id for clip in real_index.silent] == ["CREMA-D/1076_MTI_SAD_XX"]


def test_four_pairs_of_real_clips_have_the_same_audio(real_index: CorpusIndex) -> None:
    groups = [tuple(clip.id for clip in group) for group in real_index.same_audio]
    assert len(groups) == 4
    assert set(groups) == SAME_AUDIO
