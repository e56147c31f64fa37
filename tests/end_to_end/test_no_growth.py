"""Half an hour of a stream: memory stays, and windows end where the window rule puts them."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from numpy.typing import NDArray

from ser_runtime.model import Model
from ser_runtime.stream import Stream

MINUTES, WARM_UP_MINUTES = 30, 5
STEP, FIRST_END, MODEL_RATE = 16_384, 15_232, 16_000
CHUNKS = (441, 1_600, 8_192, 50_000)
SMALL_CHUNK = 7
# In the 25 minutes after the warm-up there are 1465 windows: 22 bytes for each would be found, and
# of the memory that Python does not see 9 kB, a fifth of a window's features.
MOST_TRACED_GROWTH = 32 << 10
MOST_RESIDENT_GROWTH = 12 << 20


def minute_of(path: Path, rate: int) -> NDArray[np.float32]:
    """Speech, silence, noise, and speech in noise: float32 [samples]."""
    audio, source_rate = soundfile.read(path, dtype="float32")
    speech = np.resize(soxr.resample(audio, source_rate, rate), 15 * rate)
    noise = np.random.default_rng(0).normal(0, 0.01, len(speech)).astype(np.float32)
    return np.concatenate([speech, np.zeros_like(speech), noise, speech + noise])


def chunked(minute: NDArray[np.float32], size: int) -> Iterator[NDArray[np.float32]]:
    """Chunks of this size, but small ones in the first tenth of a second."""
    small = len(minute) // 600
    for start in range(0, small, SMALL_CHUNK):
        yield minute[start : min(start + SMALL_CHUNK, small)]
    for start in range(small, len(minute), size):
        yield minute[start : start + size]


def memory() -> tuple[int, int]:
    """Bytes that Python knows of, and those of the process (0 where the system does not tell)."""
    status, resident = Path("/proc/self/statm"), 0
    if status.exists():
        resident = int(status.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return tracemalloc.get_traced_memory()[0], resident


@pytest.mark.parametrize(("vad", "rate"), [("off", 44_100), ("energy", MODEL_RATE)])
def test_half_an_hour_takes_no_more_memory_and_does_not_drift(
    speech: Path, vad: str, rate: int
) -> None:
    stream = Stream(Model.open(), STEP / MODEL_RATE, vad=vad)
    minute, windows, voiced = minute_of(speech, rate), 0, 0
    tracemalloc.start()
    try:
        for number in range(MINUTES):
            if number == WARM_UP_MINUTES:
                before = memory()
            for samples in chunked(minute, CHUNKS[number % len(CHUNKS)]):
                for prediction in stream.push(samples, rate):
                    assert prediction.end == (FIRST_END + windows * STEP) / MODEL_RATE
                    windows += 1
                    voiced += prediction.voice
        after = memory()
    finally:
        tracemalloc.stop()
    assert windows == (MINUTES * 60 * MODEL_RATE - FIRST_END) // STEP + 1
    assert stream.flush()[-1].end == MINUTES * 60
    assert voiced == windows if vad == "off" else 0 < voiced < windows
    assert after[0] - before[0] < MOST_TRACED_GROWTH
    assert after[1] - before[1] < MOST_RESIDENT_GROWTH
