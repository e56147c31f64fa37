"""Mono float32 from any common format, and resampling in chunks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import soxr
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ser_runtime.errors import AudioError
from ser_runtime.samples import Resampler
from ser_runtime.samples import resampling_delay
from ser_runtime.samples import to_mono

NOISE = (0.1 * np.random.default_rng(0).standard_normal(100_000)).astype(np.float32)


@pytest.mark.parametrize(
    ("samples", "mono"),
    [
        (np.array([-32_768, 0, 16_384], np.int16), [-1.0, 0.0, 0.5]),
        (np.array([-(2**31), 0, 2**30], np.int32), [-1.0, 0.0, 0.5]),
        (np.array([-1.0, 0.0, 0.5], np.float64), [-1.0, 0.0, 0.5]),
        (np.array([-1.0, 0.0, 0.5], np.float32), [-1.0, 0.0, 0.5]),
        (np.array([[1.0, 0.0], [0.5, -0.5]], np.float32), [0.5, 0.0]),
        (np.array([[32_767, 32_767], [-32_768, 0]], np.int16), [32_767 / 32_768, -0.5]),
        (np.array([[0.25]], np.float64), [0.25]),
        (np.zeros((0, 2), np.int16), []),
    ],
    ids=lambda value: str(getattr(value, "dtype", "")),
)
def test_samples_become_mono_float32_of_full_scale_one(
    samples: NDArray[Any], mono: list[float]
) -> None:
    got, replaced = to_mono(samples)
    assert got.dtype == np.float32
    assert got.tolist() == mono
    assert replaced == 0


def test_impossible_values_become_0_and_are_counted() -> None:
    samples = np.array([[np.nan, 1.0], [np.inf, -np.inf], [1e5, 0.5], [0.5, 0.5]], np.float32)
    mono, replaced = to_mono(samples)
    assert mono.tolist() == [0.5, 0.0, 0.25, 0.5]
    assert replaced == 4


def test_the_callers_samples_stay_as_they_are() -> None:
    samples = np.array([np.nan, 0.5], np.float32)
    to_mono(samples)
    assert np.isnan(samples[0])


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(()),
        np.zeros((1, 1, 1)),
        np.zeros((5, 65)),
        np.zeros(5, np.uint8),
        np.zeros(5, ">i2"),
    ],
    ids=lambda samples: f"{samples.dtype}{samples.shape}",
)
def test_samples_of_another_kind_are_refused(samples: NDArray[Any]) -> None:
    with pytest.raises(AudioError, match="samples must be"):
        to_mono(samples)


@settings(max_examples=25, deadline=None)
@given(
    rate=st.sampled_from([1_000, 8_000, 11_025, 22_050, 44_100, 48_000, 96_000]),
    sizes=st.lists(st.integers(1, 50_000), min_size=1, max_size=6),
)
def test_resampling_in_chunks_is_resampling_at_once(rate: int, sizes: list[int]) -> None:
    audio = NOISE[: 2 * min(rate, 50_000)]
    resampler, parts, start, turn = Resampler(rate, 16_000), [], 0, 0
    while start < len(audio):
        size = sizes[turn % len(sizes)]
        parts.append(resampler.push(audio[start : start + size]))
        start, turn = start + size, turn + 1
    parts.append(resampler.flush())
    oracle = soxr.resample(audio, rate, 16_000, quality="HQ")
    np.testing.assert_array_equal(np.concatenate(parts), oracle)


def test_equal_rates_pass_through() -> None:
    resampler = Resampler(16_000, 16_000)
    assert resampler.push(NOISE) is NOISE
    assert len(resampler.flush()) == 0


def test_a_chunk_without_samples_does_not_end_the_stream() -> None:
    resampler = Resampler(48_000, 16_000)
    nothing = np.zeros(0, np.float32)
    parts = [resampler.push(part) for part in (nothing, NOISE[:30_000], nothing, NOISE[30_000:])]
    oracle = soxr.resample(NOISE, 48_000, 16_000, quality="HQ")
    np.testing.assert_array_equal(np.concatenate([*parts, resampler.flush()]), oracle)


@pytest.mark.parametrize("rate", [0, -1, 999, 768_001, float("nan"), float("inf")])
def test_an_impossible_rate_is_refused(rate: float) -> None:
    with pytest.raises(AudioError, match="sample rate"):
        Resampler(rate, 16_000)  # type: ignore[arg-type]


def test_equal_rates_have_no_delay() -> None:
    assert resampling_delay(16_000, 16_000) == 0


@settings(max_examples=25, deadline=None)
@given(
    rate=st.sampled_from([8_000, 11_025, 22_050, 44_100, 48_000, 96_000]),
    sizes=st.lists(st.integers(1, 5_000), min_size=1, max_size=6),
)
def test_the_output_is_never_later_than_the_delay(rate: int, sizes: list[int]) -> None:
    resampler, pushed, done, turn = Resampler(rate, 16_000), 0, 0, 0
    while pushed < rate:
        part = NOISE[: sizes[turn % len(sizes)]]
        done += len(resampler.push(part))
        pushed, turn = pushed + len(part), turn + 1
        assert pushed / rate - done / 16_000 <= resampling_delay(rate, 16_000) + 1e-3
