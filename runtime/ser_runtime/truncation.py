"""Whether a file ends before its container says, which libsndfile overlooks."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import BinaryIO

UNKNOWN_LENGTH = 0x7FFF_0000
"""From here on a WAV data size is no size: recorders that write to a pipe cannot know it."""

_UNKNOWN_LONG_LENGTH = 1 << 62

# An Ogg page is at most this long (RFC 3533: 27 + 255 + 255 * 255 bytes).
_LONGEST_OGG_PAGE = 65_307
_OGG_HEADER = 27
_OGG_END_OF_STREAM = 0x04


def truncation(path: Path) -> str | None:
    """What is missing at the end of an audio file.

    WAV, RF64, W64, AIFF and AU tell their length, and the last page of Ogg (Opus, Vorbis) is
    marked. A FLAC file shows it when it is decoded; MP3 cannot tell.

    Args:
        path: A regular file.

    Returns:
        Such as `24000 bytes less than its header says`; None if nothing is known to be missing.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(12)
        missing = 0
        if start[:4] == b"RIFF":
            missing = _missing_from_wav(file, size)
        elif start[:4] == b"FORM" and len(start) == 12:
            missing = 8 + struct.unpack(">I", start[4:8])[0] - size
        elif start[:4] == b"RF64":
            # The first chunk (ds64) holds what the header has no room for: EBU Tech 3306.
            missing = _missing_from_whole(file.read(16)[8:], size - 8)
        elif start[:4] == b"riff":
            # A GUID of 16 bytes, then the length of the whole file.
            missing = _missing_from_whole((start + file.read(12))[16:], size)
        elif start[:4] == b".snd" and len(start) == 12:
            offset, promised = struct.unpack(">II", start[4:12])
            missing = 0 if promised >= UNKNOWN_LENGTH else offset + promised - size
        elif start[:4] == b"OggS" and not _ends_with_last_ogg_page(file, size):
            return "its last Ogg page is missing or cut"
    return f"{missing} bytes less than its header says" if missing > 0 else None


def _missing_from_whole(promised: bytes, size: int) -> int:
    """By a length of 64 bits."""
    if len(promised) < 8:
        return 0
    (length,) = struct.unpack("<Q", promised)
    return 0 if length >= _UNKNOWN_LONG_LENGTH else length - size


def _missing_from_wav(file: BinaryIO, size: int) -> int:
    while len(header := file.read(8)) == 8:
        name, promised = struct.unpack("<4sI", header)
        if name == b"data":
            return 0 if promised >= UNKNOWN_LENGTH else promised - (size - file.tell())
        file.seek(promised + promised % 2, os.SEEK_CUR)
    return 0


def _ends_with_last_ogg_page(file: BinaryIO, size: int) -> bool:
    """Whether the file's last page is whole and carries the end-of-stream mark."""
    file.seek(max(0, size - _LONGEST_OGG_PAGE))
    tail = file.read()
    page = tail[tail.rfind(b"OggS") :]
    if len(page) < _OGG_HEADER or not page[5] & _OGG_END_OF_STREAM:
        return False
    segments = page[_OGG_HEADER : _OGG_HEADER + page[26]]
    return len(segments) == page[26] and len(page) >= _OGG_HEADER + page[26] + sum(segments)
