"""Streams: the same predictions whatever the chunks, types, rates and threads."""

from __future__ import annotations

import math
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from stream_inputs import AUDIO
from stream_inputs import MIXED
from stream_inputs import RATE
from stream_inputs import as_sent
from stream_inputs import at_once
from stream_inputs import in_chunks
from stream_inputs import scoring_all

from ser_runtime.errors import AudioError
from ser_runtime.errors import UsageError
from ser_runtime.model import Model
from ser_runtime.samples import to_mono
from ser_runtime.stream import VAD_MODES
from ser_runtime.stream import Stream

WINDOW = 48_000
STEP = 8_192
FEW = settings(max_examples=15, deadline=None)
CHUNK_SIZES = st.lists(st.integers(0, 40_000), min_size=1, max_size=8).filter(
    lambda sizes: max(sizes) >= 1_000
)


@FEW
@given(sizes=CHUNK_SIZES, vad=st.sampled_from(VAD_MODES), step=st.sampled_from([0.256, 0.512, 1.6]))
def test_predictions_do_not_depend_on_chunk_sizes(
    model: Model, sizes: list[int], vad: Any, step: float
) -> None:
    def stream() -> Stream:
        return Stream(model, step=step, vad=vad)

    assert in_chunks(stream(), MIXED, RATE, sizes) == at_once(stream(), MIXED)


@FEW
@given(
    sizes=CHUNK_SIZES,
    rate=st.sampled_from([8_000, 22_050, 44_100, 48_000]),
    kind=st.sampled_from(["float32", "float64", "int16", "int32"]),
    layout=st.sampled_from(["", " stereo"]),
    vad=st.sampled_from(VAD_MODES),
)
def test_resampled_predictions_do_not_depend_on_chunk_sizes(
    model: Model, sizes: list[int], rate: int, kind: str, layout: str, vad: Any
) -> None:
    samples = as_sent(kind + ("" if kind == "int32" else layout), rate)
    chunked = in_chunks(Stream(model, vad=vad), samples, rate, sizes)
    assert chunked == at_once(Stream(model, vad=vad), samples, rate)


@pytest.mark.parametrize("kind", ["float64", "int16", "int32"])
def test_the_sample_type_does_not_change_the_emotion(model: Model, kind: str) -> None:
    samples = as_sent(kind, RATE)
    scale = {"int16": 2**15, "int32": 2**31}.get(kind, 1)
    same = (samples / scale).astype(np.float32)
    assert at_once(Stream(model), samples) == at_once(Stream(model), same)


def test_streams_of_threads_that_share_a_model_give_equal_predictions(model: Model) -> None:
    with ThreadPoolExecutor(max_workers=4) as threads:
        together = list(threads.map(lambda _: at_once(Stream(model), AUDIO), range(8)))
    assert together == [at_once(Stream(model), AUDIO)] * 8


def test_an_empty_stream_gives_no_prediction(model: Model) -> None:
    assert scoring_all(model).flush() == []
    assert at_once(scoring_all(model), np.zeros(0, np.float32)) == []


def test_pushes_without_samples_change_nothing(model: Model) -> None:
    stream = scoring_all(model)
    predictions = stream.push(np.zeros((0, 1), np.float32), RATE)
    for start in range(0, len(AUDIO), 20_000):
        predictions += stream.push(AUDIO[start : start + 20_000], RATE)
        predictions += stream.push(np.zeros(0, np.int16), RATE)
    assert predictions + stream.flush() == at_once(scoring_all(model), AUDIO)


@pytest.mark.parametrize("rate", [0, -16_000, 999, 768_001, math.nan])
def test_an_impossible_rate_is_refused(model: Model, rate: float) -> None:
    with pytest.raises(AudioError, match="sample rate"):
        scoring_all(model).push(AUDIO[:100], rate)  # type: ignore[arg-type]


def test_a_push_after_the_flush_is_refused(model: Model) -> None:
    stream = scoring_all(model)
    at_once(stream, AUDIO[:20_000])
    with pytest.raises(RuntimeError, match="flushed"):
        stream.push(AUDIO[:1], RATE)


def test_a_second_flush_gives_nothing(model: Model) -> None:
    stream = scoring_all(model)
    assert at_once(stream, AUDIO[:20_000])
    assert stream.flush() == []


