"""Audio files of many kinds, whole and damaged."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from synthetic_corpora import voice

from ser_runtime.audio_file import AudioFile
from ser_runtime.errors import AudioError

TONE = voice("neutral", seed=3, seconds=2.5)


def read(path: Path) -> NDArray[np.float32]:
    with AudioFile(path) as audio:
        return np.concatenate(list(audio.blocks()))


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def write(path: Path, rate: int = 16_000, **options: str) -> Path:
    soundfile.write(path, TONE, rate, **options)
    return path


@pytest.mark.parametrize(
    ("name", "subtype", "tolerance"),
    [
        ("a.wav", "PCM_U8", 2**-7),
        ("a.wav", "PCM_16", 2**-15),
        ("a.wav", "PCM_24", 2**-23),
        ("a.wav", "FLOAT", 0.0),
        ("a.wav", "DOUBLE", 0.0),
        ("a.wav", "ULAW", 0.02),
        ("a.flac", "PCM_16", 2**-15),
        ("a.flac", "PCM_24", 2**-23),
        ("a.aiff", "PCM_16", 2**-15),
        ("a.au", "PCM_16", 2**-15),
        ("a.caf", "PCM_24", 2**-23),
        ("a.w64", "PCM_16", 2**-15),
    ],
)
def test_a_lossless_file_has_the_samples_that_were_written(
    tmp_path: Path, name: str, subtype: str, tolerance: float
) -> None:
    path = write(tmp_path / name, subtype=subtype)
    np.testing.assert_allclose(read(path)[:, 0], TONE, atol=tolerance)


@pytest.mark.parametrize(
    ("name", "subtype"), [("a.ogg", "OPUS"), ("a.ogg", "VORBIS"), ("a.mp3", "MPEG_LAYER_III")]
)
def test_a_compressed_file_sounds_as_what_was_written(
    tmp_path: Path, name: str, subtype: str
) -> None:
    audio = read(write(tmp_path / name, subtype=subtype))[:, 0]
    count = min(len(audio), len(TONE))
    assert abs(len(audio) - len(TONE)) < 0.1 * 16_000
    levels = [float(np.sqrt(np.mean(np.square(part[:count])))) for part in (audio, TONE)]
    assert levels[0] == pytest.approx(levels[1], rel=0.2)


@pytest.mark.parametrize("rate", [8_000, 22_050, 96_000])
def test_the_files_own_rate_is_told(tmp_path: Path, rate: int) -> None:
    with AudioFile(write(tmp_path / "a.wav", rate)) as audio:
        assert (audio.sample_rate, audio.channels) == (rate, 1)
        assert audio.seconds == len(TONE) / rate


def test_channels_stay_apart(tmp_path: Path) -> None:
    stereo = np.stack([TONE, -0.5 * TONE], axis=1)
    soundfile.write(tmp_path / "a.wav", stereo, 16_000, subtype="FLOAT")
    np.testing.assert_array_equal(read(tmp_path / "a.wav"), stereo)


def test_blocks_are_a_second_long_at_most(tmp_path: Path) -> None:
    with AudioFile(write(tmp_path / "a.wav")) as audio:
        assert [block.shape for block in audio.blocks()] == [(16_000, 1), (16_000, 1), (8_000, 1)]


def test_a_path_may_be_text_too(tmp_path: Path) -> None:
    with AudioFile(str(write(tmp_path / "a.wav"))) as audio:
        assert audio.sample_rate == 16_000


def test_the_suffix_does_not_matter(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav").rename(tmp_path / "recording")
    assert len(read(path)) == len(TONE)


def test_a_missing_file_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"no such file.*none\.wav"):
        read(tmp_path / "none.wav")


def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="xxx"):
        read(tmp_path / ("x" * 300))


def test_a_folder_is_refused_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "clips.wav").mkdir()
    with pytest.raises(AudioError, match=r"clips\.wav is a folder"):
        read(tmp_path / "clips.wav")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"not audio at all\n" * 100, "not audio"),
        (b"RIFF", "not audio"),
        (b"RIFF\x00\x00\x00\x00WAVE", "not audio"),
        (b"fLaC" + bytes(100), "not audio"),
        (b"OggS" + bytes(100), "not audio"),
        (bytes(5_000), "not audio"),
    ],
    ids=lambda value: str(value)[:12],
)
def test_content_that_is_no_audio_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "spoilt.wav"
    path.write_bytes(content)
    with pytest.raises(AudioError, match=rf"spoilt\.wav.*{reason}"):
        read(path)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.aiff"])
def test_a_file_without_samples_is_refused(tmp_path: Path, name: str) -> None:
    soundfile.write(tmp_path / name, np.zeros(0, np.float32), 16_000)
    with pytest.raises(AudioError, match=name):
        read(tmp_path / name)


def without_the_second_half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def without_the_last_bytes(content: bytes) -> bytes:
    return content[:-100]


@pytest.mark.parametrize("cut", [without_the_second_half, without_the_last_bytes])
@pytest.mark.parametrize(
    ("name", "subtype"),
    [("a.wav", "PCM_16"), ("a.wav", "FLOAT"), ("a.flac", "PCM_16"), ("a.aiff", "PCM_16")],
)
def test_a_truncated_file_is_refused(
    tmp_path: Path, name: str, subtype: str, cut: Callable[[bytes], bytes]
) -> None:
    path = write(tmp_path / name, subtype=subtype)
    path.write_bytes(cut(path.read_bytes()))
    with pytest.raises(AudioError, match=name):
        read(path)


def test_a_flac_file_with_a_damaged_middle_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac")
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4_000] = bytes(4_000)
    path.write_bytes(content)
    with pytest.raises(AudioError, match=r"a\.flac"):
        read(path)


@pytest.mark.parametrize("length", [0xFFFF_FFFF, 0x7FFF_FFFF, 0x7FFF_F000])
def test_a_wav_file_of_unknown_length_is_taken_to_its_end(tmp_path: Path, length: int) -> None:
    path = write(tmp_path / "a.wav")
    content = bytearray(path.read_bytes())
    data = content.index(b"data")
    content[data + 4 : data + 8] = struct.pack("<I", length)
    content[4:8] = struct.pack("<I", min(length + 36, 0xFFFF_FFFF))
    path.write_bytes(content)
    np.testing.assert_allclose(read(path)[:, 0], TONE, atol=2**-15)


def test_what_follows_the_wav_samples_is_not_audio(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav")
    with path.open("ab") as file:
        file.write(b"LIST" + struct.pack("<I", 2_000) + bytes(2_000))
    assert len(read(path)) == len(TONE)


def test_the_file_is_closed_at_the_end_of_the_block(tmp_path: Path) -> None:
    with AudioFile(write(tmp_path / "a.wav")) as audio:
        blocks = audio.blocks()
    with pytest.raises(RuntimeError, match="closed"):
        next(blocks)


@pytest.mark.parametrize(("rate", "channels", "named"), [(999, 1, "999 Hz"), (16_000, 65, "65 ch")])
def test_a_file_beyond_the_limits_is_named(
    tmp_path: Path, rate: int, channels: int, named: str
) -> None:
    path = tmp_path / "odd.wav"
    soundfile.write(path, np.zeros((100, channels)), rate)
    with pytest.raises(AudioError, match=rf"odd\.wav has {named}"), AudioFile(path):
        pass


@pytest.mark.parametrize("name", [b"caf\xe9.wav", b"a.raw", b"$x$ \xe6\x84\x9f.wav"])
def test_the_name_does_not_matter(tmp_path: Path, name: bytes) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
    write(tmp_path / "a.wav").rename(path)
    assert len(read(path)) == len(TONE)


def test_what_is_headerless_is_refused_and_closed(tmp_path: Path) -> None:
    path = tmp_path / "a.raw"
    path.write_bytes(b"\1\2" * 1_000)
    before = open_files()
    with pytest.raises(AudioError, match="is not audio that can be read"):
        read(path)
    assert open_files() == before


def test_a_read_file_is_closed(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav")
    before = open_files()
    read(path)
    assert open_files() == before
