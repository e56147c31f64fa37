"""What a stream says about one window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Prediction:
    """The emotion of one window of a stream.

    Attributes:
        start: Of the window in the stream, in seconds.
        end: Of the audio in the window, in seconds.
        label: The most probable emotion.
        confidence: Its probability, calibrated.
        certain: Whether the confidence reaches the model's threshold (90 % right on validation).
        probabilities: Emotion -> probability.
        complete: Whether the window is full of audio; else zeros follow the audio.
        level_dbfs: Root mean square of the newest step, in dB below full scale; -120 at least.
        dropped_ms: Audio lost before the end of the window, in milliseconds since the start.
    """

    start: float
    end: float
    label: str
    confidence: float
    certain: bool
    probabilities: dict[str, float]
    complete: bool
    level_dbfs: float
    dropped_ms: float

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, rounded to what they are worth."""
        return {
            "start": round(self.start, 3),
            "end": round(self.end, 3),
            "label": self.label,
            "confidence": round(self.confidence, 4),
            "certain": self.certain,
            "complete": self.complete,
            "probabilities": {k: round(v, 4) for k, v in self.probabilities.items()},
            "level_dbfs": round(self.level_dbfs, 1),
            "dropped_ms": round(self.dropped_ms, 1),
        }


@dataclass(frozen=True)
class Summary:
    """One answer for a whole recording.

    Attributes:
        label: Emotion with the highest mean probability.
        probabilities: Emotion -> mean over the complete windows; of a recording without one,
            those of its last window, which holds all of it.
        windows: Windows that were averaged.
        seconds: End of the last window.
    """

    label: str
    probabilities: dict[str, float]
    windows: int
    seconds: float


class SummaryMaker:
    """Gathers predictions of a stream of any length, in constant memory."""

    def __init__(self) -> None:
        self._sum: np.ndarray | None = None
        self._windows = 0
        self._last: Prediction | None = None

    def add(self, predictions: Sequence[Prediction]) -> None:
        """Take predictions in, in the order of the stream."""
        for prediction in predictions:
            self._last = prediction
            if prediction.complete:
                values = np.array(list(prediction.probabilities.values()))
                self._sum = values if self._sum is None else self._sum + values
                self._windows += 1

    def summary(self) -> Summary | None:
        """The answer so far; None before the first prediction."""
        if self._last is None:
            return None
        probabilities = self._last.probabilities
        if self._sum is not None:
            means = (self._sum / self._windows).tolist()
            probabilities = dict(zip(probabilities, means, strict=True))
        return Summary(
            max(probabilities, key=probabilities.__getitem__),
            probabilities,
            max(self._windows, 1),
            self._last.end,
        )
