"""Raw PCM from a pipe, such as `arecord | ser-listen -`. A WAV header at its start is honoured."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from ser_runtime.errors import AudioError
from ser_runtime.errors import UsageError
from ser_runtime.samples import HIGHEST_RATE
from ser_runtime.samples import LOWEST_RATE
from ser_runtime.samples import MOST_CHANNELS
from ser_runtime.truncation import UNKNOWN_LENGTH

SAMPLE_TYPES = {
    "s16le": np.dtype("<i2"),
    "s24le": np.dtype("V3"),  # three bytes: numpy has no such number
    "s32le": np.dtype("<i4"),
    "f32le": np.dtype("<f4"),
}
_BLOCK_SECONDS = 0.1
_LARGEST_CHUNK = 1 << 20
_OTHER_CONTAINERS = {
    b"fLaC": "FLAC",
    b"OggS": "Ogg",
    b"ID3": "MP3",
    # Without tags an MP3 starts with a frame: MPEG 1 or 2, layer III, with a checksum or not.
    b"\xff\xfb": "MP3",
    b"\xff\xfa": "MP3",
    b"\xff\xf3": "MP3",
    b"\xff\xf2": "MP3",
    b"FORM": "AIFF",
    b"RF64": "RF64",
    b"RIFX": "RIFX",
    b"riff": "W64",
    b".snd": "AU",
    b"caff": "CAF",
}
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE


class CutOffError(AudioError):
    """A stream that ended before its header says; what came before is worth its results."""


@dataclass(frozen=True)
class PcmFormat:
    """How samples stand in a byte stream.

    Attributes:
        sample_rate: Hz.
        channels: Interleaved.
        sample_type: Key of `SAMPLE_TYPES`.
    """

    sample_rate: int = 16_000
    channels: int = 1
    sample_type: str = "s16le"

    def __post_init__(self) -> None:
        """Refuse what cannot be.

        Raises:
            UsageError: Naming the field and its value.
        """
        if not 1 <= self.channels <= MOST_CHANNELS:
            raise UsageError(f"channels must be 1 to {MOST_CHANNELS}, not {self.channels}")
        if not LOWEST_RATE <= self.sample_rate <= HIGHEST_RATE:
            raise UsageError(
                f"the sample rate must be {LOWEST_RATE} to {HIGHEST_RATE} Hz, "
                f"not {self.sample_rate}"
            )
        if self.sample_type not in SAMPLE_TYPES:
            raise UsageError(
                f"sample type {self.sample_type!r} is none of {', '.join(SAMPLE_TYPES)}"
            )


class PcmStream:
    """Samples from a byte stream.

    Attributes:
        format: The given one, or that of the stream's WAV header.
    """

    def __init__(self, source: BinaryIO, pcm_format: PcmFormat) -> None:
        """Read the first bytes, to see whether they are a WAV header.

        Raises:
            AudioError: If there is a WAV header of a format that is not PCM, or another
                container.
        """
        self._source = source
        self._ahead = source.read(12)
        self._left: int | None = None  # bytes of samples still to come, where a header says it
        self.format = pcm_format
        for magic, name in _OTHER_CONTAINERS.items():
            if self._ahead.startswith(magic):
                raise AudioError(
                    f"standard input holds {name}, not PCM: give the file by name, or decode it "
                    "first (ffmpeg -i FILE -f s16le -ac 1 -ar 16000 -)"
                )
        if self._ahead[:4] == b"RIFF" and self._ahead[8:] == b"WAVE":
            self._ahead = b""
            self.format = self._read_wav_header()

    def blocks(self) -> Iterator[NDArray[np.generic]]:
        """The samples as they come: int16, int32 or float32 [samples, channels].

        24 bits come as int32, of its full scale. A last frame of which bytes are missing is left
        out.

        Raises:
            AudioError: If there are no samples at all.
            CutOffError: Behind the last of them, if a WAV header told of more.
        """
        sample_type = SAMPLE_TYPES[self.format.sample_type]
        frame_bytes = sample_type.itemsize * self.format.channels
        wanted = max(1, int(self.format.sample_rate * _BLOCK_SECONDS)) * frame_bytes
        rest, any_yet = self._ahead, False
        while True:
            new = self._read(max(wanted - len(rest), 1))
            content = rest + new
            whole = len(content) - len(content) % frame_bytes
            if whole:
                any_yet = True
                samples = _samples(content[:whole], sample_type)
                yield samples.reshape(-1, self.format.channels)
            rest = content[whole:]
            if not new:
                break
        if not any_yet:
            raise AudioError("no audio on standard input")
        if self._left:
            raise CutOffError(
                f"standard input is truncated: {self._left} bytes less than its WAV header says"
            )

    def _read(self, count: int) -> bytes:
        """The next bytes of samples; what follows them in a WAV stream is no audio."""
        if self._left is None:
            return self._source.read(count)
        content = self._source.read(min(count, self._left))
        self._left -= len(content)
        return content

    def _read_wav_header(self) -> PcmFormat:
        found = None
        while True:
            name, size = struct.unpack("<4sI", self._exactly(8))
            if name == b"data":
                if found is None:
                    raise AudioError("the WAV header on standard input has no format")
                self._left = size if 0 < size < UNKNOWN_LENGTH else None
                return found
            if size > _LARGEST_CHUNK:
                raise AudioError("the WAV header on standard input is damaged")
            content = self._exactly(size + size % 2)
            if name == b"fmt ":
                found = _wav_format(content)

    def _exactly(self, count: int) -> bytes:
        content = self._source.read(count)
        if len(content) < count:
            raise AudioError("standard input ends within its WAV header")
        return content


def _samples(content: bytes, sample_type: np.dtype[Any]) -> NDArray[np.generic]:
    """Numbers in this machine's byte order: int16, int32 or float32 [samples of all channels]."""
    if sample_type.itemsize == 3:
        wide = np.zeros((len(content) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(content, np.uint8).reshape(-1, 3)
        content, sample_type = wide.tobytes(), SAMPLE_TYPES["s32le"]
    samples = np.frombuffer(content, sample_type)
    return samples.astype(sample_type.newbyteorder("="), copy=False)


def _wav_format(content: bytes) -> PcmFormat:
    if len(content) < 16:
        raise AudioError("the WAV header on standard input is damaged")
    tag, channels, rate, _, _, bits = struct.unpack("<HHIIHH", content[:16])
    if tag == _EXTENSIBLE and len(content) >= 26:
        tag = struct.unpack("<H", content[24:26])[0]
    known = {
        (_PCM, 16): "s16le",
        (_PCM, 24): "s24le",
        (_PCM, 32): "s32le",
        (_FLOAT, 32): "f32le",
    }
    if (tag, bits) not in known or not channels:
        raise AudioError(
            f"WAV on standard input has format {tag} with {bits} bits and {channels} channels; "
            "taken are 16-, 24- and 32-bit PCM and 32-bit float"
        )
    try:
        return PcmFormat(rate, channels, known[tag, bits])
    except UsageError as error:
        raise AudioError(f"the WAV header on standard input: {error}") from error
