"""Which window of a clip is scored."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CROPS = ("start", "offset", "centre", "loudest")
"""The first samples, as in the report; those from 0.5 s on, as in the architecture that the report
copies; the middle, with zeros on both sides of a shorter clip; or those of most energy, a shorter
clip from its start. A stream of the runtime passes by all of them but the zeros before a clip."""

_OFFSET_SECONDS = 0.5


def cropped(
    audio: NDArray[np.float32], samples: int, sample_rate: int, crop: str
) -> NDArray[np.float32]:
    """What a window shall begin with; `fit_window` cuts it to size.

    Args:
        audio: float32 [n].
        samples: Of the window.
        sample_rate: In Hz.
        crop: One of `CROPS`.
    """
    surplus = len(audio) - samples
    if crop == "offset":
        return audio[round(_OFFSET_SECONDS * sample_rate) :]
    if crop == "centre" and surplus < 0:
        return np.concatenate([np.zeros(-surplus // 2, np.float32), audio])
    if crop == "centre":
        return audio[surplus // 2 :]
    if crop == "loudest" and surplus > 0:
        energy = np.concatenate([[0.0], np.cumsum(np.square(audio, dtype=np.float64))])
        return audio[int(np.argmax(energy[samples:] - energy[:-samples])) :]
    return audio