@pytest.mark.parametrize("flushed", [True, False])
def test_a_reset_stream_is_as_new(model: Model, flushed: bool) -> None:
    stream = scoring_all(model)
    noise = np.full(70_000, np.nan)
    stream.push(noise, 44_100, dropped_ms=5.0)
    if flushed:
        stream.flush()
    stream.reset()
    assert at_once(stream, AUDIO) == at_once(scoring_all(model), AUDIO)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
def test_what_is_not_finite_counts_as_silence(model: Model, value: float) -> None:
    spoilt, silenced = AUDIO[:WINDOW].copy(), AUDIO[:WINDOW].copy()
    spoilt[1_000:1_010], silenced[1_000:1_010] = value, 0
    stream = scoring_all(model)
    assert at_once(stream, spoilt) == at_once(scoring_all(model), silenced)
    assert stream.replaced_samples == 10


def test_dropped_milliseconds_add_up(model: Model) -> None:
    stream = scoring_all(model, min_audio=3.0)
    predictions = stream.push(AUDIO[:WINDOW], RATE, dropped_ms=10.0)
    stream.push(AUDIO[:0], RATE, dropped_ms=2.0)
    predictions += stream.push(AUDIO[:STEP], RATE, dropped_ms=0.5)
    assert [p.dropped_ms for p in predictions] == [10.0, 12.5]


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros((100, 65), np.float32),
        np.zeros((2, 100), np.float32),
        np.zeros((100, 0), np.float32),
        np.zeros((10, 2, 2), np.float32),
        np.zeros(100, np.uint8),
        np.zeros(100, np.int64),
        np.zeros(100, np.float16),
        np.zeros(100, np.complex64),
        np.array(["a"]),
    ],
    ids=lambda samples: f"{samples.dtype}{samples.shape}",
)
def test_samples_of_an_impossible_kind_are_refused(model: Model, samples: NDArray[Any]) -> None:
    with pytest.raises(AudioError, match="samples must be"):
        scoring_all(model).push(samples, RATE)


def test_sixty_four_channels_are_their_mean(model: Model) -> None:
    many = np.repeat(AUDIO[:20_000, None], 64, axis=1) * np.linspace(0, 2, 64, dtype=np.float32)
    mean = to_mono(many)[0]
    assert at_once(scoring_all(model), many) == at_once(scoring_all(model), mean)


