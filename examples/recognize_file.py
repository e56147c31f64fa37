"""Recognize emotions in an audio file from your own program.

python examples/recognize_file.py examples/speech.flac
"""

import sys

from ser_runtime import AudioFile
from ser_runtime import Model
from ser_runtime import SegmentMaker
from ser_runtime import Stream

stream, segments = Stream(Model.open()), SegmentMaker()
with AudioFile(sys.argv[1]) as audio:
    predictions = [p for block in audio.blocks() for p in stream.push(block, audio.sample_rate)]
predictions += stream.flush()
for prediction in predictions:
    if prediction.voice:
        print(f"{prediction.end:6.2f} s  {prediction.label}  {prediction.confidence:.0%}")
for segment in [s for p in predictions for s in segments.add(p)] + segments.flush():
    print(f"{segment.start:6.2f} to {segment.end:.2f} s: {segment.label}")
