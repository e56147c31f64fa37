"""Which windows a stream has: every one is scored here."""

from __future__ import annotations

import dataclasses
import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from stream_inputs import AUDIO
from stream_inputs import MIXED
from stream_inputs import RATE
from stream_inputs import at_once
from stream_inputs import scoring_all

from ser_runtime.errors import UsageError
from ser_runtime.model import Model
from ser_runtime.prediction import Prediction
from ser_runtime.stream import Stream

WINDOW = 48_000
STEP = 8_192
HOP = 512
FEW = settings(max_examples=15, deadline=None)
CHUNK_SIZES = st.lists(st.integers(0, 40_000), min_size=1, max_size=8).filter(
    lambda sizes: max(sizes) >= 1_000
)


def values(prediction: Prediction) -> NDArray[np.float32]:
    assert prediction.probabilities is not None
    return np.array(list(prediction.probabilities.values()), np.float32)


def test_window_probabilities_are_exactly_those_of_the_model(model: Model) -> None:
    predictions = at_once(scoring_all(model), AUDIO)
    for prediction in predictions:
        start, end = round(prediction.start * RATE), round(prediction.end * RATE)
        np.testing.assert_array_equal(values(prediction), model.recognize(AUDIO[start:end]))
    assert predictions[-1].end == len(AUDIO) / RATE


@pytest.mark.parametrize("samples", [1_600, 9_000, 15_232, 20_000, 32_400, 47_000, 48_000])
def test_a_clips_last_prediction_is_exactly_the_models(model: Model, samples: int) -> None:
    clip = AUDIO[:samples]
    last = at_once(scoring_all(model), clip)[-1]
    np.testing.assert_array_equal(values(last), model.recognize(clip))


@pytest.mark.parametrize("beyond", [1, HOP - 1])
def test_a_clips_last_prediction_holds_a_rest_below_the_hop_too(model: Model, beyond: int) -> None:
    clip = AUDIO[: WINDOW - STEP + beyond]
    last = at_once(scoring_all(model), clip)[-1]
    np.testing.assert_array_equal(values(last), model.recognize(clip))


def test_ends_are_on_the_grid_and_windows_one_window_long(model: Model) -> None:
    *grid, _last = at_once(scoring_all(model), AUDIO)
    ends = [round(p.end * RATE) for p in grid]
    assert ends == list(range(ends[0], len(AUDIO), STEP))
    assert (ends[0] - WINDOW) % STEP == 0
    assert [round(p.start * RATE) for p in grid] == [max(0, end - WINDOW) for end in ends]


def test_only_full_windows_are_complete(model: Model) -> None:
    predictions = at_once(scoring_all(model), AUDIO)
    assert [p.complete for p in predictions] == [
        round((p.end - p.start) * RATE) == WINDOW for p in predictions
    ]
    assert not predictions[0].complete
    assert not predictions[-1].complete


def test_the_first_prediction_comes_with_the_least_audio(model: Model) -> None:
    stream = scoring_all(model, min_audio=0.95)
    assert stream.push(AUDIO[:15_231], RATE) == []
    assert [p.end for p in stream.push(AUDIO[15_231:15_232], RATE)] == [0.952]


def test_min_audio_of_a_window_gives_only_full_windows_at_the_start(model: Model) -> None:
    predictions = scoring_all(model, min_audio=3.0).push(AUDIO, RATE)
    assert [p.start for p in predictions[:2]] == [0.0, 0.512]
    assert all(p.complete for p in predictions)


@pytest.mark.parametrize("min_audio", [0, -1.0, math.nan])
def test_a_min_audio_that_is_not_positive_is_refused(model: Model, min_audio: float) -> None:
    with pytest.raises(UsageError, match="min_audio"):
        scoring_all(model, min_audio=min_audio)


@pytest.mark.parametrize(("rest", "windows"), [(0, 0), (HOP - 1, 0), (HOP, 1), (STEP - 1, 1)])
def test_a_rest_of_at_least_a_hop_makes_a_window(model: Model, rest: int, windows: int) -> None:
    stream = scoring_all(model)
    stream.push(AUDIO[: WINDOW + 2 * STEP + rest], RATE)
    assert len(stream.flush()) == windows


@pytest.mark.parametrize("samples", [1, 100, 1_600])
def test_a_very_short_clip_gives_one_prediction(model: Model, samples: int) -> None:
    (only,) = at_once(scoring_all(model), AUDIO[:samples])
    assert (only.start, only.end, only.complete) == (0.0, samples / RATE, False)


@pytest.mark.parametrize("step", [0.032, 0.48, 1.024, 2.976])
def test_a_step_of_whole_hops_is_taken(model: Model, step: float) -> None:
    predictions = scoring_all(model, step=step, min_audio=3.0).push(AUDIO, RATE)
    assert {round((b.end - a.end) * RATE) for a, b in pairwise(predictions)} == {round(step * RATE)}


@pytest.mark.parametrize(
    ("step", "nearest"),
    [(0.5, ("0.48", "0.512")), (0.04, ("0.032", "0.064")), (0.001, ("0.032",)), (0, ("0.032",))],
)
def test_a_step_between_hops_is_refused_with_the_nearest(
    model: Model, step: float, nearest: tuple[str, ...]
) -> None:
    with pytest.raises(UsageError, match=r"nearest are.*" + ".*".join(map(str, nearest))):
        scoring_all(model, step=step)


@pytest.mark.parametrize("step", [-0.512, math.nan, math.inf, -math.inf, 3.008, 3.072, 1e300])
def test_an_impossible_step_is_refused(model: Model, step: float) -> None:
    with pytest.raises(UsageError, match="step"):
        scoring_all(model, step=step)


@pytest.mark.parametrize(
    ("amplitude", "level"), [(1.0, -3.0103), (0.1, -23.0103), (1e-7, -120.0), (0.0, -120.0)]
)
def test_the_level_is_the_root_mean_square_of_the_newest_step(
    model: Model, amplitude: float, level: float
) -> None:
    tone = np.sin(2 * np.pi * 1_000 * np.arange(WINDOW) / RATE)
    stream = scoring_all(model)
    stream.push(tone[: WINDOW - STEP], RATE)
    (newest,) = stream.push(amplitude * tone[WINDOW - STEP :], RATE)
    assert newest.level_dbfs == pytest.approx(level, abs=1e-3)


@FEW
@given(sizes=CHUNK_SIZES)
def test_latest_only_gives_the_last_window_of_each_push(model: Model, sizes: list[int]) -> None:
    hurried, every = Stream(model, smoothing=0), Stream(model, smoothing=0)
    start, turn = 0, 0
    while start < len(MIXED):
        block = MIXED[start : start + sizes[turn % len(sizes)]]
        wanted = every.push(block, RATE)[-1:]
        got = hurried.push(block, RATE, latest_only=True)
        # What the level is of starts at the last prediction, which may be longer ago.
        assert [dataclasses.replace(p, level_dbfs=0) for p in got] == [
            dataclasses.replace(p, level_dbfs=0) for p in wanted
        ]
        start, turn = start + len(block), turn + 1