@pytest.mark.parametrize("block", [1_600, 160_000])
@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_memory_does_not_grow_with_the_stream(model: Model, rate: int, block: int) -> None:
    stream = Stream(model, step=2.976)
    samples = np.tile(as_sent("float32", rate), 1 + block // rate)[:block]
    for _ in range(-(-8 * rate // block)):
        stream.push(samples, rate)
    tracemalloc.start()
    try:
        stream.push(samples, rate)
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(-(-60 * rate // block)):
            stream.push(samples, rate)
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert after - before < 50_000  # a minute of audio would be 3,840,000 bytes


def test_a_long_array_is_taken_in_pieces(model: Model) -> None:
    stream = scoring_all(model, step=2.976)
    stream.push(AUDIO, RATE)
    minutes = np.zeros(120 * RATE, np.int16)
    tracemalloc.start()
    try:
        stream.push(minutes, RATE)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2_000_000  # as float32 it would be 7,680,000 bytes at once


@pytest.mark.parametrize("dropped_ms", [-1.0, math.nan, math.inf])
def test_an_impossible_loss_is_refused(model: Model, dropped_ms: float) -> None:
    with pytest.raises(UsageError, match="dropped_ms"):
        Stream(model).push(AUDIO[:100], RATE, dropped_ms=dropped_ms)


@pytest.mark.parametrize(("rate", "lost_ms"), [(48_000, 30.0), (RATE, 500.0)])
@pytest.mark.parametrize("vad", VAD_MODES)
def test_a_change_of_rate_and_a_long_loss_end_a_segment_and_start_one(
    model: Model, vad: Any, rate: int, lost_ms: float
) -> None:
    old, new = as_sent("float32", RATE)[:40_000], as_sent("int16 stereo", rate)
    stream = Stream(model, vad=vad)
    predictions = stream.push(old, RATE)
    assert stream.push(new[:0], RATE, dropped_ms=lost_ms / 2) == []
    predictions += stream.push(new, rate, dropped_ms=lost_ms / 2)
    predictions += stream.flush()
    before = at_once(Stream(model, vad=vad), old)
    after = at_once(Stream(model, vad=vad), new, rate)
    assert predictions[: len(before)] == before
    shift = len(old) / RATE
    for p, q in zip(predictions[len(before) :], after, strict=True):
        assert (p.start, p.end) == pytest.approx((q.start + shift, q.end + shift))
        assert (p.probabilities, p.label, p.dropped_ms) == (q.probabilities, q.label, lost_ms)
        assert p.smoothed == pytest.approx(q.smoothed)
    assert [p.segment_start for p in predictions] == [
        index == len(before) for index in range(len(predictions))
    ]


def test_a_short_loss_ends_no_segment(model: Model) -> None:
    stream = scoring_all(model)
    predictions = stream.push(AUDIO[:30_000], RATE)
    for start in range(30_000, len(AUDIO), 10_000):
        predictions += stream.push(AUDIO[start : start + 10_000], RATE, dropped_ms=499.0)
    predictions += stream.flush()
    unbroken = at_once(scoring_all(model), AUDIO)
    assert [p.probabilities for p in predictions] == [p.probabilities for p in unbroken]


def test_a_change_of_rate_without_samples_is_none(model: Model) -> None:
    stream = scoring_all(model)
    predictions = stream.push(AUDIO[:30_000], RATE) + stream.push(AUDIO[:0], 44_100)
    predictions += stream.push(AUDIO[30_000:], RATE) + stream.flush()
    assert predictions == at_once(scoring_all(model), AUDIO)


def test_a_refused_push_takes_nothing_in(model: Model) -> None:
    stream = scoring_all(model)
    predictions = stream.push(AUDIO[:30_000], RATE)
    for samples, rate in ((AUDIO[:9].astype(np.uint8), RATE), (AUDIO[:9], 1)):
        with pytest.raises(AudioError):
            stream.push(samples, rate, dropped_ms=1.0)
    assert predictions + at_once(stream, AUDIO[30_000:]) == at_once(scoring_all(model), AUDIO)


def test_a_push_while_another_thread_pushes_is_refused(model: Model) -> None:
    inside, leave = threading.Event(), threading.Event()

    class Slow(Model):
        def predict(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
            inside.set()
            assert leave.wait(30)
            return super().predict(features)

    stream = scoring_all(Slow(model._backend, model.metadata, model.source))
    with ThreadPoolExecutor(max_workers=1) as thread:
        first = thread.submit(stream.push, AUDIO[:20_000], RATE)
        assert inside.wait(30)
        for call in (lambda: stream.push(AUDIO[:9], RATE), stream.flush, stream.reset):
            with pytest.raises(RuntimeError, match="another thread"):
                call()
        leave.set()
        predictions = first.result(30)
    predictions += at_once(stream, AUDIO[20_000:])
    assert predictions == at_once(scoring_all(model), AUDIO)


def test_threads_may_take_turns(model: Model) -> None:
    stream = Stream(model)
    predictions = []
    for start in range(0, len(MIXED), 10_000):
        with ThreadPoolExecutor(max_workers=1) as thread:
            predictions += thread.submit(stream.push, MIXED[start : start + 10_000], RATE).result()
    assert predictions + stream.flush() == at_once(Stream(model), MIXED)


@pytest.mark.parametrize(
    ("rate", "latency"), [(16_000, 0.512), (48_000, 0.549), (44_100, 0.553), (8_000, 0.628)]
)
def test_the_algorithmic_latency_is_a_step_and_the_resamplers_delay(
    model: Model, rate: int, latency: float
) -> None:
    stream = Stream(model)
    assert stream.algorithmic_latency == 0.512
    stream.push(AUDIO[:1], rate)
    assert stream.algorithmic_latency == pytest.approx(latency, abs=0.001)


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 48_000])
def test_every_sound_is_in_a_prediction_within_the_algorithmic_latency(
    model: Model, rate: int
) -> None:
    stream, millisecond, covered = scoring_all(model), np.zeros(rate // 1_000, np.float32), 0.0
    for pushes in range(1, 5_000):
        predictions = stream.push(millisecond, rate)
        covered = predictions[-1].end if predictions else covered
        late = pushes * len(millisecond) / rate - covered
        assert not covered or late <= stream.algorithmic_latency + 0.001
