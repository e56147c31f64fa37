"""Many streams pushed together: what each of them would have said alone."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from stream_inputs import AUDIO
from stream_inputs import MIXED
from stream_inputs import RATE
from stream_inputs import as_sent

from ser_runtime.errors import AudioError
from ser_runtime.errors import UsageError
from ser_runtime.model import Model
from ser_runtime.prediction import Prediction
from ser_runtime.stream import Stream
from ser_runtime.stream_batch import Push
from ser_runtime.stream_batch import push_many

# A batch of another size may round the last digit of float32 differently.
ROUNDING = 1e-6


class Counting(Model):
    """A model that remembers the sizes of its batches."""

    def __init__(self, model: Model) -> None:
        super().__init__(model._backend, model.metadata, model.source)
        self.batches: list[int] = []

    def predict(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        self.batches.append(len(features))
        return super().predict(features)


def assert_same(got: list[Prediction], wanted: list[Prediction]) -> None:
    values = ("probabilities", "smoothed", "confidence")
    blank = dict.fromkeys(values)
    assert [dataclasses.replace(p, **blank) for p in got] == [
        dataclasses.replace(p, **blank) for p in wanted
    ]
    for p, q in zip(got, wanted, strict=True):
        for name in values:
            other = getattr(q, name)
            assert getattr(p, name) == (other and pytest.approx(other, abs=ROUNDING))


def test_each_stream_says_what_it_would_alone(model: Model) -> None:
    sounds: list[tuple[NDArray[Any], int, dict[str, Any]]] = [
        (AUDIO, RATE, {"vad": "off"}),
        (MIXED, RATE, {}),
        (np.zeros(5 * RATE, np.float32), RATE, {}),
        (as_sent("int16 stereo", 44_100), 44_100, {"step": 1.024}),
        (AUDIO[:0], RATE, {}),
    ]
    together = [Stream(model, **options) for _, _, options in sounds]
    alone = [Stream(model, **options) for _, _, options in sounds]
    for part in range(3):
        parts = [np.array_split(samples, 3)[part] for samples, _, _ in sounds]
        rates = [rate for _, rate, _ in sounds]
        got = push_many(map(Push, together, parts, rates))
        for p, stream, samples, rate in zip(got, alone, parts, rates, strict=True):
            assert_same(p, stream.push(samples, rate))
    for one, other in zip(together, alone, strict=True):
        assert_same(one.flush(), other.flush())


def test_a_change_of_rate_and_losses_are_told_as_alone(model: Model) -> None:
    one, other = Stream(model), Stream(model)
    pushes = [(AUDIO[:30_000], RATE, 0.0, False), (AUDIO, 48_000, 20.0, False)]
    pushes.append((AUDIO, 48_000, 0.0, True))
    for push in pushes:
        assert_same(push_many([Push(one, *push)])[0], other.push(*push))


def test_due_windows_of_all_streams_are_one_inference(model: Model) -> None:
    counting = Counting(model)
    streams = [Stream(counting, vad="off", min_audio=3.0) for _ in range(5)]
    push_many([Push(stream, AUDIO[:48_000], RATE) for stream in streams])
    assert counting.batches == [5]
    push_many([Push(stream, AUDIO[: 2 * 8_192], RATE) for stream in streams])
    assert counting.batches == [5, 5, 5]


def test_windows_without_voice_cost_no_inference(model: Model) -> None:
    counting = Counting(model)
    streams = [Stream(counting) for _ in range(3)]
    sounds = [np.zeros(48_000, np.float32), AUDIO[:48_000], np.zeros(48_000, np.float32)]
    got = push_many(
        Push(stream, sound, RATE) for stream, sound in zip(streams, sounds, strict=True)
    )
    assert set(counting.batches) == {1}
    assert [any(p.voice for p in predictions) for predictions in got] == [False, True, False]


def test_no_batch_is_larger_than_asked_for(model: Model) -> None:
    counting = Counting(model)
    streams = [Stream(counting, vad="off", min_audio=3.0) for _ in range(7)]
    got = push_many([Push(stream, AUDIO[:48_000], RATE) for stream in streams], largest_batch=3)
    assert counting.batches == [3, 3, 1]
    for predictions in got:
        assert_same(predictions, Stream(model, vad="off", min_audio=3.0).push(AUDIO[:48_000], RATE))


def test_a_batch_of_no_window_is_refused(model: Model) -> None:
    with pytest.raises(UsageError, match="largest_batch must be 1 or more, not 0"):
        push_many([Push(Stream(model), AUDIO, RATE)], largest_batch=0)


def test_nothing_pushed_is_nothing_said() -> None:
    assert push_many([]) == []


def test_impossible_samples_of_one_leave_all_streams_as_they_were(model: Model) -> None:
    good, bad = Stream(model), Stream(model)
    with pytest.raises(AudioError, match="uint8"):
        push_many([Push(good, AUDIO, RATE), Push(bad, AUDIO.astype(np.uint8), RATE)])
    assert_same(good.push(AUDIO, RATE), Stream(model).push(AUDIO, RATE))


def test_a_stream_that_is_there_twice_is_refused(model: Model) -> None:
    stream = Stream(model)
    with pytest.raises(RuntimeError, match="another thread, or an earlier push"):
        push_many([Push(stream, AUDIO, RATE), Push(stream, AUDIO, RATE)])
    assert_same(stream.push(AUDIO, RATE), Stream(model).push(AUDIO, RATE))


def test_streams_of_two_models_are_refused(model: Model) -> None:
    with pytest.raises(UsageError, match="one and the same Model"):
        push_many([Push(Stream(model), AUDIO, RATE), Push(Stream(Counting(model)), AUDIO, RATE)])
