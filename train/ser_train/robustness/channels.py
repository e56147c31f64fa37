"""What microphones, lines, codecs and rooms do to a clip.

All are `channel(audio, rng, sample_rate)`, float32 [samples] in [-1, 1] in and out; a room's tail
and a codec's delay make the audio longer.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from io import BytesIO

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray
from scipy.signal import butter
from scipy.signal import fftconvolve
from scipy.signal import sosfilt

Channel = Callable[[NDArray[np.float32], np.random.Generator, int], NDArray[np.float32]]

_FULL_SCALE = 32768
_TELEPHONE_HZ = (300.0, 3400.0)
_NARROW_RATE = 8_000
_DECAY_SECONDS, _FIRST_REFLECTION_SECONDS = 0.4, 0.005


def gain(
    audio: NDArray[np.float32], rng: np.random.Generator, sample_rate: int, gain_db: float
) -> NDArray[np.float32]:
    """A microphone of another level, with a converter of 16 bits: clipped, and rounded."""
    levels = np.round(audio * (_FULL_SCALE * 10 ** (gain_db / 20)))
    return (np.clip(levels, -_FULL_SCALE, _FULL_SCALE - 1) / _FULL_SCALE).astype(np.float32)


def telephone(
    audio: NDArray[np.float32], rng: np.random.Generator, sample_rate: int
) -> NDArray[np.float32]:
    """300 to 3400 Hz: a Butterworth band-pass, 24 dB an octave at each end."""
    band = butter(4, _TELEPHONE_HZ, "bandpass", fs=sample_rate, output="sos")
    return sosfilt(band, audio).astype(np.float32)


def narrow(
    audio: NDArray[np.float32], rng: np.random.Generator, sample_rate: int
) -> NDArray[np.float32]:
    """Recorded at 8 kHz, and resampled as the runtime does."""
    low = soxr.resample(audio, sample_rate, _NARROW_RATE, quality="HQ")
    return soxr.resample(low, _NARROW_RATE, sample_rate, quality="HQ")


def coded(
    audio: NDArray[np.float32],
    rng: np.random.Generator,
    sample_rate: int,
    container: str,
    codec: str,
    compression: float,
    **options: str,
) -> NDArray[np.float32]:
    """Through a lossy codec of libsndfile: written to memory and read again."""
    file = BytesIO()
    soundfile.write(
        file,
        audio,
        sample_rate,
        format=container,
        subtype=codec,
        compression_level=compression,
        **options,
    )
    file.seek(0)
    return soundfile.read(file, dtype="float32")[0]


def room(
    audio: NDArray[np.float32], rng: np.random.Generator, sample_rate: int
) -> NDArray[np.float32]:
    """A small room: decaying noise of 0.4 s to -60 dB, as strong as the direct sound (Polack)."""
    time = np.arange(round(_DECAY_SECONDS * sample_rate)) / sample_rate
    response = rng.standard_normal(len(time)) * 10 ** (-3 * time / _DECAY_SECONDS)
    response[time < _FIRST_REFLECTION_SECONDS] = 0
    response /= np.sqrt(np.sum(np.square(response)))
    response[0] = 1
    return fftconvolve(audio, response).astype(np.float32)


CHANNELS: dict[str, Channel] = {
    "gain -30 dB": partial(gain, gain_db=-30.0),
    "gain +12 dB, clipped": partial(gain, gain_db=12.0),
    "telephone, 300 to 3400 Hz": telephone,
    "8 kHz": narrow,
    # libsndfile's compression of 0 to 1 is 256 down to 6 kbit/s, linearly.
    "Opus, 16 kbit/s": partial(coded, container="OGG", codec="OPUS", compression=0.96),
    "MP3, 32 kbit/s": partial(
        coded,
        container="MP3",
        codec="MPEG_LAYER_III",
        compression=0.84,
        bitrate_mode="CONSTANT",
    ),
    "small room, 0.4 s": room,
}
"""By what tables call them."""
