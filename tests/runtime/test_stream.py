"""Streams: the same predictions whatever the chunks, and exactly those of the model."""

from __future__ import annotations

import math
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from synthetic_corpora import voice

from ser_runtime.errors import AudioError
from ser_runtime.errors import UsageError
from ser_runtime.labels import EMOTIONS
from ser_runtime.model import Model
from ser_runtime.prediction import Prediction
from ser_runtime.samples import to_mono
from ser_runtime.stream import Stream

RATE = 16_000
WINDOW = 48_000
STEP = 8_192
HOP = 512
FEW = settings(max_examples=15, deadline=None)
AUDIO = np.concatenate(
    [voice(emotion, seed, seconds=1.0) for seed, emotion in enumerate(EMOTIONS)]
).astype(np.float32)
CHUNK_SIZES = st.lists(st.integers(0, 40_000), min_size=1, max_size=8).filter(
    lambda sizes: max(sizes) >= 1_000
)


def in_chunks(stream: Stream, samples: NDArray[Any], rate: int, sizes: list[int]) -> list:
    """All predictions of samples that come in chunks of these sizes, over and over."""
    predictions, start, turn = [], 0, 0
    while start < len(samples):
        size = sizes[turn % len(sizes)]
        predictions += stream.push(samples[start : start + size], rate)
        start, turn = start + size, turn + 1
    return predictions + stream.flush()


def at_once(stream: Stream, samples: NDArray[Any], rate: int = RATE) -> list[Prediction]:
    return stream.push(samples, rate) + stream.flush()


def values(prediction: Prediction) -> NDArray[np.float32]:
    return np.array(list(prediction.probabilities.values()), np.float32)


def as_sent(kind: str, rate: int) -> NDArray[Any]:
    """4.2 s of sound at a rate, in the type and layout that a caller may have."""
    mono = np.concatenate([voice("sad", 1, 2.1, rate), voice("angry", 2, 2.1, rate)])
    stereo = np.stack([mono, 0.5 * mono[::-1]], axis=1)
    return {
        "float32": mono,
        "float64": mono.astype(np.float64),
        "int16": (mono * 32_767).astype(np.int16),
        "int32": (mono * 2**30).astype(np.int32),
        "float32 stereo": stereo,
        "int16 stereo": (stereo * 32_767).astype(np.int16),
        "float64 stereo": stereo.astype(np.float64),
    }[kind]


@FEW
@given(sizes=CHUNK_SIZES)
def test_predictions_do_not_depend_on_chunk_sizes(model: Model, sizes: list[int]) -> None:
    assert in_chunks(Stream(model), AUDIO, RATE, sizes) == at_once(Stream(model), AUDIO)


@FEW
@given(
    sizes=CHUNK_SIZES,
    rate=st.sampled_from([8_000, 22_050, 44_100, 48_000]),
    kind=st.sampled_from(["float32", "float64", "int16", "int32"]),
    layout=st.sampled_from(["", " stereo"]),
)
def test_resampled_predictions_do_not_depend_on_chunk_sizes(
    model: Model, sizes: list[int], rate: int, kind: str, layout: str
) -> None:
    samples = as_sent(kind + ("" if kind == "int32" else layout), rate)
    chunked = in_chunks(Stream(model), samples, rate, sizes)
    assert chunked == at_once(Stream(model), samples, rate)


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


def test_window_probabilities_are_exactly_those_of_the_model(model: Model) -> None:
    predictions = at_once(Stream(model), AUDIO)
    for prediction in predictions:
        start, end = round(prediction.start * RATE), round(prediction.end * RATE)
        np.testing.assert_array_equal(values(prediction), model.recognize(AUDIO[start:end]))
    assert predictions[-1].end == len(AUDIO) / RATE


@pytest.mark.parametrize("samples", [1_600, 9_000, 15_232, 20_000, 32_400, 47_000, 48_000])
def test_a_clips_last_prediction_is_exactly_the_models(model: Model, samples: int) -> None:
    clip = AUDIO[:samples]
    last = at_once(Stream(model), clip)[-1]
    np.testing.assert_array_equal(values(last), model.recognize(clip))


