"""Which window of a clip is scored."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ser_runtime.feature_spec import FeatureSpec

_OFFSET_SECONDS = 0.5


def scored_window(audio: NDArray[np.float32], spec: FeatureSpec, crop: str) -> NDArray[np.float32]:
    """The part of a clip that makes its window; zeros follow where it is shorter than one.

    Args:
        audio: float32 [n], the whole clip.
        spec: For window and sample rate.
        crop: One of `ser_runtime.model_metadata.CROPS`.

    Returns:
        float32 [at most `spec.window_samples`].
    """
    samples = spec.window_samples
    surplus = len(audio) - samples
    start = 0
    if crop == "offset":
        start = round(_OFFSET_SECONDS * spec.sample_rate)
    elif crop == "centre" and surplus < 0:
        return np.concatenate([np.zeros(-surplus // 2, np.float32), audio])
    elif crop == "centre":
        start = surplus // 2
    elif crop == "loudest" and surplus > 0:
        energy = np.concatenate([[0.0], np.cumsum(np.square(audio, dtype=np.float64))])
        start = int(np.argmax(energy[samples:] - energy[:-samples]))
    return audio[start : start + samples]
