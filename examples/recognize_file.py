"""Recognize emotions in an audio file from your own program."""

import sys

from ser_runtime import AudioFile
from ser_runtime import Model
from ser_runtime import Stream

stream = Stream(Model.open("cnn"))
with AudioFile(sys.argv[1]) as audio:
    for block in audio.blocks():
        for prediction in stream.push(block, audio.sample_rate):
            print(f"{prediction.start:6.2f} s  {prediction.label}  {prediction.confidence:.0%}")
for prediction in stream.flush():
    print(f"{prediction.start:6.2f} s  {prediction.label}  {prediction.confidence:.0%}")