@pytest.mark.parametrize("beyond", [1, HOP - 1])
def test_a_clips_last_prediction_holds_a_rest_below_the_hop_too(model: Model, beyond: int) -> None:
    clip = AUDIO[: WINDOW - STEP + beyond]
    last = at_once(Stream(model), clip)[-1]
    np.testing.assert_array_equal(values(last), model.recognize(clip))


def test_ends_are_on_the_grid_and_windows_one_window_long(model: Model) -> None:
    *grid, _last = at_once(Stream(model), AUDIO)
    ends = [round(p.end * RATE) for p in grid]
    assert ends == list(range(ends[0], len(AUDIO), STEP))
    assert (ends[0] - WINDOW) % STEP == 0
    assert [round(p.start * RATE) for p in grid] == [max(0, end - WINDOW) for end in ends]


def test_only_full_windows_are_complete(model: Model) -> None:
    predictions = at_once(Stream(model), AUDIO)
    assert [p.complete for p in predictions] == [
        round((p.end - p.start) * RATE) == WINDOW for p in predictions
    ]
    assert not predictions[0].complete
    assert not predictions[-1].complete


def test_the_first_prediction_comes_with_the_least_audio(model: Model) -> None:
    stream = Stream(model, min_audio=0.95)
    assert stream.push(AUDIO[:15_231], RATE) == []
    assert [p.end for p in stream.push(AUDIO[15_231:15_232], RATE)] == [0.952]


def test_min_audio_of_a_window_gives_only_full_windows_at_the_start(model: Model) -> None:
    predictions = Stream(model, min_audio=3.0).push(AUDIO, RATE)
    assert [p.start for p in predictions[:2]] == [0.0, 0.512]
    assert all(p.complete for p in predictions)


@pytest.mark.parametrize("min_audio", [0, -1.0, math.nan])
def test_a_min_audio_that_is_not_positive_is_refused(model: Model, min_audio: float) -> None:
    with pytest.raises(UsageError, match="min_audio"):
        Stream(model, min_audio=min_audio)


@pytest.mark.parametrize(("rest", "windows"), [(0, 0), (HOP - 1, 0), (HOP, 1), (STEP - 1, 1)])
def test_a_rest_of_at_least_a_hop_makes_a_window(model: Model, rest: int, windows: int) -> None:
    stream = Stream(model)
    stream.push(AUDIO[: WINDOW + 2 * STEP + rest], RATE)
    assert len(stream.flush()) == windows


@pytest.mark.parametrize("samples", [1, 100, 1_600])
def test_a_very_short_clip_gives_one_prediction(model: Model, samples: int) -> None:
    (only,) = at_once(Stream(model), AUDIO[:samples])
    assert (only.start, only.end, only.complete) == (0.0, samples / RATE, False)


def test_an_empty_stream_gives_no_prediction(model: Model) -> None:
    assert Stream(model).flush() == []
    assert at_once(Stream(model), np.zeros(0, np.float32)) == []


def test_pushes_without_samples_change_nothing(model: Model) -> None:
    stream = Stream(model)
    predictions = stream.push(np.zeros((0, 1), np.float32), RATE)
    for start in range(0, len(AUDIO), 20_000):
        predictions += stream.push(AUDIO[start : start + 20_000], RATE)
        predictions += stream.push(np.zeros(0, np.int16), RATE)
    assert predictions + stream.flush() == at_once(Stream(model), AUDIO)


@pytest.mark.parametrize("step", [0.032, 0.48, 1.024, 2.976])
def test_a_step_of_whole_hops_is_taken(model: Model, step: float) -> None:
    predictions = Stream(model, step=step, min_audio=3.0).push(AUDIO, RATE)
    assert {round((b.end - a.end) * RATE) for a, b in pairwise(predictions)} == {round(step * RATE)}


@pytest.mark.parametrize(
    ("step", "nearest"),
    [(0.5, ("0.48", "0.512")), (0.04, ("0.032", "0.064")), (0.001, ("0.032",)), (0, ("0.032",))],
)
def test_a_step_between_hops_is_refused_with_the_nearest(
    model: Model, step: float, nearest: tuple[str, ...]
) -> None:
    with pytest.raises(UsageError, match=r"nearest are.*" + ".*".join(map(str, nearest))):
        Stream(model, step=step)


