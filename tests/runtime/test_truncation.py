"""Files that were cut: which containers tell."""

from __future__ import annotations

from pathlib import Path

import pytest
import soundfile
from synthetic_corpora import voice

from ser_runtime.truncation import truncation

KINDS = [
    ("WAV", "PCM_16"),
    ("WAV", "FLOAT"),
    ("RF64", "PCM_16"),
    ("W64", "PCM_16"),
    ("AIFF", "PCM_16"),
    ("AU", "PCM_16"),
    ("OGG", "OPUS"),
    ("OGG", "VORBIS"),
]


def write(path: Path, kind: str, subtype: str) -> Path:
    soundfile.write(path, voice("sad", 1, 2.0), 16_000, format=kind, subtype=subtype)
    return path


@pytest.mark.parametrize(("kind", "subtype"), KINDS)
def test_a_whole_file_is_whole(tmp_path: Path, kind: str, subtype: str) -> None:
    assert truncation(write(tmp_path / "clip", kind, subtype)) is None


@pytest.mark.parametrize(("kind", "subtype"), KINDS)
@pytest.mark.parametrize("kept", [0.5, 0.9, 0.999])
def test_a_cut_file_is_told(tmp_path: Path, kind: str, subtype: str, kept: float) -> None:
    path = write(tmp_path / "clip", kind, subtype)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    assert truncation(path)


def test_a_recorder_that_could_not_know_the_length_is_whole(tmp_path: Path) -> None:
    path = write(tmp_path / "clip", "WAV", "PCM_16")
    content = bytearray(path.read_bytes())
    start = content.index(b"data") + 4
    content[start : start + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    assert truncation(path) is None


@pytest.mark.parametrize(
    "content", [b"", b"RIFF", b"RF64", b"riff", b"FORM", b".snd", b"OggS", b"no audio at all"]
)
def test_what_is_hardly_a_file_raises_nothing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "clip"
    path.write_bytes(content)
    truncation(path)
