"""When a stream speaks, and how sure it is: gate, smoothing, least confidence, segments."""

from __future__ import annotations

import dataclasses
import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from stream_inputs import AUDIO
from stream_inputs import MIXED
from stream_inputs import RATE
from stream_inputs import at_once
from stream_inputs import scoring_all

from ser_runtime.errors import UsageError
from ser_runtime.labels import EMOTIONS
from ser_runtime.model import Model
from ser_runtime.prediction import UNCERTAIN
from ser_runtime.prediction import Prediction
from ser_runtime.segments import SegmentMaker
from ser_runtime.stream import Stream


def values(prediction: Prediction) -> NDArray[np.float32]:
    assert prediction.probabilities is not None
    return np.array(list(prediction.probabilities.values()), np.float32)


def test_confidence_at_the_threshold_is_certain(model: Model) -> None:
    threshold = model.metadata.confidence_threshold
    predictions = at_once(scoring_all(model), AUDIO)
    assert [p.certain for p in predictions] == [p.confidence >= threshold for p in predictions]
    assert all(p.confidence == max(p.smoothed.values()) for p in predictions)
    assert all(p.smoothed[p.label] == p.confidence for p in predictions if p.label != UNCERTAIN)


def test_with_everything_off_label_and_confidence_are_those_of_the_window(model: Model) -> None:
    for p in at_once(scoring_all(model, smoothing=0, min_confidence=0), AUDIO):
        assert p.smoothed == p.probabilities
        assert p.confidence == values(p).max()
        assert p.label == EMOTIONS[int(values(p).argmax())]
        assert (p.voice, p.voice_start, p.voice_end) == (True, p.start, p.end)


def test_the_gate_changes_no_probability_of_a_voiced_window(model: Model) -> None:
    gated = at_once(Stream(model), MIXED)
    every = {p.end: p for p in at_once(scoring_all(model), MIXED)}
    assert [p.end for p in gated] == list(every)
    assert {p.voice for p in gated} == {True, False}
    assert all(p.probabilities == every[p.end].probabilities for p in gated if p.voice)


@pytest.mark.parametrize("level_dbfs", [-math.inf, -60, -40, -20])
def test_where_there_is_no_voice_the_model_is_not_called(model: Model, level_dbfs: float) -> None:
    calls = []

    class Counting(Model):
        def predict(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
            calls.append(len(features))
            return super().predict(features)

    counting = Counting(model._backend, model.metadata, model.source)
    noise = np.random.default_rng(1).standard_normal(6 * RATE) * 10 ** (level_dbfs / 20)
    predictions = at_once(Stream(counting), noise.astype(np.float32))
    assert len(predictions) > 9
    assert calls == []
    for p in predictions:
        assert (p.voice, p.label, p.confidence, p.certain) == (False, None, 0.0, False)
        assert (p.probabilities, p.smoothed) == (None, None)
        assert (p.voice_start, p.voice_end) == (None, None)
    assert len(at_once(Stream(counting), AUDIO[: 2 * RATE])) == len(calls)


def test_an_offset_is_no_voice_and_hides_none(model: Model) -> None:
    with_offset = at_once(Stream(model), 0.7 * np.ones(6 * RATE, np.float32))
    assert {p.label for p in with_offset} == {None}
    plain, shifted = (at_once(Stream(model), MIXED + offset) for offset in (0, np.float32(0.25)))
    assert [p.voice for p in shifted] == [p.voice for p in plain]


def test_voice_times_frame_the_voice(model: Model) -> None:
    quiet = np.zeros(2 * RATE, np.float32)
    voiced = [p for p in at_once(Stream(model), np.r_[quiet, AUDIO[:RATE], quiet]) if p.voice]
    assert voiced[-1].voice_start == pytest.approx(2.0, abs=0.06)
    assert voiced[-1].voice_end == pytest.approx(3.0, abs=0.06)
    assert voiced[-1].end <= 3.0 + 1.5 + 0.06


def test_smoothing_begins_anew_after_silence(model: Model) -> None:
    predictions = at_once(Stream(model, smoothing=5.0), MIXED)
    pairs = [(a, b) for a, b in pairwise([None, *predictions]) if b.voice]
    first = [b for a, b in pairs if a is None or not a.voice]
    later = [b for a, b in pairs if a is not None and a.voice]
    assert len(first) == 2
    assert all(p.smoothed == p.probabilities for p in first)
    assert all(p.smoothed != p.probabilities for p in later)


def test_a_label_below_the_least_confidence_is_uncertain(model: Model) -> None:
    plain = at_once(scoring_all(model, min_confidence=0), AUDIO)
    level = sorted(p.confidence for p in plain)[len(plain) // 2]
    for p, q in zip(plain, at_once(scoring_all(model, min_confidence=level), AUDIO), strict=True):
        assert q.label == (p.label if p.confidence >= level else UNCERTAIN)
        assert q.confidence == p.confidence


@pytest.mark.parametrize(("threshold", "least"), [(0.6, 0.6), (0.3, 0.3), (1.0, 1.0), (2.0, 0.4)])
def test_the_least_confidence_is_the_models_threshold_if_it_can_be_reached(
    model: Model, threshold: float, least: float
) -> None:
    metadata = dataclasses.replace(model.metadata, confidence_threshold=threshold)
    assert Stream(Model(model._backend, metadata, model.source)).min_confidence == least


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"vad": "webrtc"}, "vad must be one of energy, off, not 'webrtc'"),
        ({"smoothing": -1.0}, "smoothing"),
        ({"smoothing": math.nan}, "smoothing"),
        ({"min_confidence": 1.1}, "min_confidence"),
        ({"min_confidence": math.nan}, "min_confidence"),
    ],
)
def test_an_impossible_option_is_refused(
    model: Model, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        Stream(model, **options)


def test_segments_follow_the_voices(model: Model) -> None:
    maker = SegmentMaker()
    segments = [s for p in at_once(Stream(model), MIXED) for s in maker.add(p)] + maker.flush()
    assert segments[0].start < 0.1
    assert all(a.end <= b.start for a, b in pairwise(segments))
    spoken = [(s.start, s.end) for s in segments]
    assert max(end for _, end in spoken if end < 5) == pytest.approx(2.0, abs=0.1)
    assert min(start for start, _ in spoken if start > 5) == pytest.approx(7.0, abs=0.1)
    assert segments[-1].end == pytest.approx(10.0, abs=0.1)