@pytest.mark.parametrize("step", [-0.512, math.nan, math.inf, -math.inf, 3.008, 3.072, 1e300])
def test_an_impossible_step_is_refused(model: Model, step: float) -> None:
    with pytest.raises(UsageError, match="step"):
        Stream(model, step=step)


def test_a_change_of_rate_is_refused(model: Model) -> None:
    stream = Stream(model)
    stream.push(AUDIO[:100], RATE)
    with pytest.raises(AudioError, match="16000 to 44100"):
        stream.push(AUDIO[:100], 44_100)


@pytest.mark.parametrize("rate", [0, -16_000, 999, 768_001, math.nan])
def test_an_impossible_rate_is_refused(model: Model, rate: float) -> None:
    with pytest.raises(AudioError, match="sample rate"):
        Stream(model).push(AUDIO[:100], rate)  # type: ignore[arg-type]


def test_a_push_after_the_flush_is_refused(model: Model) -> None:
    stream = Stream(model)
    at_once(stream, AUDIO[:20_000])
    with pytest.raises(RuntimeError, match="flushed"):
        stream.push(AUDIO[:1], RATE)


def test_a_second_flush_gives_nothing(model: Model) -> None:
    stream = Stream(model)
    assert at_once(stream, AUDIO[:20_000])
    assert stream.flush() == []


@pytest.mark.parametrize("flushed", [True, False])
def test_a_reset_stream_is_as_new(model: Model, flushed: bool) -> None:
    stream = Stream(model)
    noise = np.full(70_000, np.nan)
    stream.push(noise, 44_100, dropped_ms=5.0)
    if flushed:
        stream.flush()
    stream.reset()
    assert at_once(stream, AUDIO) == at_once(Stream(model), AUDIO)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
def test_what_is_not_finite_counts_as_silence(model: Model, value: float) -> None:
    spoilt, silenced = AUDIO[:WINDOW].copy(), AUDIO[:WINDOW].copy()
    spoilt[1_000:1_010], silenced[1_000:1_010] = value, 0
    stream = Stream(model)
    assert at_once(stream, spoilt) == at_once(Stream(model), silenced)
    assert stream.replaced_samples == 10


def test_dropped_milliseconds_add_up(model: Model) -> None:
    stream = Stream(model, min_audio=3.0)
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
        Stream(model).push(samples, RATE)


def test_sixty_four_channels_are_their_mean(model: Model) -> None:
    many = np.repeat(AUDIO[:20_000, None], 64, axis=1) * np.linspace(0, 2, 64, dtype=np.float32)
    mean = to_mono(many)[0]
    assert at_once(Stream(model), many) == at_once(Stream(model), mean)


@pytest.mark.parametrize(
    ("amplitude", "level"), [(1.0, -3.0103), (0.1, -23.0103), (1e-7, -120.0), (0.0, -120.0)]
)
def test_the_level_is_the_root_mean_square_of_the_newest_step(
    model: Model, amplitude: float, level: float
) -> None:
    tone = np.sin(2 * np.pi * 1_000 * np.arange(WINDOW) / RATE)
    stream = Stream(model)
    stream.push(tone[: WINDOW - STEP], RATE)
    (newest,) = stream.push(amplitude * tone[WINDOW - STEP :], RATE)
    assert newest.level_dbfs == pytest.approx(level, abs=1e-3)


def test_confidence_at_the_threshold_is_certain(model: Model) -> None:
    threshold = model.metadata.confidence_threshold
    predictions = at_once(Stream(model), AUDIO)
    assert [p.certain for p in predictions] == [p.confidence >= threshold for p in predictions]
    assert all(p.confidence == max(p.probabilities.values()) for p in predictions)
    assert all(p.probabilities[p.label] == p.confidence for p in predictions)


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
    stream = Stream(model, step=2.976)
    stream.push(AUDIO, RATE)
    minutes = np.zeros(120 * RATE, np.int16)
    tracemalloc.start()
    try:
        stream.push(minutes, RATE)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2_000_000  # as float32 it would be 7,680,000 bytes at once
