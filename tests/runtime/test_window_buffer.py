"""The newest window of a stream."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from ser_runtime.feature_spec import FeatureSpec
from ser_runtime.features import compute_features
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
    np.testing.assert_array_equal(full, compute_features(noise[:1_000], SPEC))
    np.testing.assert_array_equal(buffer.features(1_500), compute_features(noise[1_500:], SPEC))
    np.testing.assert_array_equal(buffer.features(900), compute_features(noise[900:], SPEC))
