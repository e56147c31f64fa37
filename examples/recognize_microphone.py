"""Recognize emotions from the microphone in your own program; Ctrl-C ends it.

python examples/recognize_microphone.py
"""

from ser_runtime import Microphone
from ser_runtime import Model
from ser_runtime import Stream

stream = Stream(Model.open())
with Microphone() as microphone:
    for samples, sample_rate, dropped_ms in microphone.blocks():
        for prediction in stream.push(samples, sample_rate, dropped_ms):
            if prediction.voice:
                print(f"{prediction.label}  {prediction.confidence:.0%}", flush=True)
