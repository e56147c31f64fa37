"""Recognize emotions where audio comes by a callback and emotions go by another.

    python examples/callback.py examples/speech.flac

The file stands for an audio library that calls `Recognizer.on_audio` with every block it has.
A recognizer that must not hold that library up takes the blocks in a thread of its own.
"""

import sys
from collections.abc import Callable

import numpy as np

from ser_runtime import AudioFile
from ser_runtime import Model
from ser_runtime import Segment
from ser_runtime import SegmentMaker
from ser_runtime import Stream


class Recognizer:
    """Calls back with every emotion, when it has ended."""

    def __init__(self, model: Model, on_emotion: Callable[[Segment], None]) -> None:
        self._stream, self._segments = Stream(model), SegmentMaker()
        self._on_emotion = on_emotion

    def on_audio(self, samples: np.ndarray, sample_rate: int) -> None:
        for prediction in self._stream.push(samples, sample_rate):
            self._tell(self._segments.add(prediction))

    def on_end(self) -> None:
        for prediction in self._stream.flush():
            self._tell(self._segments.add(prediction))
        self._tell(self._segments.flush())

    def _tell(self, segments: list[Segment]) -> None:
        for segment in segments:
            self._on_emotion(segment)


def show(segment: Segment) -> None:
    print(f"{segment.start:6.2f} to {segment.end:.2f} s: {segment.label} {segment.confidence:.0%}")


if __name__ == "__main__":
    recognizer = Recognizer(Model.open(), show)
    with AudioFile(sys.argv[1]) as audio:
        for block in audio.blocks():
            recognizer.on_audio(block, audio.sample_rate)
    recognizer.on_end()
