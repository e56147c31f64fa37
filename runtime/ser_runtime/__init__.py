"""Speech emotion recognition on the device: features, model files, streams.

from ser_runtime import Model, Stream

stream = Stream(Model.open())
for prediction in stream.push(samples, sample_rate):
    if prediction.voice:
        print(prediction.label, prediction.confidence)
"""

from ser_runtime.audio_file import AudioFile
from ser_runtime.errors import AudioError
from ser_runtime.errors import FeatureSpecError
from ser_runtime.errors import MicrophoneError
from ser_runtime.errors import ModelFileError
from ser_runtime.errors import SerError
from ser_runtime.errors import UsageError
from ser_runtime.feature_spec import FeatureSpec
from ser_runtime.features import compute_features
from ser_runtime.labels import EMOTIONS
from ser_runtime.microphone import Microphone
from ser_runtime.model import Model
from ser_runtime.model import packaged_models
from ser_runtime.prediction import Prediction
from ser_runtime.prediction import Summary
from ser_runtime.prediction import SummaryMaker
from ser_runtime.segments import Segment
from ser_runtime.segments import SegmentMaker
from ser_runtime.stream import Stream
from ser_runtime.stream_batch import Push
from ser_runtime.stream_batch import push_many

__all__ = [
    "EMOTIONS",
    "AudioError",
    "AudioFile",
    "FeatureSpec",
    "FeatureSpecError",
    "Microphone",
    "MicrophoneError",
    "Model",
    "ModelFileError",
    "Prediction",
    "Push",
    "Segment",
    "SegmentMaker",
    "SerError",
    "Stream",
    "Summary",
    "SummaryMaker",
    "UsageError",
    "compute_features",
    "packaged_models",
    "push_many",
]
