"""Emotion segments: stretches of a stream with one label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ser_runtime.prediction import UNCERTAIN
from ser_runtime.prediction import Prediction

MARGIN = 0.25
"""By which a new label must lead the old one to take over at once, in smoothed probability."""


@dataclass(frozen=True)
class Segment:
    """A stretch of voice with one label.

    Attributes:
        start: In the stream, in seconds: where the voice starts, or the label changes.
        end: Where the voice ends, or the label changes.
        label: The emotion, or `uncertain`.
        confidence: Mean over the windows of the smoothed probability of the label; for
            `uncertain`, of the most probable emotion.
    """

    start: float
    end: float
    label: str
    confidence: float

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, rounded to what they are worth."""
        return {
            "start": round(self.start, 3),
            "end": round(self.end, 3),
            "label": self.label,
            "confidence": round(self.confidence, 4),
        }


class SegmentMaker:
    """Makes segments from the predictions of one stream, in constant memory.

    A label lasts until another one is the smoothed label of two predictions in a row, or leads it
    by 0.25 in one; until there is no voice; or until the sample rate changes. Segments do not
    overlap. A new emotion wins when it fills about half of the voice in the window: the middle of
    that voice is where one label ends and the next one starts.
    """

    def __init__(self) -> None:
        self._running: _Running | None = None
        self._rival: Prediction | None = None
        self._covered = 0.0

    def add(self, prediction: Prediction) -> list[Segment]:
        """Take the stream's next prediction in; returns the segments that ended."""
        ended = self.flush() if prediction.segment_start or prediction.label is None else []
        if prediction.label is None:
            return ended
        if self._running is None:
            self._running = _Running(max(_voice(prediction)[0], self._covered), prediction)
        elif prediction.label == self._running.label:
            self._take_rival_in(self._running)
            self._running.add(prediction)
        else:
            ended += self._challenge(self._running, prediction)
        return ended

    def flush(self) -> list[Segment]:
        """End the stream: the segment that was running, if there is one."""
        running = self._running
        if running is None:
            return []
        self._take_rival_in(running)
        self._running = None
        return self._end(running, running.voice_end)

    def _challenge(self, running: _Running, prediction: Prediction) -> list[Segment]:
        """Take in a prediction of another label than the running segment's."""
        if self._rival is None or self._rival.label != prediction.label:
            self._take_rival_in(running)
            if not _leads(prediction, running.label):
                self._rival = prediction
                return []
        first, self._rival = self._rival or prediction, None
        middle = max(sum(_voice(first)) / 2, running.start)
        self._running = _Running(middle, first)
        if first is not prediction:
            self._running.add(prediction)
        return self._end(running, middle)

    def _take_rival_in(self, running: _Running) -> None:
        """A rival that did not hold out belongs to the segment that it challenged."""
        if self._rival is not None:
            running.add(self._rival)
            self._rival = None

    def _end(self, running: _Running, end: float) -> list[Segment]:
        if end <= running.start:
            return []
        self._covered = end
        return [Segment(running.start, end, running.label, running.sum / running.count)]


class _Running:
    """A segment that has not ended."""

    def __init__(self, start: float, prediction: Prediction) -> None:
        self.start = start
        self.label = str(prediction.label)
        self.sum = 0.0
        self.count = 0
        self.add(prediction)

    def add(self, prediction: Prediction) -> None:
        self.voice_end = _voice(prediction)[1]
        self.sum += (prediction.smoothed or {}).get(self.label, prediction.confidence)
        self.count += 1


def _voice(prediction: Prediction) -> tuple[float, float]:
    """First and last voice of a prediction, in seconds: all of the window where nobody said."""
    start, end = prediction.voice_start, prediction.voice_end
    return (
        prediction.start if start is None else start,
        prediction.end if end is None else end,
    )


def _leads(prediction: Prediction, label: str) -> bool:
    """Whether a prediction's label is clear enough to replace another at once."""
    if UNCERTAIN in (prediction.label, label) or prediction.smoothed is None:
        return False
    return prediction.confidence - prediction.smoothed[label] >= MARGIN
