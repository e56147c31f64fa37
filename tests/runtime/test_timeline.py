"""What is kept of a recording for its picture."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies

from ser_runtime.labels import EMOTIONS
from ser_runtime.prediction import Prediction
from ser_runtime.timeline import Envelope
from ser_runtime.timeline import Timeline

RATE = 16_000


@settings(max_examples=60, deadline=None)
@given(
    strategies.lists(strategies.integers(0, 3_000), max_size=12), strategies.integers(1, 40),
    strategies.integers(0, 2**32 - 1),
)  # fmt: skip
def test_an_envelope_is_that_of_equal_pieces_however_it_was_filled(
    sizes: list[int], pieces: int, seed: int
) -> None:
    samples = np.random.default_rng(seed).normal(size=sum(sizes)).astype(np.float32)
    envelope = Envelope(pieces)
    for part in np.split(samples, np.cumsum(sizes)[:-1]) if sizes else []:
        envelope.add(part)
    low, high = envelope.low_and_high()
    starts = range(0, len(samples), envelope.samples_per_piece)
    parts = [samples[start : start + envelope.samples_per_piece] for start in starts]
    assert low.tolist() == [part.min() for part in parts]
    assert high.tolist() == [part.max() for part in parts]
    assert len(low) <= 2 * pieces
    if len(samples) > 2 * pieces:
        assert len(low) > pieces - 1


def test_the_waveform_of_an_hour_is_as_small_as_that_of_a_minute() -> None:
    timeline = Timeline(EMOTIONS)
    second = np.full((RATE, 2), 0.5, np.float32)
    second[0] = -1.0
    for _ in timeline.watch([second] * 3600, RATE):
        pass
    starts, low, high = timeline.waveform()
    assert timeline.seconds == 3600
    assert 2_000 < len(starts) <= 4_096
    assert starts[-1] < 3600 <= starts[-1] + starts[1]
    assert set(low.tolist()) <= {-1.0, 0.5}
    assert set(high.tolist()) == {0.5}


def test_probabilities_stand_at_the_middle_of_their_window(prediction: Prediction) -> None:
    timeline = Timeline(EMOTIONS)
    silent = dataclasses.replace(
        prediction, start=64.0, end=67.0, voice=False, label=None, smoothed=None, probabilities=None
    )
    timeline.add(prediction)
    timeline.add(silent)
    timeline.end()
    middles, probabilities = timeline.probabilities(most=10)
    assert middles.tolist() == pytest.approx([62.11728, 65.5])
    assert dict(zip(EMOTIONS, probabilities[0], strict=True)) == pytest.approx(prediction.smoothed)
    assert np.isnan(probabilities[1]).all()
    assert [segment.label for segment in timeline.segments] == ["sad"]


@pytest.mark.parametrize(("count", "points"), [(0, 0), (10, 10), (11, 6), (100, 10)])
def test_many_probabilities_are_averaged(prediction: Prediction, count: int, points: int) -> None:
    timeline = Timeline(EMOTIONS)
    for second in range(count):
        timeline.add(dataclasses.replace(prediction, start=second - 1.5, end=second + 1.5))
    middles, probabilities = timeline.probabilities(most=10)
    assert probabilities.shape == (points, len(EMOTIONS))
    assert np.allclose(probabilities, [list(prediction.smoothed.values())], atol=1e-6)
    together = -(-count // 10)
    wanted = [np.mean(range(count)[i : i + together]) for i in range(0, count, max(together, 1))]
    assert middles.tolist() == pytest.approx(wanted)
