"""Features as one would compute them with librosa, for the ways that go without this runtime."""

from __future__ import annotations

from typing import Any

import librosa
import numpy as np
from numpy.typing import NDArray


def librosa_features(audio: NDArray[np.float32], spec: Any) -> NDArray[np.float32]:
    """float32 [coefficients, frames], not standardized.

    Args:
        audio: float32 [window_samples].
        spec: A `FeatureSpec`, or what has its attributes.
    """
    options = {"sr": spec.sample_rate, "n_fft": spec.n_fft, "hop_length": spec.hop}
    options |= {"n_mels": spec.n_mels, "pad_mode": "constant"}
    if spec.log == "ln":
        return np.log(librosa.feature.melspectrogram(y=audio, **options) + spec.floor)
    if spec.n_mfcc is None:
        return librosa.power_to_db(librosa.feature.melspectrogram(y=audio, **options))
    return librosa.feature.mfcc(y=audio, n_mfcc=spec.n_mfcc, **options)
