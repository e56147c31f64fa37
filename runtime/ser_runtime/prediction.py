"""What a stream says about one window, and about a whole recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

UNCERTAIN = "uncertain"


@dataclass(frozen=True)
class Prediction:
    """The emotion of one window of a stream.

    Attributes:
        start: Of the window in the stream, in seconds.
        end: Of the audio in the window, in seconds.
        label: The most probable emotion, smoothed; `uncertain` where its confidence is below the
            stream's minimum; None where there was no voice.
        confidence: The smoothed probability of the most probable emotion; 0 without voice.
        certain: Whether the confidence reaches the model's threshold (90 % right on validation).
        probabilities: Emotion -> probability, calibrated, of this window alone; None without voice.
        smoothed: Emotion -> probability, smoothed over the windows since the voice began; None
            without voice.
        voice: Whether there was a voice to judge.
        complete: Whether the window is full of audio; else zeros follow the audio.
        level_dbfs: Root mean square since the last prediction, in dB below full scale; -120 at
            least.
        dropped_ms: Audio lost before the end of the window, in milliseconds since the start.
        segment_start: Whether this is the first prediction after a change of the sample rate, or
            after half a second or more was lost.
        voice_start: Where the first voice in the window starts in the stream, in seconds; None
            without voice.
        voice_end: Where its last voice ends.
    """

    start: float
    end: float
    label: str | None
    confidence: float
    certain: bool
    probabilities: dict[str, float] | None
    smoothed: dict[str, float] | None
    voice: bool
    complete: bool
    level_dbfs: float
    dropped_ms: float
    segment_start: bool = False
    voice_start: float | None = None
    voice_end: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, rounded to what they are worth."""
        return {
            "start": round(self.start, 3),
            "end": round(self.end, 3),
            "label": self.label,
            "confidence": round(self.confidence, 4),
            "certain": self.certain,
            "probabilities": _rounded(self.probabilities),
            "smoothed": _rounded(self.smoothed),
            "voice": self.voice,
            "voice_start": None if self.voice_start is None else round(self.voice_start, 3),
            "voice_end": None if self.voice_end is None else round(self.voice_end, 3),
            "complete": self.complete,
            "level_dbfs": round(self.level_dbfs, 1),
            "dropped_ms": round(self.dropped_ms, 1),
            "segment_start": self.segment_start,
        }


@dataclass(frozen=True)
class Summary:
    """One answer for a whole recording.

    Attributes:
        label: Emotion with the highest mean probability; None if no window held a voice.
        probabilities: Emotion -> mean over the complete windows with voice; of a recording
            without one, those of its last window with voice; None if there is none either.
        windows: Windows that were averaged; 0 if none held a voice.
        seconds: End of the last window, voiced or not.
    """

    label: str | None
    probabilities: dict[str, float] | None
    windows: int
    seconds: float


class SummaryMaker:
    """Gathers predictions of a stream of any length, in constant memory."""

    def __init__(self) -> None:
        self._sum: np.ndarray | None = None
        self._windows = 0
        self._last_voiced: dict[str, float] | None = None
        self._seconds = 0.0

    def add(self, predictions: Sequence[Prediction]) -> None:
        """Take predictions in, in the order of the stream."""
        for prediction in predictions:
            self._seconds = prediction.end
            if prediction.probabilities is None:
                continue
            self._last_voiced = prediction.probabilities
            if prediction.complete:
                values = np.array(list(prediction.probabilities.values()))
                self._sum = values if self._sum is None else self._sum + values
                self._windows += 1

    def summary(self) -> Summary:
        """The answer so far."""
        if self._last_voiced is None:
            return Summary(None, None, 0, self._seconds)
        probabilities = self._last_voiced
        if self._sum is not None:
            means = (self._sum / self._windows).tolist()
            probabilities = dict(zip(probabilities, means, strict=True))
        return Summary(
            max(probabilities, key=probabilities.__getitem__),
            probabilities,
            max(self._windows, 1),
            self._seconds,
        )


def _rounded(probabilities: dict[str, float] | None) -> dict[str, float] | None:
    if probabilities is None:
        return None
    return {emotion: round(value, 4) for emotion, value in probabilities.items()}
