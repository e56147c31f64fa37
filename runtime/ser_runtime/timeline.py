"""What a picture of a recording needs of it, gathered while it is recognized."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ser_runtime.prediction import Prediction
from ser_runtime.samples import to_mono
from ser_runtime.segments import Segment
from ser_runtime.segments import SegmentMaker

_PIECES = 2048


class Envelope:
    """The smallest and the largest sample of equal pieces of a recording, in constant memory.

    When there are twice the wanted pieces, neighbours become one, which is then twice as long.
    """

    def __init__(self, pieces: int) -> None:
        """Prepare.

        Args:
            pieces: At least so many, of a recording of at least so many samples; below twice that.
        """
        self.samples_per_piece = 1
        self._pieces = 0
        self._filled = 0  # samples in the last piece
        self._low = np.full(2 * pieces, np.inf, np.float32)
        self._high = np.full(2 * pieces, -np.inf, np.float32)

    def add(self, samples: NDArray[np.float32]) -> None:
        """Take the next samples in: float32 [samples]."""
        while len(samples):
            if self._filled == 0 and self._pieces == len(self._low):
                self._halve()
            if self._filled or len(samples) < self.samples_per_piece:
                samples = self._fill_last(samples)
                continue
            count = min(len(samples) // self.samples_per_piece, len(self._low) - self._pieces)
            whole = samples[: count * self.samples_per_piece].reshape(count, -1)
            self._low[self._pieces : self._pieces + count] = whole.min(axis=1)
            self._high[self._pieces : self._pieces + count] = whole.max(axis=1)
            self._pieces += count
            samples = samples[whole.size :]

    def low_and_high(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The smallest and the largest samples: float32 [pieces] each."""
        count = self._pieces + bool(self._filled)
        return self._low[:count].copy(), self._high[:count].copy()

    def _fill_last(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Put samples into the piece that is not full; returns the rest of them."""
        part, rest = np.split(samples, [self.samples_per_piece - self._filled])
        piece = self._pieces
        self._low[piece] = min(self._low[piece], part.min())
        self._high[piece] = max(self._high[piece], part.max())
        self._filled += len(part)
        if self._filled == self.samples_per_piece:
            self._pieces, self._filled = piece + 1, 0
        return rest

    def _halve(self) -> None:
        half = len(self._low) // 2
        self._low[:half] = self._low.reshape(-1, 2).min(axis=1)
        self._high[:half] = self._high.reshape(-1, 2).max(axis=1)
        self._low[half:], self._high[half:] = np.inf, -np.inf
        self._pieces = half
        self.samples_per_piece *= 2


class Timeline:
    """Waveform, probabilities and segments of a recording, small however long it is.

    The waveform takes constant memory, the probabilities 32 bytes a prediction: 225 KB an hour.

    Attributes:
        labels: Of the probabilities.
        segments: That have ended.
        seconds: Of audio so far.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        self.labels = tuple(labels)
        self.segments: list[Segment] = []
        self.seconds = 0.0
        self._sample_rate = 0
        self._envelope = Envelope(_PIECES)
        self._maker = SegmentMaker()
        self._points = array("f")

    def add_samples(self, samples: NDArray[Any], sample_rate: int) -> None:
        """Take the next samples in.

        Args:
            samples: As `Stream.push` takes them; channels are averaged.
            sample_rate: In Hz, the same for the whole recording.
        """
        mono, _ = to_mono(samples)
        self._envelope.add(mono)
        self._sample_rate = sample_rate
        self.seconds += len(mono) / sample_rate

    def watch(self, blocks: Iterable[NDArray[Any]], sample_rate: int) -> Iterator[NDArray[Any]]:
        """Pass blocks on, and take their samples in, as `add_samples`."""
        for block in blocks:
            self.add_samples(block, sample_rate)
            yield block

    def add(self, prediction: Prediction) -> None:
        """Take the next prediction in."""
        self.segments += self._maker.add(prediction)
        smoothed = prediction.smoothed or dict.fromkeys(self.labels, math.nan)
        self._points.append((prediction.start + prediction.end) / 2)
        self._points.extend(smoothed[label] for label in self.labels)

    def end(self) -> None:
        """The recording is over: so is its last segment."""
        self.segments += self._maker.flush()

    def waveform(self) -> tuple[NDArray[np.float64], NDArray[np.float32], NDArray[np.float32]]:
        """The envelope: start of each piece in seconds, its smallest and its largest sample."""
        low, high = self._envelope.low_and_high()
        piece_seconds = self._envelope.samples_per_piece / max(self._sample_rate, 1)
        return np.arange(len(low)) * piece_seconds, low, high

    def probabilities(self, most: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The smoothed probabilities, at the middles of their windows.

        Args:
            most: Points; where there are more predictions, neighbours are averaged.

        Returns:
            float32 [points], in seconds; float32 [points, labels], NaN where there was no voice.
        """
        points = np.array(self._points, np.float32).reshape(-1, 1 + len(self.labels))
        together = -(-len(points) // most)
        if together > 1:
            missing = -len(points) % together
            points = np.pad(points, ((0, missing), (0, 0)), constant_values=np.nan)
            groups = points.reshape(-1, together, points.shape[1])
            known = (~np.isnan(groups)).sum(axis=1)
            with np.errstate(invalid="ignore"):
                points = np.nansum(groups, axis=1) / known
        return points[:, 0], points[:, 1:]
