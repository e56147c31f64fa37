"""Samples from a byte stream, raw or behind a WAV header."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from synthetic_corpora import voice

from ser_runtime.errors import AudioError
from ser_runtime.errors import SerError
from ser_runtime.pcm_stream import CutOffError
from ser_runtime.pcm_stream import PcmFormat
from ser_runtime.pcm_stream import PcmStream

TONE = voice("fear", seed=1, seconds=0.35)
S16 = (TONE * 32_767).astype("<i2")


def read(content: bytes, pcm_format: PcmFormat | None = None) -> NDArray[np.generic]:
    return np.concatenate(list(PcmStream(io.BytesIO(content), pcm_format or PcmFormat()).blocks()))


def wav_bytes(samples: NDArray[np.float32], rate: int = 16_000, **options: str) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, **({"format": "WAV"} | options))
    return buffer.getvalue()


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(
    ("sample_type", "dtype"), [("s16le", np.int16), ("s32le", np.int32), ("f32le", np.float32)]
)
def test_raw_samples_come_as_they_were_sent(
    sample_type: str, dtype: type[np.generic], channels: int
) -> None:
    scale = 1.0 if dtype is np.float32 else float(np.iinfo(dtype).max)
    samples = (TONE[: 2 * (len(TONE) // 2)] * scale).astype(dtype).reshape(-1, channels)
    little = samples.astype(samples.dtype.newbyteorder("<"))
    got = read(little.tobytes(), PcmFormat(16_000, channels, sample_type))
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, samples)


def test_samples_of_24_bits_come_as_int32_of_its_full_scale() -> None:
    values = [0, 1, -1, 2**23 - 1, -(2**23), 0x123456]
    content = b"".join(value.to_bytes(3, "little", signed=True) for value in values)
    got = read(content + b"\x01\x02", PcmFormat(sample_type="s24le"))
    assert got.dtype == np.int32
    assert (got[:, 0] // 256).tolist() == values
    assert (got[:, 0] % 256 == 0).all()


def test_blocks_are_a_tenth_of_a_second() -> None:
    stream = PcmStream(io.BytesIO(S16.tobytes()), PcmFormat())
    assert [len(block) for block in stream.blocks()] == [1_600, 1_600, 1_600, 800]


class Trickle(io.RawIOBase):
    """A pipe that gives three bytes at a time."""

    def __init__(self, content: bytes) -> None:
        self._rest = content

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        part, self._rest = self._rest[: min(3, len(buffer))], self._rest[min(3, len(buffer)) :]
        buffer[: len(part)] = part
        return len(part)


@pytest.mark.parametrize("header", [True, False])
def test_a_pipe_that_trickles_gives_the_same_samples(header: bool) -> None:
    content = wav_bytes(TONE) if header else S16.tobytes()
    stream = PcmStream(io.BufferedReader(Trickle(content), 16), PcmFormat())
    np.testing.assert_array_equal(np.concatenate(list(stream.blocks())), read(content))


def test_a_last_sample_that_is_cut_is_left_out() -> None:
    np.testing.assert_array_equal(read(S16.tobytes()[:-1])[:, 0], S16[:-1])


@pytest.mark.parametrize("missing", [1, 3, 1_601])
def test_a_wav_stream_that_breaks_off_gives_what_came_whole(missing: int) -> None:
    whole = (len(S16) * 2 - missing) // 2
    stream = PcmStream(io.BytesIO(wav_bytes(TONE)[:-missing]), PcmFormat())
    got: list[NDArray[np.generic]] = []
    with pytest.raises(CutOffError, match=f"{missing} bytes less"):
        got.extend(stream.blocks())
    np.testing.assert_array_equal(np.concatenate(got), read(wav_bytes(TONE))[:whole])


@pytest.mark.parametrize(
    ("kind", "name"),
    [("AU", "AU"), ("CAF", "CAF"), ("W64", "W64"), ("RF64", "RF64"), ("MP3", "MP3")],
)
def test_other_containers_are_refused_by_their_name(kind: str, name: str) -> None:
    with pytest.raises(AudioError, match=f"holds {name}, not PCM"):
        read(wav_bytes(TONE, format=kind))


def test_a_header_of_an_impossible_rate_is_an_error_of_the_audio() -> None:
    with pytest.raises(AudioError, match="500"):
        read(wav_bytes(TONE, 500))


def test_a_last_frame_that_lacks_a_channel_is_left_out() -> None:
    got = read(S16[:7].tobytes(), PcmFormat(channels=2))
    np.testing.assert_array_equal(got, S16[:6].reshape(-1, 2))


@pytest.mark.parametrize("samples", [1, 5, 6])
def test_a_stream_shorter_than_a_header_is_audio_too(samples: int) -> None:
    np.testing.assert_array_equal(read(S16[:samples].tobytes())[:, 0], S16[:samples])


@pytest.mark.parametrize("content", [b"", b"\x01"])
def test_a_stream_without_a_sample_is_refused(content: bytes) -> None:
    with pytest.raises(AudioError, match="no audio on standard input"):
        read(content)


@pytest.mark.parametrize("channels", [0, -1])
def test_an_impossible_number_of_channels_is_refused(channels: int) -> None:
    with pytest.raises(SerError, match="channels"):
        read(S16.tobytes(), PcmFormat(channels=channels))


@pytest.mark.parametrize("container", ["WAV", "WAVEX"])
@pytest.mark.parametrize(
    ("subtype", "sample_type"),
    [("PCM_16", "s16le"), ("PCM_24", "s24le"), ("PCM_32", "s32le"), ("FLOAT", "f32le")],
)
def test_a_wav_header_wins_over_the_given_format(
    container: str, subtype: str, sample_type: str
) -> None:
    stereo = np.stack([TONE, TONE / 2], axis=1)
    content = wav_bytes(stereo, 44_100, format=container, subtype=subtype)
    stream = PcmStream(io.BytesIO(content), PcmFormat(8_000, 1, "s16le"))
    assert stream.format == PcmFormat(44_100, 2, sample_type)
    full_scale = {"s16le": 2**15, "s24le": 2**31, "s32le": 2**31, "f32le": 1}[sample_type]
    got = np.concatenate(list(stream.blocks())) / full_scale
    np.testing.assert_allclose(got, stereo, atol=2**-15)


@pytest.mark.parametrize("length", [0, 0xFFFF_FFFF, 0x7FFF_FFFF])
def test_a_wav_header_of_unknown_length_is_read_to_the_streams_end(length: int) -> None:
    content = bytearray(wav_bytes(TONE))
    data = content.index(b"data")
    content[data + 4 : data + 8] = struct.pack("<I", length)
    assert len(read(bytes(content))) == len(TONE)


def test_what_follows_the_wav_samples_is_not_audio() -> None:
    trailing = b"LIST" + struct.pack("<I", 2_000) + bytes(2_000)
    assert len(read(wav_bytes(TONE) + trailing)) == len(TONE)


def test_other_chunks_before_the_samples_are_skipped() -> None:
    content = wav_bytes(TONE)
    extra = b"LIST" + struct.pack("<I", 5) + b"about" + b"\x00"
    np.testing.assert_array_equal(read(content[:12] + extra + content[12:]), read(content))


@pytest.mark.parametrize("subtype", ["PCM_U8", "DOUBLE", "ULAW"])
def test_a_wav_header_of_another_format_is_refused(subtype: str) -> None:
    with pytest.raises(AudioError, match="WAV on standard input has format"):
        read(wav_bytes(TONE, subtype=subtype))


@pytest.mark.parametrize("count", [12, 14, 20, 30, 36, 40])
def test_a_header_that_is_cut_is_refused(count: int) -> None:
    with pytest.raises(AudioError, match="ends within its WAV header"):
        read(wav_bytes(TONE)[:count])


def test_a_header_without_samples_is_refused() -> None:
    with pytest.raises(AudioError, match="no audio"):
        read(wav_bytes(TONE)[:44])


@pytest.mark.parametrize(
    ("chunks", "reason"),
    [
        (b"data" + struct.pack("<I", 4) + bytes(4), "no format"),
        (b"fmt " + struct.pack("<I", 4) + bytes(4), "damaged"),
        (b"junk" + struct.pack("<I", 0x7FFF_FFFF) + bytes(100), "damaged"),
    ],
)
def test_a_damaged_header_is_refused(chunks: bytes, reason: str) -> None:
    with pytest.raises(AudioError, match=reason):
        read(b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks)


@pytest.mark.parametrize("magic", [b"fLaC", b"OggS", b"ID3\x04", b"FORM", b"RF64"])
def test_a_compressed_stream_is_not_taken_for_pcm(magic: bytes) -> None:
    with pytest.raises(AudioError, match="not PCM"):
        PcmStream(io.BytesIO(magic + bytes(100)), PcmFormat())
