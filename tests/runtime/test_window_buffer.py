"""The newest window of a stream."""

from __future__ import annotations

import numpy as np
from feature_oracles import assert_as_offline
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from ser_runtime.feature_spec import FeatureSpec
from ser_runtime.window_buffer import WindowBuffer

SPEC = FeatureSpec(window_samples=1_000, n_fft=256, win_length=256, hop=128, n_mels=20)


@settings(max_examples=25, deadline=None)
@given(sizes=st.lists(st.integers(0, 1_000), max_size=30))
def test_the_newest_samples_are_the_last_appended(sizes: list[int]) -> None:
    stream = np.arange(sum(sizes), dtype=np.float32)
    buffer, start = WindowBuffer(SPEC), 0
    for size in sizes:
        buffer.append(stream[start : start + size])
        start += size
        count = min(start, 1_000)
        np.testing.assert_array_equal(buffer.newest(count), stream[start - count : start])
    assert buffer.total == len(stream)


def test_features_are_those_of_the_audio_with_zeros_after_it() -> None:
    noise = np.random.default_rng(0).standard_normal(1_900).astype(np.float32)
    buffer = WindowBuffer(SPEC)
    buffer.append(noise[:1_000])
    full = buffer.features(0)
    buffer.append(noise[1_000:])
    assert_as_offline(full, noise[:1_000], SPEC)
    for start in (1_500, 900, 1_028, 1_900):
        assert_as_offline(buffer.features(start), noise[start:], SPEC)


def test_a_full_buffer_leaves_no_trace_after_the_newest_sample() -> None:
    buffer = WindowBuffer(SPEC)
    for _ in range(2):
        buffer.append(np.ones(1_000, np.float32))
    buffer.append(np.zeros(100, np.float32))
    audio = np.append(np.ones(100), np.zeros(100))
    assert_as_offline(buffer.features(1_900), audio, SPEC)
